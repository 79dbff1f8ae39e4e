"""Plain Python values ↔ JSON, without losing anything: what JSON has no word for gets a tag."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

_TAG = "__hayate__"
_MAX_DEPTH = 100


class NotPlainError(Exception):
    """The value holds something that has no lossless JSON form here."""


def dumps(value: Any) -> str:
    """JSON text that loads() turns into an equal value of the same types.

    Takes None, bool, int, float (with NaN and infinities), str, list, tuple, dict, date, datetime
    and NumPy scalars of numbers, nested. Subclasses are other types, and are refused.

    Raises:
        NotPlainError: something else is in the value.
    """
    return json.dumps(_encode(value, 0), allow_nan=False)


def loads(text: str) -> Any:
    """Inverse of dumps()."""
    return _decode(json.loads(text))


def plain_metrics(value: Any) -> dict[str, Any] | None:
    """A flat dict of names and numbers, booleans or texts as plain JSON; else None."""
    if type(value) is not dict or not 0 < len(value) <= 200:
        return None
    metrics: dict[str, Any] = {}
    for name, item in value.items():
        number = item.item() if _is_numpy_number(item) else item
        if type(name) is not str or type(number) not in (bool, int, float, str):
            return None
        if isinstance(number, float) and not math.isfinite(number):
            number = str(number)
        metrics[name] = number
    return metrics


def _encode(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise NotPlainError("nested too deeply")
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {_TAG: "float", "value": repr(value)}
    if kind is list:
        return [_encode(item, depth + 1) for item in value]
    if kind is tuple:
        return {_TAG: "tuple", "items": [_encode(item, depth + 1) for item in value]}
    if kind is dict:
        if all(type(key) is str for key in value) and _TAG not in value:
            return {key: _encode(item, depth + 1) for key, item in value.items()}
        pairs = [[_encode(k, depth + 1), _encode(v, depth + 1)] for k, v in value.items()]
        return {_TAG: "dict", "items": pairs}
    if kind is dt.date or (kind is dt.datetime and value.tzinfo is None and value.fold == 0):
        return {_TAG: kind.__name__, "value": value.isoformat()}
    if _is_numpy_number(value):
        return {_TAG: "numpy", "dtype": value.dtype.str, "value": _encode(value.item(), depth + 1)}
    raise NotPlainError(f"a value of type {kind.__name__}")


def _is_numpy_number(value: Any) -> bool:
    import numpy as np

    # Long doubles have no Python float that equals them.
    return type(value) in (
        *(np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32),
        *(np.uint64, np.float16, np.float32, np.float64),
    )


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value.get(_TAG):
        case None:
            return {key: _decode(item) for key, item in value.items()}
        case "float":
            return float(value["value"])
        case "tuple":
            return tuple(_decode(item) for item in value["items"])
        case "dict":
            return {_decode(key): _decode(item) for key, item in value["items"]}
        case "date":
            return dt.date.fromisoformat(value["value"])
        case "datetime":
            return dt.datetime.fromisoformat(value["value"])
        case "numpy":
            import numpy as np

            return np.dtype(value["dtype"]).type(_decode(value["value"]))
        case tag:
            raise ValueError(f"unknown tag {tag!r}")
