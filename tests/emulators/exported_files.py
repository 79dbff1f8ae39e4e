"""The files that EXPORT DATA writes: rows → CSV or Parquet, as the real service does it.

Where the service's own habit is not known, the habit is an option of `Dialect`.
"""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# A field of a schema as the REST interface has it.
Field = dict[str, Any]

COMPRESSIONS: dict[str, frozenset[str]] = {
    "CSV": frozenset({"NONE", "GZIP"}),
    "PARQUET": frozenset({"NONE", "SNAPPY", "GZIP", "ZSTD"}),
}
_ARROW_TYPES: dict[str, pa.DataType] = {
    "INTEGER": pa.int64(),
    "INT64": pa.int64(),
    "FLOAT": pa.float64(),
    "FLOAT64": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BOOL": pa.bool_(),
    "STRING": pa.string(),
    "JSON": pa.string(),
    "BYTES": pa.binary(),
    "GEOGRAPHY": pa.binary(),
    "DATE": pa.date32(),
    "DATETIME": pa.timestamp("us"),
    # Neither says that it is in UTC: what a column is has to come from BigQuery's own schema.
    "TIMESTAMP": pa.timestamp("us"),
    "TIME": pa.time64("us"),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
}
_ZLIB_LEVEL = 1


@dataclass(frozen=True)
class Dialect:
    """What is not known of the service for certain.

    Attributes:
        nan: how NaN is written.
        infinity: how infinity is written; the negative one with a minus.
        datetime_separator: between the date and the time of a DATETIME.
        empty_string: how the empty STRING is written.
        gzip_members: of a compressed CSV file.
        row_group_rows: of a Parquet file, or None for one row group.
    """

    nan: str = "NaN"
    infinity: str = "Infinity"
    datetime_separator: str = "T"
    empty_string: str = '""'
    gzip_members: int = 1
    row_group_rows: int | None = None


@dataclass(frozen=True)
class FileOptions:
    """The OPTIONS of EXPORT DATA that say what is in a file."""

    format: str
    compression: str = "NONE"
    header: bool = False
    field_delimiter: str = ","

    @property
    def content_type(self) -> str:
        return "text/csv" if self.format == "CSV" else "application/octet-stream"


def nested_field(fields: list[Field]) -> str | None:
    """The first column that CSV cannot hold."""
    for field in fields:
        if field.get("mode") == "REPEATED" or field["type"] in ("RECORD", "STRUCT"):
            return str(field["name"])
    return None


def arrow_type(field: Field) -> pa.DataType:
    """The type of a column in the service's Parquet files."""
    if field["type"] in ("RECORD", "STRUCT"):
        members = [pa.field(one["name"], arrow_type(one)) for one in field.get("fields", ())]
        one: pa.DataType = pa.struct(members)
    else:
        one = _ARROW_TYPES.get(field["type"], pa.string())
    return pa.list_(one) if field.get("mode") == "REPEATED" else one


def typed(table: pa.Table, fields: list[Field]) -> pa.Table:
    """The rows with the service's own types and names."""
    columns = [
        column
        # A cast to UTC-less microseconds keeps the instant; the text is UTC's.
        if column.type == (wanted := arrow_type(field))
        else column.cast(wanted)
        for column, field in zip(table.columns, fields, strict=True)
    ]
    return pa.table(columns, names=[field["name"] for field in fields])


def split(table: pa.Table, count: int) -> Iterator[pa.Table]:
    """Exactly `count` shards in order, of nearly the same length; some empty if rows are few."""
    rows: int = table.num_rows
    bounds = [rows * i // count for i in range(count + 1)]
    for first, end in itertools.pairwise(bounds):
        yield table.slice(first, end - first)


def file_bytes(
    table: pa.Table, fields: list[Field], options: FileOptions, dialect: Dialect
) -> bytes:
    """One file with the rows of a table that has the types of `typed`."""
    if options.format == "PARQUET":
        return _parquet(table, fields, options, dialect)
    text = csv_text(table, fields, options, dialect)
    return _gzip(text, dialect.gzip_members) if options.compression == "GZIP" else text


def csv_text(table: pa.Table, fields: list[Field], options: FileOptions, dialect: Dialect) -> bytes:
    """The lines of a table; a NULL is an empty field."""
    delimiter = options.field_delimiter
    lines = []
    if options.header:
        names = pa.array([field["name"] for field in fields], pa.string())
        lines.append(delimiter.join(_quoted(names, delimiter).to_pylist()) + "\n")
    if table.num_rows:
        texts = [
            pc.fill_null(_field_text(column, field["type"], delimiter, dialect), "")
            for column, field in zip(table.columns, fields, strict=True)
        ]
        joined = pc.binary_join_element_wise(*texts, delimiter)
        lines += ["\n".join(joined.to_pylist()), "\n"]
    return "".join(lines).encode()


def _field_text(
    column: pa.ChunkedArray, kind: str, delimiter: str, dialect: Dialect
) -> pa.ChunkedArray:
    """A column's fields, NULL where it is."""
    if kind in ("BOOLEAN", "BOOL"):
        return pc.if_else(column, "true", "false")
    if kind in ("FLOAT", "FLOAT64"):
        return _each(column, lambda value: _float_text(value, dialect))
    if kind in ("NUMERIC", "BIGNUMERIC"):
        # Arrow's own text has an exponent for small values.
        return _each(column, lambda value: _trimmed(f"{value:f}"))
    if kind == "BYTES":
        return _each(column, lambda value: base64.b64encode(value).decode())
    if kind == "TIMESTAMP":
        return pc.binary_join_element_wise(_trimmed_text(column), pa.scalar(" UTC"), "")
    if kind == "DATETIME":
        return pc.replace_substring(_trimmed_text(column), " ", dialect.datetime_separator)
    if kind == "TIME":
        return _trimmed_text(column)
    if kind in ("STRING", "JSON", "GEOGRAPHY"):
        text = column.cast(pa.string())
        is_empty = pc.equal(text, "")
        return pc.if_else(is_empty, dialect.empty_string, _quoted(text, delimiter))
    return _quoted(column.cast(pa.string()), delimiter)


def _quoted(text: pa.ChunkedArray, delimiter: str) -> pa.ChunkedArray:
    """Quotes what holds a delimiter, a quote or a line end."""
    needs = pc.match_substring(text, delimiter)
    for special in ('"', "\n", "\r"):
        needs = pc.or_(needs, pc.match_substring(text, special))
    doubled = pc.replace_substring(text, '"', '""')
    quote = pa.scalar('"')
    return pc.if_else(needs, pc.binary_join_element_wise(quote, doubled, quote, ""), text)


def _trimmed_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times with the fraction only as long as it has to be."""
    return pc.utf8_rtrim(pc.utf8_rtrim(column.cast(pa.string()), "0"), ".")


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _float_text(value: float, dialect: Dialect) -> str:
    if value != value:
        return dialect.nan
    if value in (float("inf"), float("-inf")):
        return dialect.infinity if value > 0 else f"-{dialect.infinity}"
    return repr(value)


def _each(column: pa.ChunkedArray, text: Any) -> pa.Array:
    return pa.array(
        [None if value is None else text(value) for value in column.to_pylist()], pa.string()
    )


def _gzip(text: bytes, members: int) -> bytes:
    size = max(1, -(-len(text) // members))
    pieces = [text[i : i + size] for i in range(0, len(text), size)] or [b""]
    return b"".join(gzip.compress(piece, _ZLIB_LEVEL, mtime=0) for piece in pieces)


def _parquet(table: pa.Table, fields: list[Field], options: FileOptions, dialect: Dialect) -> bytes:
    out = io.BytesIO()
    with pq.ParquetWriter(
        out,
        table.schema,
        compression=options.compression.lower(),
        store_schema=False,
        write_time_adjusted_to_utc=True,
    ) as writer:
        writer.write_table(table, row_group_size=dialect.row_group_rows)
        geography = [field["name"] for field in fields if field["type"] == "GEOGRAPHY"]
        if geography:
            writer.add_key_value_metadata({"geo": json.dumps(_geo_parquet(geography))})
    return out.getvalue()


def _geo_parquet(names: list[str]) -> dict[str, object]:
    """What GeoParquet says of its columns."""
    column = {"encoding": "WKB", "geometry_types": [], "edges": "spherical"}
    return {
        "version": "1.0.0",
        "primary_column": names[0],
        "columns": {name: column for name in names},
    }
