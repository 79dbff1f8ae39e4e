"""Arrow tables → pandas, over the mapped buffers themselves wherever pandas can use them."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hayate.mapping import MappedFile, find_mapping
from hayate.storable import storable

_NAT = np.iinfo(np.int64).min
_NULLABLE_INTEGERS = frozenset(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_PLAIN_NAMES = ("unicode", "string", "empty")


def to_pandas(
    table: pa.Table, mappings: Sequence[MappedFile] = (), *, sealed: bool = False
) -> pd.DataFrame:
    """A data frame of the table's rows; every column may be written to.

    Columns of one chunk that lie in one of `mappings` are used as they are: numbers, datetime64 and
    timedelta64 without a copy, strings Arrow-backed. Columns of several chunks are copied once.
    Integers and booleans with nulls become ``Int64``/``boolean`` and their kin, dictionaries
    ``category``, dates, times, decimals, bytes and nested types ``pd.ArrowDtype``. An index that
    was kept as columns is restored from the schema's pandas metadata.

    Args:
        table: rows to convert.
        mappings: private memory in which the table's buffers may be written to.
        sealed: the slots under nulls already hold NaN and NaT, as in hayate's own frames.
    """
    layout = _layout((table.schema.metadata or {}).get(b"pandas"), tuple(table.column_names))
    converter = _Converter(mappings, sealed)
    arrays = [
        converter.column(column, layout.original_types.get(name, ""))
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    is_index = set(layout.index_positions)
    data = [array for at, array in enumerate(arrays) if at not in is_index]
    index: pd.Index[Any] = pd.RangeIndex(table.num_rows)
    if layout.index_positions:
        index = _index([arrays[at] for at in layout.index_positions], layout.index_names)
    # One block per column, as the arrays are: consolidating them would copy everything.
    frame = pd.DataFrame(dict(enumerate(data)), index=index, copy=False)
    frame.columns = layout.columns.copy()
    return frame


def labels_of(metadata: bytes, names: tuple[str, ...]) -> pd.Index[Any]:
    """The labels of the columns that are no index, by the pandas metadata of a schema."""
    return _layout(metadata, names).columns


class _Layout:
    """What pandas metadata says about a schema: which columns are the index, and their names."""

    def __init__(self, columns: pd.Index[Any]) -> None:
        self.columns = columns
        self.index_positions: list[int] = []
        self.index_names: list[Any] = []
        self.original_types: dict[str, str] = {}


@functools.lru_cache(maxsize=64)
def _layout(metadata: bytes | None, names: tuple[str, ...]) -> _Layout:
    if metadata is None:
        return _Layout(pd.Index(list(names)) if names else pd.Index([], dtype=object))
    described = json.loads(metadata)
    index_columns = [
        name
        for name in described.get("index_columns", ())
        if isinstance(name, str) and name in names
    ]
    column_indexes = described.get("column_indexes") or [{}]
    first = column_indexes[0] or {}
    is_plain = (
        len(column_indexes) == 1
        and first.get("name") is None
        and first.get("pandas_type", "unicode") in _PLAIN_NAMES
        and not any("label" in column for column in described.get("columns", ()))
        and len(names) > len(index_columns)
    )
    data_names = [name for name in names if name not in index_columns]
    if is_plain and not index_columns:
        layout = _Layout(pd.Index(data_names))
    else:
        template = _template(described, names, index_columns)
        layout = _Layout(template.columns)
        layout.index_names = list(template.index.names)
        labels = {
            column["field_name"]: column["label"]
            for column in described.get("columns", ())
            if "label" in column
        }
        if labels:
            found = [labels.get(name, name) for name in data_names]
            layout.columns = pd.Index(found, name=template.columns.name)
    layout.index_positions = [names.index(name) for name in index_columns]
    for column in described.get("columns", ()):
        field = column.get("field_name") or column.get("name")
        if isinstance(field, str):
            layout.original_types[field] = column.get("numpy_type") or ""
    return layout


def _template(described: dict[str, Any], names: tuple[str, ...], index: list[str]) -> pd.DataFrame:
    """A frame without rows whose names pyarrow has restored; its types do not matter."""
    columns = [
        {**column, "pandas_type": "empty", "numpy_type": "object", "metadata": None}
        for column in described.get("columns", ())
    ]
    metadata = json.dumps({**described, "columns": columns, "index_columns": index})
    schema = pa.schema(
        [pa.field(name, pa.null()) for name in names], {b"pandas": metadata.encode()}
    )
    template: pd.DataFrame = schema.empty_table().to_pandas()
    return template


def _index(arrays: list[Any], names: list[Any]) -> pd.Index[Any]:
    if len(arrays) == 1:
        index: pd.Index[Any] = pd.Index(arrays[0], name=names[0])
        return index
    return pd.MultiIndex.from_arrays(arrays, names=names)


class _Converter:
    def __init__(self, mappings: Sequence[MappedFile], sealed: bool) -> None:
        self._mappings = mappings
        self._sealed = sealed

    def column(self, column: pa.ChunkedArray, original: str) -> Any:
        """The column as an array that pandas takes without a copy; `original` is the name of the
        pandas type that it was made from, or empty."""
        column = storable(column)
        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            return column.to_pandas().array
        arrow: Any = pd.ArrowDtype(kind)  # how pandas holds what NumPy has no type for
        if original.endswith("[pyarrow]"):
            return arrow.__from_arrow__(column)
        if pa.types.is_floating(kind):
            return self._floats(column, original)
        if pa.types.is_integer(kind):
            return self._integers(column, original)
        if pa.types.is_boolean(kind):
            return _booleans(column, original)
        if pa.types.is_timestamp(kind):
            values = self._times(column, f"M8[{kind.unit}]")
            if kind.tz is None:
                return values
            zone = pd.DatetimeTZDtype(kind.unit, kind.tz)
            return pd.array(values.view(np.int64), dtype=zone, copy=False)
        if pa.types.is_duration(kind):
            return self._times(column, f"m8[{kind.unit}]")
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return text_dtype(original).__from_arrow__(column)
        if pa.types.is_dictionary(kind):
            return self._categories(column)
        if pa.types.is_null(kind):
            return np.full(len(column), None, dtype=object)
        return arrow.__from_arrow__(column)

    def _floats(self, column: pa.ChunkedArray, original: str) -> Any:
        values = self._values(column, np.dtype(column.type.to_pandas_dtype()))
        if original in ("Float32", "Float64") and values.dtype.name == original.lower():
            return pd.arrays.FloatingArray(values, _null_mask(column))
        if column.null_count and not self._sealed:
            missing = _null_mask(column) & ~np.isnan(values)
            if missing.any():
                values[missing] = np.nan
        return values

    def _integers(self, column: pa.ChunkedArray, original: str) -> Any:
        values = self._values(column, np.dtype(column.type.to_pandas_dtype()))
        if column.null_count or original in _NULLABLE_INTEGERS:
            return pd.arrays.IntegerArray(values, _null_mask(column))
        return values

    def _times(self, column: pa.ChunkedArray, dtype: str) -> npt.NDArray[Any]:
        values = self._values(column, np.dtype(np.int64))
        if column.null_count and not self._sealed:
            missing = _null_mask(column) & (values != _NAT)
            if missing.any():
                values[missing] = _NAT
        return values.view(dtype)

    def _categories(self, column: pa.ChunkedArray) -> Any:
        column, ordered = _with_one_dictionary(column)
        if column.num_chunks == 0:
            values = pa.array([], column.type.value_type)
        else:
            values = column.chunk(0).dictionary
        if values.null_count or len(values.unique()) != len(values):
            # Arrow allows this, pandas does not.
            column = column.cast(column.type.value_type).dictionary_encode().unify_dictionaries()
            values = column.chunk(0).dictionary if column.num_chunks else values.slice(0, 0)
            ordered = False
        indices = pa.chunked_array(
            [chunk.indices for chunk in column.chunks], column.type.index_type
        )
        codes = self._values(indices, np.dtype(column.type.index_type.to_pandas_dtype()))
        if codes.dtype.kind == "u":
            codes = codes.astype(f"i{min(codes.dtype.itemsize * 2, 8)}")
        if column.null_count:
            codes[_null_mask(column)] = -1
        return pd.Categorical.from_codes(
            codes, categories=pd.Index(values.to_pandas()), ordered=ordered
        )

    def _values(self, column: pa.ChunkedArray, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Values of a fixed-width column, slots under nulls included; may be written to."""
        chunks = [chunk for chunk in column.chunks if len(chunk) > 0]
        if not chunks:
            return np.empty(0, dtype)
        if len(chunks) > 1:
            return np.concatenate([_view(chunk, dtype) for chunk in chunks])
        chunk = chunks[0]
        address = chunk.buffers()[1].address + chunk.offset * dtype.itemsize
        size = len(chunk) * dtype.itemsize
        mapping = find_mapping(self._mappings, address, size)
        if mapping is None or address % dtype.itemsize:
            return _view(chunk, dtype).copy()
        return mapping.view(address, size).view(dtype)


def text_dtype(original: str = "") -> Any:
    """The Arrow-backed text type: pandas 3's ``str``, and what comes nearest before it.

    Missing values are NaN, as in ``str``; a column that was ``string`` (missing values are pd.NA)
    becomes that again.
    """
    if original == "string":
        return pd.StringDtype("pyarrow")
    if _pandas_version() < (2, 3):
        return pd.StringDtype("pyarrow_numpy")
    return pd.StringDtype("pyarrow", na_value=np.nan)


def _pandas_version() -> tuple[int, int]:
    major, minor = pd.__version__.split(".")[:2]
    return int(major), int(minor)


def _view(chunk: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    offset = chunk.offset * dtype.itemsize
    return np.frombuffer(chunk.buffers()[1], dtype, count=len(chunk), offset=offset)


def _bits(buffer: pa.Buffer, offset: int, length: int) -> npt.NDArray[np.uint8]:
    first = offset // 8
    packed = np.frombuffer(buffer, np.uint8, count=(offset + length + 7) // 8 - first, offset=first)
    unpacked = np.unpackbits(packed, bitorder="little")
    return unpacked[offset - first * 8 : offset - first * 8 + length]


def _null_mask(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """True where the value is null."""
    masks = []
    for chunk in column.chunks:
        validity = chunk.buffers()[0]
        if validity is None:
            masks.append(np.zeros(len(chunk), dtype=np.bool_))
        else:
            masks.append(_bits(validity, chunk.offset, len(chunk)) == 0)
    return np.concatenate(masks) if masks else np.zeros(0, dtype=np.bool_)


def _with_one_dictionary(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, bool]:
    """All chunks with one dictionary, and whether it is ordered: only if one chunk's dictionary has
    the values of all others in their order."""
    if column.num_chunks < 2 or not column.type.ordered:
        return column.unify_dictionaries(), column.type.ordered
    longest = max(column.chunks, key=lambda chunk: len(chunk.dictionary))
    for chunk in column.chunks:
        places = pc.index_in(chunk.dictionary, value_set=longest.dictionary)
        if places.null_count or (np.diff(places.to_numpy()) <= 0).any():
            return column.unify_dictionaries(), False
    # First comes what shall be the dictionary of all.
    return pa.chunked_array([longest.slice(0, 0), *column.chunks]).unify_dictionaries(), True


def _booleans(column: pa.ChunkedArray, original: str) -> Any:
    chunks = [
        _bits(chunk.buffers()[1], chunk.offset, len(chunk)).view(np.bool_)
        for chunk in column.chunks
        if len(chunk) > 0
    ]
    values = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.bool_)
    if column.null_count or original == "boolean":
        return pd.arrays.BooleanArray(values, _null_mask(column))
    return values
