"""pandas → Arrow tables: nothing is lost, and a NaN that was a NaN stays one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hayate.errors import UsageError, Where


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """The rows of a data frame as a table of one chunk per column, without a copy where possible.

    NaN in a column of floats stays NaN; the missing markers of nullable, datetime, string and
    object columns become null. A RangeIndex without a name is dropped (it is renumbered on the way
    back), any other index becomes columns that the schema's pandas metadata names.

    Raises:
        UsageError: two columns of one name, or a column whose values have no one Arrow type;
            names the column.
    """
    described = _describe(frame)
    names = [column["field_name"] for column in described["columns"]]
    sources: list[Any] = [frame.iloc[:, at] for at in range(frame.shape[1])]
    if is_renumbered(frame.index):
        described["index_columns"] = []
        names = names[: len(sources)]
        described["columns"] = described["columns"][: len(sources)]
    else:
        levels = range(frame.index.nlevels)
        sources += [frame.index.get_level_values(level) for level in levels]
    arrays = [_array(source, name) for source, name in zip(sources, names, strict=True)]
    for column, source in zip(described["columns"], sources, strict=True):
        if _is_text_with_nan(source.dtype):
            column["numpy_type"] = "str"
    fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    metadata = {b"pandas": json.dumps(described).encode()}
    return pa.table(arrays, schema=pa.schema(fields, metadata))


def is_renumbered(index: pd.Index[Any]) -> bool:
    """Whether an index says no more than the order of the rows."""
    return isinstance(index, pd.RangeIndex) and index.name is None


def _describe(frame: pd.DataFrame) -> dict[str, Any]:
    """pandas' own metadata, from the frame without its rows (no value is converted for it)."""
    if frame.columns.has_duplicates:
        name = frame.columns[frame.columns.duplicated()][0]
        raise UsageError(
            f"the data frame has more than one column {name!r}",
            Where(column=str(name)),
            "Rename or drop one of them.",
        )
    try:
        # Otherwise pyarrow makes no column of a RangeIndex, not of a named one either.
        schema = pa.Schema.from_pandas(frame.iloc[:0], preserve_index=True)
    except (ValueError, TypeError, pa.ArrowException) as error:
        for at, name in enumerate(frame.columns):
            _array(frame.iloc[:0, at], str(name))  # names the column, if it is one
        raise UsageError(
            f"the data frame cannot be stored: {error}",
            fix="Give its columns and index levels plain names and types that Arrow has.",
        ) from error
    described: dict[str, Any] = json.loads(schema.metadata[b"pandas"])
    fields = [column["field_name"] for column in described["columns"]]
    repeated = {name for name in fields if fields.count(name) > 1}
    if repeated:
        name = min(repeated)
        raise UsageError(
            f'two columns of the data frame are called "{name}" when their names are text',
            Where(column=name),
            "Rename one of them.",
        )
    return described


def _is_text_with_nan(dtype: Any) -> bool:
    return isinstance(dtype, pd.StringDtype) and dtype.na_value is not pd.NA


def _array(source: Any, name: str) -> pa.Array:
    try:
        return as_one_chunk(_converted(source))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f'column "{name}" of type {source.dtype} cannot be stored: {error}',
            Where(column=name),
            "Give the column values of one type, for example by "
            f'df["{name}"] = df["{name}"].astype(…).',
        ) from error


def _converted(source: Any) -> pa.Array | pa.ChunkedArray:
    dtype = source.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind == "O":
            return pa.array(source.to_numpy(), from_pandas=True)
        return pa.array(np.ascontiguousarray(source.to_numpy()), from_pandas=False)
    if isinstance(dtype, pd.SparseDtype):
        return pa.array(np.asarray(source.array), from_pandas=False)
    return pa.array(source.array)


def as_one_chunk(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The array in one piece (a copy only if it is in several), of a type that frames store."""
    array = storable(array)
    if isinstance(array, pa.Array):
        return array
    if array.num_chunks == 1:
        return array.chunk(0)
    if pa.types.is_string(array.type):
        array = array.cast(pa.large_string())  # 2 GiB of text fit into no one chunk of strings
    elif pa.types.is_binary(array.type):
        array = array.cast(pa.large_binary())
    combined = array.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        return combined.chunk(0) if combined.num_chunks else pa.array([], array.type)
    return combined


def storable(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """`array` with the types that only live in memory (views, run ends) in their plain form."""
    kind = array.type
    if kind in (_view_type("string_view"), _view_type("binary_view")):
        plain = pa.large_string() if kind == _view_type("string_view") else pa.large_binary()
        try:
            return array.cast(plain)
        except pa.ArrowNotImplementedError:  # pyarrow before 17
            return pa.array(array.to_pylist(), plain)
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_decode(array)
    return array


def _view_type(name: str) -> Any:
    factory = getattr(pa, name, None)
    return factory() if factory is not None else None
