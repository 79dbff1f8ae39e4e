"""BigQuery's types: as the engine names them for CSV, and as Arrow has them.

A schema is a list of the REST API's field objects: ``{"name": "a", "type": "INTEGER", "mode":
"REPEATED", "fields": […]}``. Parameters of types (STRING(20), NUMERIC(10, 2)) are BigQuery's to
check: a NUMERIC is a NUMERIC, whatever its declared digits, as in the official client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hayate.errors import UsageError, Where

if TYPE_CHECKING:
    import pyarrow as pa

Field = Mapping[str, Any]
Schema = Sequence[Field]

#: The names of the REST API, which keeps those of legacy SQL.
_STANDARD_NAMES = {
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "RECORD": "STRUCT",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
#: What CSV and Arrow have for a type that they know.
_KNOWN = (
    "INT64", "FLOAT64", "BOOL", "STRING", "BYTES", "NUMERIC", "BIGNUMERIC", "DATE", "TIME",
    "DATETIME", "TIMESTAMP", "JSON", "GEOGRAPHY", "INTERVAL", "RANGE",
)  # fmt: skip
#: Digits of the fraction of a second that a timestamp in microseconds can hold.
_MICROSECOND_DIGITS = 6


def standard_type(field: Field) -> str:
    """The type in GoogleSQL's names, without parameters and without ARRAY."""
    name = str(field.get("type", "")).upper()
    return _STANDARD_NAMES.get(name, name)


def is_repeated(field: Field) -> bool:
    """Whether the column is an ARRAY."""
    return str(field.get("mode") or "").upper() == "REPEATED"


def is_nested(field: Field) -> bool:
    """Whether the column is an ARRAY or a STRUCT, which CSV cannot hold."""
    return is_repeated(field) or standard_type(field) == "STRUCT"


def nested_columns(schema: Schema) -> list[str]:
    """The names of the columns that CSV cannot hold."""
    return [str(field["name"]) for field in schema if is_nested(field)]


def type_text(field: Field) -> str:
    """The type as GoogleSQL writes it: ARRAY<STRUCT<a INT64>>."""
    name = standard_type(field)
    if name == "STRUCT":
        members = ", ".join(f"{one['name']} {type_text(one)}" for one in field.get("fields") or ())
        name = f"STRUCT<{members}>"
    elif name == "RANGE" and field.get("rangeElementType"):
        name = f"RANGE<{field['rangeElementType']['type']}>"
    return f"ARRAY<{name}>" if is_repeated(field) else name


def check_schema(schema: Schema) -> None:
    """Refuses what no format could bring over as it is.

    Raises:
        UsageError: a column has no name, a name twice, a type that is not known here, or more
            digits of a second than microseconds have; each with its remedy.
    """
    seen: set[str] = set()
    for field in schema:
        name = str(field.get("name") or "")
        if name.lower() in seen:
            raise UsageError(
                f'the result has two columns "{name}"',
                Where(object="the SQL", column=name),
                "Give one of them another name by AS.",
            )
        seen.add(name.lower())
        _check_field(field, name, is_top=True)


def _check_field(field: Field, path: str, *, is_top: bool) -> None:
    kind = standard_type(field)
    where = Where(object="the SQL", column=path)
    plain = is_top and not is_repeated(field)
    if kind == "STRUCT":
        for member in field.get("fields") or ():
            _check_field(member, f"{path}.{member['name']}", is_top=False)
    elif kind not in _KNOWN:
        raise UsageError(
            f"the column has the type {kind}, which this version does not read",
            where,
            f"Cast it in the SQL: CAST({path} AS STRING) AS {path}.",
        )
    elif kind in ("INTERVAL", "RANGE", "GEOGRAPHY") and not plain:
        # At the top level a wrapper SELECT makes text of them; it does not reach into nested ones.
        raise UsageError(
            f"the column has {kind} inside of an ARRAY or a STRUCT, which has no exact counterpart",
            where,
            "Make text of it in the SQL: CAST(… AS STRING), or ST_ASTEXT(…) of a GEOGRAPHY.",
        )
    digits = field.get("timestampPrecision")
    if digits is not None and int(digits) > _MICROSECOND_DIGITS:
        raise UsageError(
            f"the column has {digits} digits of a second; six, microseconds, can be held",
            where,
            f"Cast it in the SQL: CAST({path} AS TIMESTAMP) to round it, or AS STRING to keep all.",
        )


def csv_schema(schema: Schema) -> dict[str, str]:
    """Column → the type's name for the engine's CSV (its option `schema`), in order.

    Raises:
        UsageError: a column is an ARRAY or a STRUCT.
    """
    for field in schema:
        if is_nested(field):
            raise UsageError(
                f"the column is {type_text(field)}, and CSV has no such thing",
                Where(object="the SQL", column=str(field["name"])),
                'Use format="parquet" (or "auto"), or make text of it in the SQL: '
                f"TO_JSON_STRING({field['name']}) AS {field['name']}.",
            )
    return {str(field["name"]): standard_type(field) for field in schema}


def arrow_schema(schema: Schema) -> pa.Schema:
    """The schema that the result has, whatever format brought it: TIMESTAMP is in UTC and DATETIME
    in no zone, which an exported Parquet file does not say; GEOGRAPHY, JSON, INTERVAL and RANGE are
    text."""
    import pyarrow as pa

    return pa.schema([_arrow_field(field) for field in schema])


def _arrow_field(field: Field) -> pa.Field:
    import pyarrow as pa

    # Also where the table says REQUIRED: whether there are nulls is no matter of a result's types.
    return pa.field(str(field["name"]), _arrow_type(field))


def _arrow_type(field: Field) -> pa.DataType:
    import pyarrow as pa

    kind = standard_type(field)
    if kind == "STRUCT":
        plain = pa.struct([_arrow_field(member) for member in field.get("fields") or ()])
    else:
        plain = {
            "INT64": pa.int64(),
            "FLOAT64": pa.float64(),
            "BOOL": pa.bool_(),
            "BYTES": pa.binary(),
            "NUMERIC": pa.decimal128(38, 9),
            "BIGNUMERIC": pa.decimal256(76, 38),
            "DATE": pa.date32(),
            "TIME": pa.time64("us"),
            "DATETIME": pa.timestamp("us"),
            "TIMESTAMP": pa.timestamp("us", "UTC"),
        }.get(kind, pa.string())
    return pa.list_(plain) if is_repeated(field) else plain


def selected(schema: Schema, columns: Sequence[str] | None) -> list[Field]:
    """The fields of the columns that are wanted, in their order; names as BigQuery compares them,
    without regard to case.

    Raises:
        UsageError: a column is not in the result; names those that are.
    """
    if columns is None:
        return list(schema)
    by_name = {str(field["name"]).lower(): field for field in schema}
    found = []
    for column in columns:
        if column.lower() not in by_name:
            raise UsageError(
                f'columns= names "{column}", which the result does not have',
                Where(object="the SQL", column=column),
                f"The columns are {', '.join(str(field['name']) for field in schema)}.",
            )
        found.append(by_name[column.lower()])
    return found
