"""Arrow's types as BigQuery's: what a frame's columns become in a table, exactly or not at all.

Whether a type has a counterpart is decided by the schema; where only some of its values have one
(nanoseconds, unsigned integers, nulls in lists), every value is looked at before anything is
written.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hayate.errors import UsageError, Where
from hayate.google.types import Field, is_repeated, standard_type, type_text

#: Digits before and behind the point.
_NUMERIC = (29, 9)
_BIGNUMERIC = (38, 38)
_MOST_COLUMNS = 10_000
_MOST_NAME_CHARACTERS = 300
#: What a column's name must not begin with.
_RESERVED = (
    "_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier",
    "_change_sequence_number", "_change_type", "_change_timestamp",
)  # fmt: skip
#: Characters of names beyond letters, marks, numbers, connectors, dashes and spaces.
_FLEXIBLE = "&%=+:'<>#|"
_FLEXIBLE_CATEGORIES = ("L", "M", "N", "Pc", "Pd", "Zs")
#: The first and the last value of the types of times, as the integers that Arrow holds.
_DAYS = (-719_162, 2_932_896)
_MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
_OF_A_DAY = (0, 86_399_999_999)
#: A type → those of a table's columns that hold all of its values.
_WIDER = {"INT64": ("NUMERIC", "BIGNUMERIC"), "NUMERIC": ("BIGNUMERIC",)}
#: What a load job has to say again of a column that stays as it is; what else the table says of it
#: (description, policy tags) stays by itself, and may need permissions to be said.
_STRUCTURE = ("name", "type", "mode", "fields", "maxLength", "precision", "scale")
#: BigQuery's type → Arrow's, of which Parquet makes what BigQuery reads as that type.
_PARQUET = {
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "STRING": pa.large_string(),
    "BYTES": pa.large_binary(),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
}
#: GoogleSQL's names → those that the REST API has kept from legacy SQL.
_REST_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


@dataclass(frozen=True)
class Column:
    """A column on its way into a table.

    Attributes:
        name: in the frame and in the table.
        field: the table's column, as the REST API has it.
        kind: Arrow's type that is written to Parquet.
        is_checked: whether its values have to be looked at.
    """

    name: str
    field: Field
    kind: pa.DataType
    is_checked: bool

    @property
    def is_required(self) -> bool:
        """Whether the table takes no nulls there."""
        return self.field.get("mode") == "REQUIRED"


def plan_columns(
    schema: pa.Schema, existing: Sequence[Field] | None, *, is_replaced: bool, table: str
) -> list[Column]:
    """The columns of a frame as those of a table.

    Where the table is there, a column of the same type keeps what it says: description, length,
    policy tags, default, and whether it is REQUIRED.

    Args:
        schema: the frame's, without pandas' row labels.
        existing: the fields of the table; None if there is none.
        is_replaced: whether the table gets this schema; else the columns have to fit into it.
        table: its name, for errors.

    Raises:
        UsageError: a column has no exact counterpart; says which, and what to do.
    """
    if len(schema) == 0:
        raise UsageError(
            "the frame has no columns, and a table has at least one",
            Where(object=table),
            "Return a data frame with columns from the stage.",
        )
    if len(schema) > _MOST_COLUMNS:
        raise UsageError(
            f"the frame has {len(schema):,} columns, and a table at most {_MOST_COLUMNS:,}",
            Where(object=table),
            "Put columns together into lists or structs, or write several tables.",
        )
    _check_names(schema.names, "", table)
    theirs = {str(field["name"]).lower(): field for field in existing or ()}
    columns = []
    for one in schema:
        found = theirs.get(one.name.lower())
        if existing is not None and not is_replaced and found is None:
            raise UsageError(
                "the table has no such column",
                Where(object=table, column=one.name),
                "Add it by ALTER TABLE … ADD COLUMN, leave it out of the frame, or write with "
                'write="truncate".',
            )
        columns.append(_column(one, found, is_replaced, table))
    if not is_replaced:
        _check_missing(existing or (), schema.names, table)
    return columns


def table_schema(columns: Sequence[Column]) -> dict[str, Any]:
    """The schema of a load job."""
    return {"fields": [dict(column.field) for column in columns]}


def parquet_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of the files. A REQUIRED column has to be one there, too."""
    return pa.schema(
        [pa.field(one.name, one.kind, nullable=not one.is_required) for one in columns]
    )


def has_plain_names(columns: Sequence[Column]) -> bool:
    """Whether all names are such as BigQuery has always taken."""
    return all(_has_plain_names(column.field) for column in columns)


def has_decimals(columns: Sequence[Column]) -> bool:
    """Whether a column holds decimals, at any depth."""
    return any(_has_decimals(column.field) for column in columns)


def convert(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """The rows in the types that are written. Every value was checked before."""
    arrays = [table.column(column.name).cast(column.kind) for column in columns]
    return pa.Table.from_arrays(arrays, schema=parquet_schema(columns))


def check_values(table: pa.Table, columns: Sequence[Column], first_row: int, target: str) -> None:
    """Refuses values that the table cannot hold as they are.

    Args:
        table: rows of the frame.
        columns: all of them.
        first_row: the number of the first, from 0.
        target: the table's name, for errors.

    Raises:
        UsageError: names the first row of a column that cannot be stored.
    """
    for column in columns:
        if not (column.is_checked or column.is_required):
            continue
        row = first_row
        for chunk in table.column(column.name).chunks:
            if _fault(chunk, column) is not None:
                at = _first_fault(chunk, column)
                what, remedy = _fault(chunk.slice(at, 1), column) or ("", "")
                where = Where(object=target, row=row + at + 1, column=column.name)
                raise UsageError(f"the value {what}", where, remedy)
            row += len(chunk)


def _column(one: pa.Field, found: Field | None, is_replaced: bool, table: str) -> Column:
    field, kind, is_checked = _mapped(one.name, one.type, one.name, table)
    if found is None:
        return Column(one.name, field, kind, is_checked)
    ours = standard_type(field)
    if pa.types.is_null(one.type) and standard_type(found) in _PARQUET and not is_repeated(found):
        # What has no values tonight is what it was before.
        ours, kind = standard_type(found), _PARQUET[standard_type(found)]
    elif not is_replaced and not is_repeated(field) and not is_repeated(found):
        wider = standard_type(found)
        if wider in _WIDER.get(ours, ()):
            ours, kind = wider, _PARQUET[wider]
    field = {**field, "type": _REST_NAMES.get(ours, ours)}
    return Column(
        one.name, _as_in_table(field, found, is_replaced, one.name, table), kind, is_checked
    )


def _as_in_table(
    field: Field, found: Field, is_replaced: bool, path: str, table: str
) -> dict[str, Any]:
    """The field with what the table's own says beyond the type."""
    is_same = standard_type(field) == standard_type(found)
    if not is_same or is_repeated(field) != is_repeated(found):
        if is_replaced:
            return dict(field)
        raise UsageError(
            f"the table has {type_text(found)} in this column, and the frame {type_text(field)}",
            Where(object=table, column=path),
            'Cast the column to that type, or write with write="truncate" to give the table '
            "the frame's.",
        )
    merged = {"mode": "NULLABLE", **found, "name": field["name"]}
    if not is_replaced:
        merged = {name: value for name, value in merged.items() if name in _STRUCTURE}
    if standard_type(field) == "STRUCT":
        merged["fields"] = _members_as_in_table(field, found, is_replaced, path, table)
    return merged


def _members_as_in_table(
    field: Field, found: Field, is_replaced: bool, path: str, table: str
) -> list[dict[str, Any]]:
    theirs = {str(one["name"]).lower(): one for one in found.get("fields") or ()}
    members = []
    for one in field["fields"]:
        inner = f"{path}.{one['name']}"
        other = theirs.get(str(one["name"]).lower())
        if other is None and not is_replaced:
            raise UsageError(
                "the table has no such field in this STRUCT",
                Where(object=table, column=inner),
                'Add it to the table, leave it out of the frame, or write with write="truncate".',
            )
        if other is None:
            members.append(dict(one))
            continue
        member = _as_in_table(one, other, is_replaced, inner, table)
        if member.get("mode") == "REQUIRED":
            # Arrow has no cast to a struct whose members must not be null.
            if not is_replaced:
                raise UsageError(
                    "the table's field is REQUIRED inside of a STRUCT, which cannot be appended to",
                    Where(object=table, column=inner),
                    "Relax it to NULLABLE (bq update with a schema), then run it again.",
                )
            member["mode"] = "NULLABLE"
        members.append(member)
    return members


def _check_missing(existing: Sequence[Field], names: Sequence[str], table: str) -> None:
    present = {name.lower() for name in names}
    for field in existing:
        is_required = field.get("mode") == "REQUIRED" and not field.get("defaultValueExpression")
        if is_required and str(field["name"]).lower() not in present:
            raise UsageError(
                "the table's column is REQUIRED, and the frame has no such column",
                Where(object=table, column=str(field["name"])),
                "Add it to the frame, or ALTER TABLE … ALTER COLUMN … DROP NOT NULL.",
            )


def _mapped(
    name: str, kind: pa.DataType, path: str, table: str
) -> tuple[dict[str, Any], pa.DataType, bool]:
    """The field, the type in Parquet, and whether values have to be looked at."""
    types = pa.types
    if types.is_dictionary(kind):
        return _mapped(name, kind.value_type, path, table)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        field, inner, _ = _mapped(name, kind.value_type, path, table)
        if is_repeated(field):
            raise UsageError(
                "the column has lists in lists, and an ARRAY has no ARRAY in it",
                Where(object=table, column=path),
                "Put the inner list into a struct, or make JSON text of it.",
            )
        return {**field, "mode": "REPEATED"}, pa.list_(inner), True
    if types.is_struct(kind):
        return _mapped_struct(name, kind, path, table)
    standard, is_checked = _plain(kind, path, table)
    field = {"name": name, "type": _REST_NAMES.get(standard, standard), "mode": "NULLABLE"}
    return field, _PARQUET[standard], is_checked


def _mapped_struct(
    name: str, kind: pa.DataType, path: str, table: str
) -> tuple[dict[str, Any], pa.DataType, bool]:
    if kind.num_fields == 0:
        raise UsageError(
            "the column has structs without a field, which Parquet does not have",
            Where(object=table, column=path),
            "Leave the column out.",
        )
    members = [kind.field(at) for at in range(kind.num_fields)]
    _check_names([one.name for one in members], f"{path}.", table)
    made = [_mapped(one.name, one.type, f"{path}.{one.name}", table) for one in members]
    field = {"name": name, "type": "RECORD", "mode": "NULLABLE", "fields": [one[0] for one in made]}
    inner = pa.struct(
        [pa.field(one.name, part[1]) for one, part in zip(members, made, strict=True)]
    )
    return field, inner, any(one[2] for one in made)


def _plain(kind: pa.DataType, path: str, table: str) -> tuple[str, bool]:
    """BigQuery's type for one of Arrow's without parts, and whether its values have to fit."""
    types = pa.types
    if types.is_null(kind):
        return "STRING", False
    if types.is_boolean(kind):
        return "BOOL", False
    if types.is_integer(kind):
        return "INT64", bool(types.is_uint64(kind))
    if types.is_floating(kind):
        return "FLOAT64", False
    if types.is_string(kind) or types.is_large_string(kind):
        return "STRING", False
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "BYTES", False
    if types.is_date(kind):
        return "DATE", True
    if types.is_time(kind):
        return "TIME", True
    if types.is_timestamp(kind):
        return ("TIMESTAMP" if kind.tz is not None else "DATETIME"), True
    if types.is_decimal(kind):
        return _decimal(kind, path, table), False
    remedy = "Cast the column to a type of numbers, text or times, or leave it out."
    if types.is_duration(kind):
        remedy = (
            "Make a number of it, such as .dt.total_seconds(), or an integer of microseconds by "
            '.astype("timedelta64[us]").astype("int64").'
        )
    elif types.is_map(kind):
        remedy = "Make a list of structs with key and value of it, or JSON text."
    raise UsageError(
        f"the column is {kind}, which has no counterpart in BigQuery",
        Where(object=table, column=path),
        remedy,
    )


def _decimal(kind: pa.DataType, path: str, table: str) -> str:
    fraction = max(kind.scale, 0)
    whole = kind.precision - kind.scale
    for name, (most_whole, most_fraction) in (("NUMERIC", _NUMERIC), ("BIGNUMERIC", _BIGNUMERIC)):
        if whole <= most_whole and fraction <= most_fraction:
            return name
    raise UsageError(
        f"the column is {kind}, and BIGNUMERIC has {_BIGNUMERIC[0]} digits before the point and "
        f"{_BIGNUMERIC[1]} behind it",
        Where(object=table, column=path),
        "Cast it to a decimal of fewer digits, to a float, or to text.",
    )


def _check_names(names: Sequence[str], before: str, table: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        where = Where(object=table, column=before + name)
        if name.lower() in seen:
            raise UsageError(
                f"BigQuery takes the columns {seen[name.lower()]!r} and {name!r} for one: capital "
                "and small letters are the same there",
                where,
                "Rename one of them.",
            )
        seen[name.lower()] = name
        if not name or len(name) > _MOST_NAME_CHARACTERS:
            raise UsageError(
                f"a column's name has 1 to {_MOST_NAME_CHARACTERS} characters, and this has "
                f"{len(name)}",
                where,
                "Rename the column.",
            )
        for reserved in _RESERVED:
            if name.lower().startswith(reserved):
                raise UsageError(
                    f"BigQuery keeps names that begin with {reserved.upper()} for itself",
                    where,
                    "Rename the column.",
                )
        for character in name:
            if not _is_flexible(character):
                raise UsageError(
                    f"BigQuery has no column whose name has the character {character!r}",
                    where,
                    "Rename the column; letters, digits and _ are always good.",
                )


def _is_flexible(character: str) -> bool:
    return character in _FLEXIBLE or unicodedata.category(character).startswith(
        _FLEXIBLE_CATEGORIES
    )


def _has_plain_names(field: Field) -> bool:
    name = str(field["name"])
    is_plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return is_plain and all(_has_plain_names(one) for one in field.get("fields") or ())


def _has_decimals(field: Field) -> bool:
    return standard_type(field) in ("NUMERIC", "BIGNUMERIC") or any(
        _has_decimals(one) for one in field.get("fields") or ()
    )


_Fault = tuple[str, str]


def _fault(array: pa.Array, column: Column) -> _Fault | None:
    """What is wrong with values, and the remedy."""
    if column.is_required and array.null_count:
        return (
            "is null, and the table's column is REQUIRED",
            "Fill the nulls, or ALTER TABLE … ALTER COLUMN … DROP NOT NULL.",
        )
    return _unfit(array, column.kind)


def _unfit(array: pa.Array, kind: pa.DataType) -> _Fault | None:
    if pa.types.is_list(kind):
        if array.null_count:
            return (
                "is a null instead of a list, of which BigQuery would make an empty list",
                "Fill nulls with empty lists, or leave those rows out.",
            )
        values = array.flatten()
        if values.null_count:
            return (
                "is a list with a null in it, which an ARRAY cannot hold",
                "Leave the nulls out of the lists, or put the items into structs.",
            )
        return _unfit(values, kind.value_type)
    if pa.types.is_struct(kind):
        # Under a null there is nothing that could be wrong.
        present = array.filter(array.is_valid()) if array.null_count else array
        for at, member in enumerate(present.flatten()):
            if found := _unfit(member, kind.field(at).type):
                return found
        return None
    try:
        converted = array.cast(kind)
    except pa.ArrowInvalid:
        return _lost(array.type)
    return _outside(converted, kind)


def _lost(source: pa.DataType) -> _Fault:
    """Why a cast of a type fails for some of its values."""
    if pa.types.is_dictionary(source):
        source = source.value_type
    if pa.types.is_uint64(source):
        return (
            "is larger than an INT64 can be",
            'Make text or a decimal of the column, such as .astype("string").',
        )
    if pa.types.is_date(source):
        return "is no whole day", "Make a timestamp of the column, or cut the time off."
    if pa.types.is_timestamp(source) and source.unit != "ns":
        return _far_off()
    return (
        "has nanoseconds, and BigQuery has microseconds",
        'Round it, such as .dt.floor("us"), or write the nanoseconds as an integer.',
    )


def _far_off() -> _Fault:
    return (
        "is outside of the years 1 to 9999",
        "Set it to null, or to a time within these years.",
    )


def _outside(array: pa.Array, kind: pa.DataType) -> _Fault | None:
    """What is wrong with times that a type of BigQuery does not reach to."""
    limits, integer = _MICROSECONDS, pa.int64()
    if pa.types.is_date(kind):
        limits, integer = _DAYS, pa.int32()
    elif pa.types.is_time(kind):
        limits = _OF_A_DAY
    elif not pa.types.is_timestamp(kind):
        return None
    found: Mapping[str, Any] = pc.min_max(array.view(integer)).as_py()
    if found["min"] is None or (limits[0] <= found["min"] and found["max"] <= limits[1]):
        return None
    if pa.types.is_time(kind):
        return "is no time of a day", "A TIME is from 0:00 to 23:59:59.999999."
    return _far_off()


def _first_fault(array: pa.Array, column: Column) -> int:
    """Where the first faulty value is, in a chunk that has one."""
    first = 0
    while len(array) > 1:
        half = len(array) // 2
        if _fault(array.slice(0, half), column) is None:
            first += half
            array = array.slice(half)
        else:
            array = array.slice(0, half)
    return first
