"""Rows of a partition → groups of one key each, in order of first appearance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hayate.convert import As, as_form
from hayate.errors import UsageError, Where
from hayate.storable import as_one_chunk

#: The hidden column of a frame shuffled for group_by: uint64, row in the whole input.
ROW_COLUMN = "__hayate_row"

# Groups that are only in the second input come after all groups of the first.
_NOT_IN_FIRST = 1 << 62


@dataclass(frozen=True)
class Groups:
    """The groups of a partition.

    Attributes:
        keys: one key per group, as Python values; null is None.
        first_rows: row in the whole input at which each group first appears.
        inputs: for each input, the rows of every group.
    """

    keys: list[tuple[Any, ...]]
    first_rows: list[int]
    inputs: list[GroupedInput]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """For each group its rows in each input."""
        return zip(*self.inputs, strict=True)


class GroupedInput:
    """One input, its rows sorted by group; iterating gives each group's rows in the user's form."""

    def __init__(self, table: pa.Table, groups: npt.NDArray[np.int64], count: int, as_: As) -> None:
        if as_ == "frame":
            raise UsageError(
                'as_="frame" cannot be combined with group_by',
                fix='Use "pandas", "polars" or "arrow", or partition_by.',
            )
        order = _sorted_by(groups, count)
        if (order[1:] < order[:-1]).any():
            table = table.take(pa.array(order))
        self._ends = np.cumsum(np.bincount(groups, minlength=count)).tolist()
        self._data = as_form(table.combine_chunks(), as_)
        self._as = as_

    def __iter__(self) -> Iterator[Any]:
        data, start = self._data, 0
        is_numbered = self._as == "pandas" and isinstance(data.index, pd.RangeIndex)
        for end in self._ends:
            if self._as == "pandas":
                rows = data.iloc[start:end]
                # A group may be written to like any frame, so it is no view of another in the
                # eyes of pandas before 3.
                yield rows.reset_index(drop=True) if is_numbered else rows.copy()
            else:
                yield data.slice(start, end - start)
            start = end


def group(tables: Sequence[pa.Table], by: Sequence[str], forms: Sequence[As]) -> Groups:
    """Groups the rows of one partition by key.

    Null is a key, all NaNs are one key, and -0.0 is 0.0, as in the hash that made the partitions.

    Args:
        tables: the split inputs, each with ROW_COLUMN, which is taken out.
        by: the key's columns.
        forms: for each table, the form in which its groups are handed out.
    """
    keys = [_keys(table, by) for table in tables]
    rows = [_row_numbers(table) for table in tables]
    joined = _joined(keys).combine_chunks()
    groups, firsts = _number(joined)
    all_rows = np.concatenate(
        [numbers + (0 if at == 0 else _NOT_IN_FIRST) for at, numbers in enumerate(rows)]
    )
    inputs, start = [], 0
    for table, form in zip(tables, forms, strict=True):
        own = groups[start : start + table.num_rows]
        start += table.num_rows
        inputs.append(GroupedInput(without_row_numbers(table), own, len(firsts), form))
    values = joined.take(pa.array(firsts))
    return Groups(
        keys=list(zip(*(column.to_pylist() for column in values.columns), strict=True)),
        first_rows=[int(row) for row in all_rows[firsts]],
        inputs=inputs,
    )


def without_row_numbers(table: pa.Table) -> pa.Table:
    """The table without the hidden column."""
    return table.drop_columns([ROW_COLUMN]) if ROW_COLUMN in table.column_names else table


def _row_numbers(table: pa.Table) -> npt.NDArray[np.int64]:
    if ROW_COLUMN not in table.column_names:
        return np.arange(table.num_rows, dtype=np.int64)
    numbers: npt.NDArray[np.int64] = table.column(ROW_COLUMN).to_numpy().astype(np.int64)
    return numbers


def _keys(table: pa.Table, by: Sequence[str]) -> pa.Table:
    missing = [name for name in by if name not in table.column_names]
    if missing:
        names = [name for name in table.column_names if name != ROW_COLUMN]
        raise UsageError(
            f'there is no column "{missing[0]}" to group by',
            Where(column=missing[0]),
            f"The columns are {', '.join(names)}.",
        )
    return pa.table({name: _comparable(table.column(name)) for name in by})


def _joined(keys: Sequence[pa.Table]) -> pa.Table:
    """The keys of all inputs below each other, each column in one type."""
    columns = {}
    for name in keys[0].column_names:
        parts = [table.select([name]) for table in keys]
        try:
            columns[name] = pa.concat_tables(parts, promote_options="permissive").column(name)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            types = " and ".join(str(part.schema.field(name).type) for part in parts)
            raise UsageError(
                f'the key "{name}" is of types that do not go together: {types}',
                Where(column=name),
                "Give it one type in all of the split inputs, for example by schema=.",
            ) from error
    return pa.table(columns)


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in the widest type of its kind, so that equal keys of two inputs are equal."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind):
        return column.cast(pa.large_string())
    if pa.types.is_binary(kind):
        return column.cast(pa.large_binary())
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return pc.add(column.cast(pa.float64()), 0.0)
    return column


def _number(keys: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The group of each row, by first appearance, and the row at which each first appears."""
    groups = np.zeros(keys.num_rows, dtype=np.int64)
    count = min(keys.num_rows, 1)
    for column in keys.columns:
        codes, distinct = _codes(column)
        # Renumbered after each column, so that the product stays small.
        groups, count = _codes(pa.chunked_array([pa.array(groups * distinct + codes)]))
    firsts = np.empty(count, dtype=np.int64)
    firsts[groups[::-1]] = np.arange(len(groups))[::-1]
    return groups, firsts


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], int]:
    """The number of each value, by first appearance, and how many there are; null is a value."""
    encoded = as_one_chunk(column).dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)


def _sorted_by(groups: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Rows by group, in order within one; NumPy sorts 16-bit numbers by counting."""
    return np.argsort(groups.astype(np.uint16) if count < 1 << 16 else groups, kind="stable")
