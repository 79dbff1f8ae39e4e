"""Frames as a shuffle leaves them: batch p of every part is partition p."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import pyarrow as pa

from hayate import _core
from hayate.frames import write_table
from hayate.grouping import ROW_COLUMN


def shuffled(
    directory: pathlib.Path,
    table: pa.Table,
    partition_of: Sequence[int],
    *,
    parts: int = 1,
    numbered: bool = False,
) -> str:
    """Writes `table`, row i in partition `partition_of[i]`; returns the directory."""
    count = max(partition_of, default=0) + 1
    if numbered:
        table = table.append_column(ROW_COLUMN, pa.array(range(table.num_rows), pa.uint64()))
    for part in range(parts):
        start, stop = (table.num_rows * at // parts for at in (part, part + 1))
        batches = []
        for partition in range(count):
            rows = [row for row in range(start, stop) if partition_of[row] == partition]
            taken = table.take(pa.array(rows, pa.int64())).combine_chunks()
            batches.append(
                pa.RecordBatch.from_arrays(
                    [pa.concat_arrays(one.chunks) for one in taken.columns], schema=table.schema
                )
                if rows
                else pa.RecordBatch.from_pylist([], schema=table.schema)
            )
        rows_of_part = pa.RecordBatchReader.from_batches(table.schema, batches)
        write_table(rows_of_part, str(directory), part)
    _core.commit(str(directory), "test", parts)
    return str(directory)
