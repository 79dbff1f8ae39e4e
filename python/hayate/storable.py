"""Arrow arrays in the types and the layout that frames store."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


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
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    plain = _plain_type(array.type)
    if plain == array.type:
        return array
    try:
        return array.cast(plain)
    except pa.ArrowNotImplementedError:  # pyarrow before 17
        return _rebuilt(array, plain)


def _rebuilt(array: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """A slow cast."""
    if isinstance(array, pa.ChunkedArray):
        return pa.chunked_array([_rebuilt(chunk, kind) for chunk in array.chunks], kind)
    if pa.types.is_dictionary(kind):
        values = _rebuilt(array.dictionary, kind.value_type)
        return pa.DictionaryArray.from_arrays(array.indices, values, ordered=kind.ordered)
    return pa.array(array.to_pylist(), kind)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """`kind` with the views in it, at any depth, as large strings and binaries."""
    if kind == _view_type("string_view"):
        return pa.large_string()
    if kind == _view_type("binary_view"):
        return pa.large_binary()
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain_type(kind.value_type), kind.ordered)
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain_type(field.type))


def _view_type(name: str) -> Any:
    factory = getattr(pa, name, None)
    return factory() if factory is not None else None
