"""Data frames of every kind ↔ Arrow tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import pyarrow as pa

from hayate.errors import UsageError
from hayate.from_pandas import from_pandas
from hayate.mapping import MappedFile
from hayate.row_labels import without_row_labels
from hayate.storable import as_one_chunk, storable
from hayate.to_pandas import to_pandas

As = Literal["pandas", "polars", "arrow", "frame"]
"""How data is handed to the user: a pandas or Polars data frame, a pyarrow table, a hy.Frame."""

__all__ = ["ArrowStream", "As", "as_form", "check_as", "is_data_frame", "to_pandas", "to_table"]


@runtime_checkable
class ArrowStream(Protocol):
    """Anything that gives its rows by the Arrow C stream interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def check_as(as_: str | None) -> As:
    """`as_` if it is one of the forms ("pandas" for None).

    Raises:
        UsageError: it is none of them.
    """
    if as_ is None:
        return "pandas"
    for form in get_args(As):
        if as_ == form:
            return form  # type: ignore[no-any-return]
    raise UsageError(
        f"as_={as_!r} is no form of data", fix='Use "pandas", "polars", "arrow" or "frame".'
    )


def is_data_frame(value: object) -> bool:
    """Whether `value` is a table that is stored as Arrow: pandas, Polars, pyarrow, hy.Frame, or any
    other object that gives its rows by the Arrow C stream interface. A single column is none."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        return isinstance(value, pandas.DataFrame)
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(
        value, (polars.DataFrame, polars.LazyFrame, polars.Series)
    ):
        return not isinstance(value, polars.Series)
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return False
    return isinstance(value, (pa.Table, pa.RecordBatch, ArrowStream))


def to_table(value: Any) -> pa.Table:
    """The rows of a data frame (see is_data_frame) as an Arrow table that frames can store.

    Raises:
        UsageError: a column cannot be stored; names it.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return from_pandas(value)
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, polars.LazyFrame):
        value = value.collect()
    if polars is not None and isinstance(value, polars.DataFrame):
        value = _polars_to_arrow(value, polars)
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if not isinstance(value, pa.Table):
        value = pa.RecordBatchReader.from_stream(value).read_all()
    return _storable_table(value)


def _polars_to_arrow(frame: Any, polars: Any) -> pa.Table:
    # Polars' own string views would need a cast anyway; large strings cross without a copy.
    if hasattr(polars, "CompatLevel"):
        return frame.to_arrow(compat_level=polars.CompatLevel.oldest())
    return frame.to_arrow()


def _storable_table(table: pa.Table) -> pa.Table:
    names = table.column_names
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise UsageError(
            f'the table has more than one column "{min(repeated)}"',
            fix="Rename or drop one of them.",
        )
    columns = [storable(column) for column in table.columns]
    fields = [
        field.with_type(column.type) for field, column in zip(table.schema, columns, strict=True)
    ]
    schema = pa.schema(fields, table.schema.metadata)
    # The batches of one part share their dictionaries.
    return pa.Table.from_arrays(columns, schema=schema).unify_dictionaries()


def as_form(
    table: pa.Table, as_: As, mappings: Sequence[MappedFile] = (), *, sealed: bool = False
) -> Any:
    """An Arrow table in the form that the user asked for; row labels are pandas' alone.

    Args:
        table: the rows.
        as_: "pandas", "polars" or "arrow" ("frame" needs files, see hayate.frames).
        mappings, sealed: see to_pandas.
    """
    if as_ == "pandas":
        return to_pandas(table, mappings, sealed=sealed)
    table = without_row_labels(table)
    return _to_polars(table) if as_ == "polars" else table


def _to_polars(table: pa.Table) -> Any:
    try:
        import polars
    except ImportError as error:
        raise UsageError(
            'as_="polars" needs Polars, which is not installed', fix="pip install polars"
        ) from error
    if table.num_columns == 0:
        return polars.DataFrame()
    return polars.from_arrow(table, rechunk=False)


def one_chunk_per_column(table: pa.Table) -> pa.Table:
    """The table as one record batch: mapped, it is a pandas frame without a copy."""
    if all(column.num_chunks == 1 for column in table.columns):
        return table
    arrays = [as_one_chunk(column) for column in table.columns]
    fields = [
        field.with_type(array.type) for field, array in zip(table.schema, arrays, strict=True)
    ]
    return pa.table(arrays, schema=pa.schema(fields, table.schema.metadata))
