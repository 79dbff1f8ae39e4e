"""How CSV files are read: the options that hy.csv, hy.read_csv and hy.iter_csv share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from hayate.errors import UsageError
from hayate.location import Location


class CsvOptions(TypedDict, total=False):
    """Options of CSV files, named as in pyarrow.csv, Polars or pandas where they mean the same.

    Attributes:
        schema: type by column, in BigQuery's names ("INT64", "TIMESTAMP", …) or Arrow's. The types
            of columns left out are inferred from a sample and checked on every value; a column
            that turns out to hold something else is read again as text, with a warning that names
            both cells.
        columns: only these, in this order; by default those of the first file. Columns are found
            by name: files may have them in any order, but each must have all that are read, and
            none that the first lacks unless `columns` leaves it out.
        null_values: unquoted spellings of null, as they are written; by default the empty field. A
            quoted empty field is the empty string.
        true_values, false_values: spellings of booleans.
        delimiter: one ASCII character.
        quote_char: one ASCII character; None if quotes are text. Two of them inside a quoted field
            mean one.
        escape_char: makes the character after it text; by default there is none.
        skip_initial_space: whether blanks at the start of a field are nothing.
        comment_prefix: lines that begin with it are left out.
        skip_rows: lines at the start of each file that are left out, before the header.
        header: whether the first record of each file names the columns.
        column_names: the names where there is no header; by default column_1, column_2, …
        dialect: "detect" finds delimiter, quote, escape, header, comments and the lines before
            the header from the start of the first file, and says in a warning what it has found.
            Without it nothing is guessed but types.
        encoding: a name of Python's or of iconv's: "utf-8", "latin-1", "cp1252", "utf-16", "cp932".
        encoding_errors: "strict", or "replace" for U+FFFD where bytes are no text.
        decimal_point: before the fraction of a number.
        thousands: between groups of three digits of a number; by default there is nothing.
        on_error: what becomes of a value that is not of its column's declared type and of a row
            that has not as many fields as there are columns: "fail" is an error; "null" makes the
            value null and leaves the row out; "quarantine" puts the whole row aside, as text, with
            object, row, line, column and reason. Both are counted in a warning.
    """

    schema: Mapping[str, str] | None
    columns: Iterable[str] | None
    null_values: str | Iterable[str] | None
    true_values: Iterable[str] | None
    false_values: Iterable[str] | None
    delimiter: str
    quote_char: str | None
    escape_char: str | None
    skip_initial_space: bool
    comment_prefix: str | None
    skip_rows: int
    header: bool
    column_names: Iterable[str] | None
    dialect: Literal["detect"] | None
    encoding: str
    encoding_errors: Literal["strict", "replace"]
    decimal_point: str
    thousands: str | None
    on_error: Literal["fail", "null", "quarantine"]


# What dialect="detect" finds.
_FOUND = (
    "delimiter",
    "quote_char",
    "escape_char",
    "skip_initial_space",
    "comment_prefix",
    "skip_rows",
    "header",
    "column_names",
)


def engine_options(options: CsvOptions, location: Location) -> dict[str, Any]:
    """The options as the engine takes them (docs/formats/job.md); those that are as by default are
    left out, as they are in keys.

    Raises:
        UsageError: an option is unknown, or not of its type.
    """
    unknown = sorted(set(options) - set(CsvOptions.__annotations__))
    if unknown:
        raise UsageError(
            f"{unknown[0]}= is no option of CSV files",
            location.where(),
            f"Use {', '.join(CsvOptions.__annotations__)}.",
        )
    values: dict[str, Any] = dict(options)
    _check_dialect(values, location)
    result: dict[str, Any] = {}
    if values.get("schema") is not None:
        result["schema"] = _schema(values["schema"], location)
    if isinstance(values.get("null_values"), str):
        values["null_values"] = [values["null_values"]]
    for label in ("columns", "null_values", "true_values", "false_values", "column_names"):
        if values.get(label) is not None:
            result[label] = texts(label, values[label], location)
    if result.get("columns") == []:
        raise UsageError(
            "columns=[] names no column", location.where(), "Leave it out to read all of them."
        )
    for label, default in (
        ("delimiter", ","),
        ("quote_char", '"'),
        ("escape_char", None),
        ("decimal_point", "."),
        ("thousands", None),
    ):
        may_lack = label not in ("delimiter", "decimal_point")
        character = _character(label, values.get(label, default), may_lack, location)
        if character != (default or ""):
            result[label] = character
    plain: tuple[tuple[str, type, object], ...] = (
        ("skip_initial_space", bool, False),
        ("comment_prefix", str, ""),
        ("skip_rows", int, 0),
        ("header", bool, True),
        ("encoding", str, "utf-8"),
        ("on_error", str, "fail"),
    )
    for label, kind, usual in plain:
        value = usual if values.get(label) is None else values[label]
        if type(value) is not kind:
            raise UsageError(
                f"{label}={value!r} is no {kind.__name__}", location.where(), "Give one."
            )
        if value != usual:
            result[label] = value
    errors = _choice("encoding_errors", values, ("strict", "replace"), location)
    if errors == "replace":
        result["replace_undecodable"] = True
    if _choice("dialect", values, (None, "detect"), location) is not None:
        result["detect"] = True
    _choice("on_error", values, ("fail", "null", "quarantine"), location)
    return result


def _check_dialect(values: dict[str, Any], location: Location) -> None:
    if values.get("column_names") is not None and values.get("header", True):
        raise UsageError(
            "column_names= goes with header=False only", location.where(), "Say header=False."
        )
    if values.get("dialect") is None:
        return
    given = [label for label in _FOUND if label in values]
    if given:
        raise UsageError(
            f'{given[0]}= is given beside dialect="detect", which finds it',
            location.where(),
            "Leave out one of them.",
        )


def _character(label: str, value: object, may_lack: bool, location: Location) -> str:
    if value is None and may_lack:
        return ""
    if not (isinstance(value, str) and len(value) == 1 and value.isascii()) or value == "\0":
        raise UsageError(
            f"{label}={value!r} is not one ASCII character", location.where(), "Give one."
        )
    return value


def _choice(
    label: str, values: dict[str, Any], choices: tuple[str | None, ...], location: Location
) -> str | None:
    value: str | None = values.get(label, choices[0])
    if value not in choices:
        named = " or ".join(f'"{choice}"' for choice in choices if choice is not None)
        raise UsageError(f"{label}={value!r} is not known", location.where(), f"Use {named}.")
    return value


def texts(label: str, values: Iterable[str], location: Location) -> list[str]:
    """A list of strings, names of columns each once.

    Raises:
        UsageError: it is none.
    """
    listed = [] if isinstance(values, str) else list(values)
    if isinstance(values, str) or not all(isinstance(one, str) for one in listed):
        raise UsageError(
            f"{label}={values!r} is not a list of strings",
            location.where(),
            f'Write {label}=["…", "…"].',
        )
    repeated = sorted({one for one in listed if listed.count(one) > 1})
    if repeated and label in ("columns", "column_names"):
        raise UsageError(
            f"{label}= names {', '.join(repeated)} more than once",
            location.where(),
            "Name it once.",
        )
    return listed


def _schema(schema: Mapping[str, str], location: Location) -> dict[str, str]:
    if not isinstance(schema, Mapping):
        raise UsageError(
            f"schema={schema!r} is not a dict of column name to type name",
            location.where(),
            'Write schema={"user_id": "INT64", …}.',
        )
    for column, type_name in schema.items():
        if not isinstance(column, str) or not isinstance(type_name, str):
            raise UsageError(
                f"schema= has {column!r}: {type_name!r}, which is not a pair of names",
                location.where(),
                'Write the type as a name: "INT64", "STRING", "TIMESTAMP", …',
            )
    return dict(schema)
