"""Row labels: the unnamed integers that filters and sorts of pandas leave of row numbers.

Whether a filter leaves them, or a RangeIndex that no column holds, depends on which rows it keeps.
So nothing may depend on the column being there (docs/formats/frame.md); src/hayate/frame/
row_labels.h is the same rule for the parts of a frame.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

_COLUMN = "__index_level_0__"


def has_row_labels(schema: pa.Schema) -> bool:
    """Whether a column of the schema holds row labels."""
    described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    return (
        described.get("index_columns") == [_COLUMN]
        and _COLUMN in schema.names
        and pa.types.is_integer(schema.field(_COLUMN).type)
        and any(
            one.get("field_name") == _COLUMN and one.get("name") is None
            for one in described.get("columns", ())
        )
    )


def without_row_labels(table: pa.Table) -> pa.Table:
    """The table without that column."""
    return table.drop_columns([_COLUMN]) if has_row_labels(table.schema) else table


def agreeing(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """The tables without row labels if one that has rows lacks them."""
    if all(table.num_rows == 0 or has_row_labels(table.schema) for table in tables):
        return list(tables)
    return [without_row_labels(table) for table in tables]
