"""Values of Python as query parameters of BigQuery."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hayate.digest import digest_text
from hayate.errors import UsageError, Where

Params = Mapping[str, Any] | Sequence[Any]
"""``params=``: by name for ``@name``, or in order for ``?``."""

_INT64 = range(-(2**63), 2**63)
_SCALARS = (
    "BOOL", "INT64", "FLOAT64", "STRING", "BYTES", "NUMERIC", "BIGNUMERIC", "DATE", "TIME",
    "DATETIME", "TIMESTAMP", "JSON", "GEOGRAPHY", "INTERVAL",
)  # fmt: skip
_ALIASES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC"}
# Digits before and behind the point.
_NUMERIC_DIGITS = (29, 9)
_BIGNUMERIC_DIGITS = (38, 38)


@dataclass(frozen=True)
class Typed:
    """A parameter with its type: for None, for empty lists, and for the types that Python has not.

    ``Typed(None, "INT64")``, ``Typed([], "ARRAY<STRING>")``, ``Typed("POINT(1 2)", "GEOGRAPHY")``.

    Attributes:
        value: the value; a list for an ARRAY, a dict for a STRUCT.
        type: in GoogleSQL's words.
    """

    value: Any
    type: str


def query_parameters(params: Params | None) -> list[dict[str, Any]]:
    """The parameters as the REST API takes them.

    Raises:
        UsageError: a value has no type in BigQuery, or does not fit it; names the parameter.
    """
    if params is None:
        return []
    if isinstance(params, Mapping):
        return [{"name": _name(name), **_described(name, params[name])} for name in params]
    if isinstance(params, Sequence) and not isinstance(params, (str, bytes)):
        return [_described(str(at), value) for at, value in enumerate(params, start=1)]
    raise UsageError(
        f"params= is a {type(params).__name__}",
        fix='Give a dict for @name, as in params={"day": day}, or a list for ?.',
    )


def check_given(names: set[str], positional: int, params: Params | None) -> None:
    """Compares what the SQL asks for with what is given.

    Args:
        names: of the SQL's named parameters, in small letters.
        positional: how many ``?`` it has.
        params: what is given.

    Raises:
        UsageError: one is missing, given twice, or given and not asked for.
    """
    where = Where(object="the SQL")
    if names and positional:
        raise UsageError("the SQL has both @name and ?", where, "Use one of them.")
    named = [str(name) for name in params] if isinstance(params, Mapping) else []
    given = {name.lower() for name in named}
    if len(given) < len(named):
        raise UsageError("params= has a name twice", where, "Capitals make no difference.")
    if missing := sorted(names - given):
        raise UsageError(
            f"the SQL has @{missing[0]}, and params= has no value for it",
            where,
            f'Give it: params={{"{missing[0]}": …}}.',
        )
    if unused := sorted(given - names):
        raise UsageError(
            f'params= has "{unused[0]}", and the SQL has no @{unused[0]}',
            where,
            "Take it out, or correct its name.",
        )
    count = 0 if params is None or isinstance(params, Mapping) else len(params)
    if count != positional:
        raise UsageError(
            f"the SQL has {positional} ?, and params= has {count} values for them",
            where,
            "Give one value for each, in order.",
        )


def digest(parameters: Sequence[Mapping[str, Any]]) -> str:
    """32 hexadecimal digits that stand for the parameters: the order of names does not count."""
    ordered = sorted(parameters, key=lambda one: str(one.get("name", "")).lower())
    return digest_text(json.dumps(ordered, sort_keys=True, ensure_ascii=True))


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.isidentifier():
        raise UsageError(
            f"params= has the name {name!r}, which is none of a parameter",
            fix="Names are letters, digits and underscores, without the @.",
        )
    return name


def _described(name: object, value: Any) -> dict[str, Any]:
    try:
        if hasattr(value, "to_api_repr"):  # of google.cloud.bigquery
            given = value.to_api_repr()
            return {key: given[key] for key in ("parameterType", "parameterValue")}
        kind, content = _typed(value) if isinstance(value, Typed) else _inferred(value)
    except _NoParameterError as error:
        raise UsageError(
            f'the parameter "{name}" {error.what}', Where(object="params"), error.remedy
        ) from None
    return {"parameterType": kind, "parameterValue": content}


class _NoParameterError(Exception):
    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


_Pair = tuple[dict[str, Any], dict[str, Any]]


def _inferred(value: Any) -> _Pair:
    value = _plain(value)
    if value is None:
        raise _NoParameterError(
            "is None, which has no type", 'Say the type: hayate.google.Typed(None, "INT64").'
        )
    if isinstance(value, Typed):
        return _typed(value)
    if isinstance(value, Mapping):
        return _struct({str(key): _inferred(one) for key, one in value.items()})
    if isinstance(value, (list, tuple)):
        return _array(value)
    kind = _scalar_type(value)
    return {"type": kind}, {"value": _text(value, kind)}


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's; what pandas has for missing as None."""
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "item"):
        if getattr(value, "ndim", 0):
            return value.tolist()
        if type(value).__name__ in ("datetime64", "timedelta64"):
            raise _NoParameterError(
                f"is a numpy.{type(value).__name__}", "Give a datetime.datetime or a pd.Timestamp."
            )
        value = value.item()
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if getattr(value, "nanosecond", 0):
        raise _NoParameterError(
            "has nanoseconds, and BigQuery has microseconds", 'Round it: value.floor("us").'
        )
    return value


def _scalar_type(value: Any) -> str:
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64"
    if isinstance(value, float):
        return "FLOAT64"
    if isinstance(value, str):
        return "STRING"
    if isinstance(value, (bytes, bytearray)):
        return "BYTES"
    if isinstance(value, decimal.Decimal):
        return "NUMERIC" if _fits(value, _NUMERIC_DIGITS) else "BIGNUMERIC"
    if isinstance(value, dt.datetime):
        return "DATETIME" if value.tzinfo is None else "TIMESTAMP"
    if isinstance(value, dt.date):
        return "DATE"
    if isinstance(value, dt.time):
        return "TIME"
    raise _NoParameterError(
        f"is a {type(value).__name__}, which BigQuery has no type for",
        "Give a bool, int, float, str, bytes, Decimal, date, datetime, time, a list or dict of "
        "these, or hayate.google.Typed(value, type).",
    )


def _fits(value: decimal.Decimal, digits: tuple[int, int]) -> bool:
    if not value.is_finite():
        return False
    exponent = value.normalize(decimal.Context(prec=decimal.MAX_PREC)).as_tuple().exponent
    return value.adjusted() < digits[0] and isinstance(exponent, int) and -exponent <= digits[1]


def _text(value: Any, kind: str) -> str | None:
    """The value as the REST API writes one of that type."""
    value = _plain(value)
    if value is None:
        return None
    _check_class(value, kind)
    if kind == "BOOL":
        return "true" if value else "false"
    if kind == "INT64":
        if value not in _INT64:
            raise _NoParameterError(
                f"is {value}, which is more than an INT64 holds",
                "Give it as decimal.Decimal, for a NUMERIC.",
            )
        return str(value)
    if kind == "FLOAT64":
        return _float_text(float(value))
    if kind == "BYTES":
        return base64.b64encode(value).decode()
    if kind in ("NUMERIC", "BIGNUMERIC"):
        return _decimal_text(decimal.Decimal(value), kind)
    if kind in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        return _time_text(value, kind)
    if kind == "JSON" and not isinstance(value, str):
        return json.dumps(value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _NoParameterError("is no Unicode text", "Give it as bytes.") from None
    return str(value)


def _check_class(value: object, kind: str) -> None:
    is_bool = isinstance(value, bool)
    if not isinstance(value, _CLASSES[kind]) or (is_bool and kind != "BOOL"):
        raise _NoParameterError(
            f"is a {type(value).__name__}, which is no {kind}", f"Give a value of type {kind}."
        )


_CLASSES: dict[str, tuple[type, ...]] = {
    "BOOL": (bool,),
    "INT64": (int,),
    "FLOAT64": (int, float),
    "STRING": (str,),
    "BYTES": (bytes, bytearray),
    "NUMERIC": (int, decimal.Decimal),
    "BIGNUMERIC": (int, decimal.Decimal),
    "DATE": (dt.date,),
    "TIME": (dt.time,),
    "DATETIME": (dt.datetime,),
    "TIMESTAMP": (dt.datetime,),
    "JSON": (str, int, float, list, tuple, dict),
    "GEOGRAPHY": (str,),
    "INTERVAL": (str,),
}


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+inf" if value > 0 else "-inf"
    return repr(value)


def _decimal_text(value: decimal.Decimal, kind: str) -> str:
    digits = _NUMERIC_DIGITS if kind == "NUMERIC" else _BIGNUMERIC_DIGITS
    if not _fits(value, digits):
        raise _NoParameterError(
            f"is {value}, which a {kind} cannot hold",
            f"{digits[0]} digits before the point and {digits[1]} behind it fit: round it, or give "
            "a float or a str.",
        )
    return format(value, "f")


def _time_text(value: Any, kind: str) -> str:
    if kind == "DATE":
        if isinstance(value, dt.datetime):
            raise _NoParameterError("is a datetime, which is no DATE", "Give value.date().")
        return str(value.isoformat())
    has_zone = value.tzinfo is not None
    if kind == "TIMESTAMP":
        if not has_zone:
            raise _NoParameterError(
                "has no time zone, which a TIMESTAMP needs", "Say tzinfo=datetime.UTC."
            )
        utc = value.astimezone(dt.UTC)
        return str(utc.isoformat(sep=" ", timespec="microseconds"))
    if has_zone:
        raise _NoParameterError(
            f"has a time zone, and a {kind} has none", "Take it away: value.replace(tzinfo=None)."
        )
    return str(value.isoformat(timespec="microseconds"))


def _struct(members: Mapping[str, _Pair]) -> _Pair:
    if not members:
        raise _NoParameterError("is an empty dict", "A STRUCT has at least one member.")
    types = [{"name": name, "type": kind} for name, (kind, _) in members.items()]
    values = {name: content for name, (_, content) in members.items()}
    return {"type": "STRUCT", "structTypes": types}, {"structValues": values}


def _array(values: Sequence[Any]) -> _Pair:
    if not values:
        raise _NoParameterError(
            "is an empty list, which has no type",
            'Say the type: hayate.google.Typed([], "ARRAY<INT64>").',
        )
    plain = [_plain(one) for one in values]
    if any(one is None for one in plain):
        raise _NoParameterError(
            "has None in a list", 'Say the type: hayate.google.Typed([1, None], "ARRAY<INT64>").'
        )
    pairs = [_inferred(one) for one in plain]
    kinds = {json.dumps(kind, sort_keys=True): kind for kind, _ in pairs}
    wide = _common({str(kind["type"]) for kind in kinds.values()}, plain)
    if len(kinds) > 1 and wide is not None:
        return _typed_array(plain, {"type": wide})
    if len(kinds) > 1:
        named = " and ".join(sorted(str(kind["type"]) for kind in kinds.values()))
        raise _NoParameterError(f"is a list of {named}", "Make them of one type.")
    kind = pairs[0][0]
    if kind["type"] == "ARRAY":
        raise _NoParameterError(
            "is a list of lists, and BigQuery has no ARRAY of ARRAYs", "Put the inner in a dict."
        )
    return {"type": "ARRAY", "arrayType": kind}, {"arrayValues": [one for _, one in pairs]}


def _common(kinds: set[str], values: Sequence[Any]) -> str | None:
    """The type that holds values of all these, where there is one that loses nothing."""
    if kinds == {"INT64", "FLOAT64"} and all(float(one) == one for one in values if one == one):
        return "FLOAT64"
    if kinds <= {"INT64", "NUMERIC"}:
        return "NUMERIC"
    if kinds <= {"INT64", "NUMERIC", "BIGNUMERIC"}:
        return "BIGNUMERIC"
    return None


def _typed(value: Typed) -> _Pair:
    return _as_type(value.value, _TypeText(value.type).parse())


def _as_type(value: Any, kind: dict[str, Any]) -> _Pair:
    value = _plain(value)
    if kind["type"] == "ARRAY":
        if value is None:
            return kind, {"arrayValues": []}
        if not isinstance(value, (list, tuple)):
            raise _NoParameterError(f"is a {type(value).__name__}, no ARRAY", "Give a list.")
        return _typed_array(value, kind["arrayType"])
    if kind["type"] == "STRUCT":
        return _typed_struct(value, kind)
    return kind, {"value": _text(value, kind["type"])}


def _typed_array(values: Sequence[Any], kind: dict[str, Any]) -> _Pair:
    content = [_as_type(one, kind)[1] for one in values]
    return {"type": "ARRAY", "arrayType": kind}, {"arrayValues": content}


def _typed_struct(value: Any, kind: dict[str, Any]) -> _Pair:
    types = kind["structTypes"]
    names = [member["name"] for member in types]
    if value is None:
        value = dict.fromkeys(names)
    if not isinstance(value, Mapping) or sorted(value) != sorted(names):
        raise _NoParameterError(
            f"is no STRUCT of {', '.join(names)}", "Give a dict with these members."
        )
    members = {m["name"]: _as_type(value[m["name"]], m["type"])[1] for m in types}
    return kind, {"structValues": members}


class _TypeText:
    """Reads a type as GoogleSQL writes it: ARRAY<STRUCT<a INT64, b STRING>>."""

    def __init__(self, text: str) -> None:
        spaced = "".join(f" {one} " if one in "<>," else one for one in str(text))
        self._words = spaced.split()
        self._text = text
        self._at = 0

    def parse(self) -> dict[str, Any]:
        kind = self._type()
        if self._at != len(self._words):
            raise self._unknown()
        return kind

    def _next(self, expected: str | None = None) -> str:
        if self._at >= len(self._words):
            raise self._unknown()
        word = self._words[self._at]
        self._at += 1
        if expected is not None and word != expected:
            raise self._unknown()
        return word

    def _type(self) -> dict[str, Any]:
        word = self._next().upper()
        word = _ALIASES.get(word, word)
        if word in _SCALARS:
            return {"type": word}
        if word == "ARRAY":
            self._next("<")
            inner = self._type()
            self._next(">")
            if inner["type"] == "ARRAY":
                raise self._unknown()
            return {"type": "ARRAY", "arrayType": inner}
        if word != "STRUCT":
            raise self._unknown()
        members = []
        self._next("<")
        while True:
            members.append({"name": self._next(), "type": self._type()})
            if self._next() == ">":
                return {"type": "STRUCT", "structTypes": members}
            self._at -= 1
            self._next(",")

    def _unknown(self) -> _NoParameterError:
        return _NoParameterError(
            f"has the type {self._text!r}, which is none of a parameter",
            f"Use {', '.join(_SCALARS)}, ARRAY<…> or STRUCT<name …>.",
        )
