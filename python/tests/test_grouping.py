"""Groups by key: the same as a dictionary over the rows would give."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayate.errors import UsageError
from hayate.grouping import ROW_COLUMN, group


def _expected(keys: list[tuple[Any, ...]]) -> list[list[int]]:
    """Rows of each group, by first appearance; NaNs are alike, -0.0 is 0.0."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(keys):
        plain = tuple("nan" if isinstance(one, float) and math.isnan(one) else one for one in key)
        groups.setdefault(plain, []).append(row)
    return list(groups.values())


_KEYS = st.lists(
    st.tuples(
        st.none() | st.integers(0, 3),
        st.none() | st.sampled_from(["", "a", "日本"]),
        st.none() | st.sampled_from([0.0, -0.0, math.nan, 1.5]),
    ),
    max_size=30,
)


@given(_KEYS, st.sampled_from(["pandas", "polars", "arrow"]))
def test_groups_are_those_of_a_dictionary(keys: list[tuple[Any, ...]], form: Any) -> None:
    table = pa.table(
        {
            "i": pa.array([key[0] for key in keys], pa.int16()),
            "s": pa.array([key[1] for key in keys], pa.string()).dictionary_encode(),
            "f": pa.array([key[2] for key in keys], pa.float64()),
            "row": pa.array(range(len(keys)), pa.int64()),
            ROW_COLUMN: pa.array([10 * row for row in range(len(keys))], pa.uint64()),
        }
    )
    groups = group([table], ["i", "s", "f"], [form])
    expected = _expected(keys)
    found = []
    for (rows,) in groups:
        column = rows.column("row") if form == "arrow" else rows["row"]
        found.append(column.to_pylist() if form == "arrow" else list(column))
        names = rows.column_names if form == "arrow" else list(rows.columns)
        assert ROW_COLUMN not in names
    assert found == expected
    assert groups.first_rows == [10 * rows[0] for rows in expected]
    assert len(groups) == len(groups.keys) == len(expected)


def test_missing_column_is_named_with_those_there_are() -> None:
    table = pa.table({"a": [1], ROW_COLUMN: pa.array([0], pa.uint64())})
    with pytest.raises(UsageError, match='no column "b"') as caught:
        group([table], ["b"], ["pandas"])
    assert caught.value.fix == "The columns are a."


def test_keys_of_types_that_do_not_go_together_are_named() -> None:
    numbers, texts = pa.table({"a": [1], "k": [1]}), pa.table({"a": [1.5], "k": ["1"]})
    with pytest.raises(UsageError, match='"k" is of types that do not') as caught:
        group([numbers, texts], ["a", "k"], ["pandas", "pandas"])
    assert caught.value.what.endswith("int64 and large_string")
    assert caught.value.where.column == "k"


def test_frames_cannot_be_grouped() -> None:
    with pytest.raises(UsageError, match="group_by"):
        group([pa.table({"a": [1]})], ["a"], ["frame"])


def test_writing_to_a_group_warns_of_nothing_and_changes_no_other() -> None:
    table = pa.table({"k": [1, 2, 1], "v": [1.0, 2.0, 3.0]})
    seen = []
    for (rows,) in group([table], ["k"], ["pandas"]):
        seen.append(rows["v"].tolist())
        rows.loc[0, "v"] = -1.0
        rows["new"] = 1
    assert seen == [[1.0, 3.0], [2.0]]
