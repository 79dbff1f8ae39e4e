"""pandas → Arrow tables: nothing is lost, and a NaN that was a NaN stays one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from hayate.errors import UsageError, Where
from hayate.storable import as_one_chunk
from hayate.to_pandas import labels_of

# Kinds of column names that pyarrow makes text of, and does not restore.
_NAMES_AS_TEXT = ("boolean", "mixed-integer", "mixed")


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """The rows of a data frame as a table of one chunk per column, without a copy where possible.

    NaN in a column of floats stays NaN; the missing markers of nullable, datetime, string and
    object columns become null. Categories that Arrow's dictionaries cannot hold (intervals, as
    pd.cut makes them, and periods) become plain values of their type. A RangeIndex without a name
    is dropped (it is renumbered on the way back), any other index becomes columns that the schema's
    pandas metadata names.

    Raises:
        UsageError: two columns of one name, a column whose values have no one Arrow type, or one
            that would not come back as it is; names the column.
    """
    described = _describe(frame)
    names = [column["field_name"] for column in described["columns"]]
    sources: list[Any] = [frame.iloc[:, at] for at in range(frame.shape[1])]
    if not is_renumbered(frame.index):
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
    labels = _plain_labels(frame.columns)
    is_mixed = labels.nlevels == 1 and labels.inferred_type in _NAMES_AS_TEXT
    names = labels.map(str) if is_mixed else labels
    try:
        # Otherwise pyarrow makes no column of a RangeIndex, not of a named one either.
        schema = pa.Schema.from_pandas(frame.iloc[:0].set_axis(names, axis=1), preserve_index=True)
    except (ValueError, TypeError, pa.ArrowException) as error:
        for at, name in enumerate(frame.columns):
            _array(frame.iloc[:0, at], str(name))  # names the column, if it is one
        raise UsageError(
            f"the data frame cannot be stored: {error}",
            fix="Give its columns and index levels plain names and types that Arrow has.",
        ) from error
    described: dict[str, Any] = json.loads(schema.metadata[b"pandas"])
    if is_renumbered(frame.index):
        described["index_columns"] = []
        described["columns"] = described["columns"][: frame.shape[1]]
    fields = [column["field_name"] for column in described["columns"]]
    repeated = {name for name in fields if fields.count(name) > 1}
    if repeated:
        name = min(repeated)
        raise UsageError(
            f'two columns of the data frame are called "{name}" when their names are text',
            Where(column=name),
            "Rename one of them.",
        )
    if is_mixed:
        for column, label in zip(described["columns"], labels.tolist(), strict=False):
            if type(label) in (str, int, bool):
                column["label"] = label
    _check_labels(labels, described)
    return described


def _plain_labels(labels: Any) -> Any:
    """Labels of columns without categories: pyarrow can write those, but not read them again."""
    if isinstance(labels, pd.MultiIndex):
        return labels.set_levels([_plain_labels(level) for level in labels.levels])
    if isinstance(labels, pd.CategoricalIndex):
        return labels.astype(labels.categories.dtype)
    return labels


def _check_labels(labels: Any, described: dict[str, Any]) -> None:
    """Refuses names of columns that would not come back."""
    is_complete = labels.nlevels > 1 or not labels.hasnans
    if labels.inferred_type == "string" and is_complete:
        return
    names = tuple(column["field_name"] for column in described["columns"])
    try:
        back: Any = labels_of(json.dumps(described).encode(), names)
    except (TypeError, ValueError, pa.ArrowException):
        back = []
    if is_complete and labels.equals(back):
        return
    at = next((at for at, one in enumerate(back) if one != labels[at]), 0)
    raise UsageError(
        f"column {labels[at]!r} has a name of a type that is not stored",
        Where(column=str(labels[at])),
        "Give the columns names of text or numbers, for example by "
        "df.columns = df.columns.astype(str).",
    )


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
            values = source.to_numpy()
            array = pa.array(values, from_pandas=True)
            if pa.types.is_nested(array.type) and not all(
                _has_every_key(value, array.type) for value in values
            ):
                raise ValueError("its dicts have different keys; json.dumps makes text of them")
            return array
        return pa.array(np.ascontiguousarray(source.to_numpy()), from_pandas=False)
    if isinstance(dtype, pd.SparseDtype):
        return pa.array(np.asarray(source.array), from_pandas=False)
    array = pa.array(source.array)
    if pa.types.is_dictionary(array.type) and not _is_plain(array.type.value_type):
        return pa.array(source.array.astype(_with_missing(source.array.categories.dtype)))
    return array


def _with_missing(dtype: Any) -> Any:
    """The type of categories as one that has a missing value, which intervals of integers lack."""
    if isinstance(dtype, pd.IntervalDtype) and getattr(dtype.subtype, "kind", "") in "iu":
        return pd.IntervalDtype("float64", dtype.closed)
    return dtype


def _is_plain(kind: pa.DataType) -> bool:
    return not (isinstance(kind, pa.BaseExtensionType) or pa.types.is_nested(kind))


def _has_every_key(value: Any, kind: pa.DataType) -> bool:
    """Whether every dict in the value has the keys of all; Arrow would add what is missing."""
    if pa.types.is_struct(kind) and isinstance(value, dict):
        return len(value) == kind.num_fields and all(
            _has_every_key(value[field.name], field.type) for field in kind
        )
    if pa.types.is_list(kind) and isinstance(value, (list, tuple, np.ndarray)):
        inner = kind.value_type
        return not pa.types.is_nested(inner) or all(_has_every_key(one, inner) for one in value)
    return True
