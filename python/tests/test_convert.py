"""pandas, Polars and Arrow in, the same out."""

from __future__ import annotations

import datetime as dt
import pathlib

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from data_frames import assert_same, every_type, objects
from hypothesis import given
from hypothesis import strategies as st

import hayate as hy
from hayate import _core
from hayate.convert import as_form, is_data_frame, one_chunk_per_column, to_pandas, to_table
from hayate.errors import UsageError
from hayate.frames import write_table
from hayate.from_pandas import from_pandas
from hayate.to_pandas import text_dtype


@pytest.mark.parametrize("name", every_type().columns)
def test_column_comes_back_as_it_was(name: str) -> None:
    frame = every_type()[[name]]
    assert_same(to_pandas(from_pandas(frame)), frame)


@pytest.mark.parametrize("name", every_type().columns)
def test_column_without_rows_keeps_its_type(name: str) -> None:
    frame = every_type()[[name]].iloc[:0]
    assert_same(to_pandas(from_pandas(frame)), frame)


@pytest.mark.parametrize("name", every_type().columns)
def test_column_of_several_chunks_is_put_together(name: str) -> None:
    frame = every_type()[[name]]
    table = from_pandas(frame)
    chunked = pa.concat_tables([table.slice(0, 2), table.slice(2, 0), table.slice(2)])
    assert_same(to_pandas(chunked), frame)


@pytest.mark.parametrize("name", every_type().columns)
def test_slice_is_the_slice(name: str) -> None:
    frame = every_type()[[name]]
    assert_same(to_pandas(from_pandas(frame).slice(1, 3)), frame.iloc[1:4].reset_index(drop=True))


def test_text_is_arrow_backed_and_its_missing_values_are_nan() -> None:
    back = to_pandas(from_pandas(pd.DataFrame({"s": ["a", None, "", "日本"]})))
    assert back["s"].dtype == text_dtype()
    assert back["s"].tolist()[:1] + back["s"].tolist()[2:] == ["a", "", "日本"]
    assert back["s"].isna().tolist() == [False, True, False, False]
    assert_same(to_pandas(from_pandas(back)), back)


def test_nullable_text_keeps_pd_na() -> None:
    back = to_pandas(from_pandas(pd.DataFrame({"s": pd.array(["a", None], dtype="string")})))
    assert back["s"].dtype == "string"
    assert back["s"][1] is pd.NA


@pytest.mark.parametrize("name", objects().columns)
def test_column_of_objects_comes_back_as_arrow_type_with_equal_values(name: str) -> None:
    frame = objects()[[name]]
    back = to_pandas(from_pandas(frame))
    assert isinstance(back[name].dtype, pd.ArrowDtype)
    values = [list(one) if isinstance(one, np.ndarray) else one for one in back[name]]
    assert [values[0], values[2]] == [frame[name][0], frame[name][2]]
    assert values[1] is pd.NA


def test_nan_stays_nan_and_null_stays_null() -> None:
    table = from_pandas(
        pd.DataFrame({"plain": [1.0, np.nan], "nullable": pd.array([1.0, None], dtype="Float64")})
    )
    assert [column.null_count for column in table.columns] == [0, 1]


def test_integers_with_nulls_become_nullable_and_never_float() -> None:
    big = 2**63 - 1
    back = to_pandas(pa.table({"i": pa.array([big, None]), "u": pa.array([1, None], pa.uint8())}))
    assert back.dtypes.astype(str).tolist() == ["Int64", "UInt8"]
    assert back["i"][0] == big


def test_booleans_with_nulls_become_nullable() -> None:
    back = to_pandas(pa.table({"b": pa.array([True, None, False])}))
    assert back["b"].dtype == "boolean"
    assert back["b"].tolist() == [True, pd.NA, False]


def test_slots_under_nulls_of_foreign_tables_do_not_show() -> None:
    seven = pa.py_buffer(np.array([7.0, 7.0]).tobytes())
    validity = pa.py_buffer(b"\x01")
    floats = pa.Array.from_buffers(pa.float64(), 2, [validity, seven])
    times = pa.Array.from_buffers(pa.timestamp("us"), 2, [validity, seven])
    back = to_pandas(pa.table({"f": floats, "t": times}))
    assert back.isna().to_numpy().tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([5, 4, 3, 2, 1], name="k"),
        pd.MultiIndex.from_arrays([[1, 1, 2, 2, 3], range(5)], names=["x", None]),
        pd.date_range("2020", periods=5, tz="UTC"),
        pd.CategoricalIndex(list("aabbc")),
    ],
    ids=["integers", "levels", "times", "categories"],
)
def test_index_is_restored(index: pd.Index) -> None:
    frame = every_type()[["float", "int"]]
    frame.index = index
    assert_same(to_pandas(from_pandas(frame)), frame)


def test_range_index_is_renumbered() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=pd.RangeIndex(10, 16, 2))
    table = from_pandas(frame)
    assert table.column_names == ["a"]
    assert to_pandas(table).index.tolist() == [0, 1, 2]


@pytest.mark.parametrize("clashes", [False, True])
def test_range_index_with_a_name_is_kept(clashes: bool) -> None:
    # pandas 3 makes one of any evenly spaced ids: items.set_index("item_id").
    frame = pd.DataFrame(
        {"id" if clashes else "a": [7, 8, 9]}, index=pd.RangeIndex(1, 4, name="id")
    )
    back = to_pandas(from_pandas(frame))
    pd.testing.assert_frame_equal(back, frame, check_index_type=False)


def test_row_labels_are_seen_in_pandas_alone() -> None:
    frame = pd.DataFrame({"x": range(5)})[[True, True, False, False, True]]
    table = from_pandas(frame)
    assert as_form(table, "pandas").index.tolist() == [0, 1, 4]
    assert as_form(table, "arrow").column_names == ["x"]
    assert as_form(table, "polars").columns == ["x"]
    texts = from_pandas(frame.set_axis(["a", "b", "c"]))
    assert len(as_form(texts, "arrow").column_names) == 2


def test_names_of_columns_that_are_no_text_are_restored() -> None:
    numbers = pd.DataFrame(np.arange(6).reshape(3, 2))
    assert_same(to_pandas(from_pandas(numbers)), numbers)
    levels = numbers.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), axis=1)
    assert_same(to_pandas(from_pandas(levels)), levels)
    named = pd.DataFrame({"a": [1]}).rename_axis(columns="name")
    assert_same(to_pandas(from_pandas(named)), named)


def test_names_of_columns_of_mixed_types_are_restored() -> None:
    mixed = pd.DataFrame([[1, 2, 3]], columns=["user", 0, 1])
    assert to_pandas(from_pandas(mixed)).columns.tolist() == ["user", 0, 1]
    truths = pd.DataFrame([[1, 2]], columns=pd.Index([True, False], name="bought"))
    assert_same(to_pandas(from_pandas(truths)), truths)


def _with_cut() -> pd.DataFrame:
    frame = pd.DataFrame({"k": list("aba"), "c": pd.Categorical(list("xyx")), "v": [1, 2, 3]})
    return frame.assign(b=pd.cut(frame["v"], [0, 1, 2]))


@pytest.mark.parametrize(
    "frame",
    [
        _with_cut(),
        _with_cut().groupby("b", observed=False)[["v"]].sum(),
        _with_cut().pivot_table(index="k", columns="c", values="v", observed=False),
        _with_cut().pivot_table(index="k", columns=["c"], values=["v"], observed=False),
    ],
    ids=["cut", "index", "pivot", "levels"],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_categories_that_arrow_cannot_hold_become_plain_values(
    tmp_path: pathlib.Path, frame: pd.DataFrame, parts: int
) -> None:
    for number in range(parts):
        write_table(from_pandas(frame), str(tmp_path), number)
    _core.commit(str(tmp_path), "test", parts)
    numbered = isinstance(frame.index, pd.RangeIndex)
    expected = pd.concat([frame] * parts, ignore_index=numbered)
    back = hy.load(tmp_path)
    assert back.columns.tolist() == expected.columns.tolist()
    assert back.index.tolist() == expected.index.tolist()
    for at in range(expected.shape[1]):
        # Intervals of whole numbers become intervals of floats, and equal those.
        assert back.iloc[:, at].dropna().tolist() == expected.iloc[:, at].dropna().tolist()
        assert back.iloc[:, at].isna().tolist() == expected.iloc[:, at].isna().tolist()


def test_frame_without_columns_is_stored() -> None:
    assert to_pandas(from_pandas(pd.DataFrame())).shape == (0, 0)
    assert to_pandas(from_pandas(pd.DataFrame(index=[3, 4]))).index.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("frame", "column", "said"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a", "more than one column 'a'"),
        (pd.DataFrame({"m": [1, "a"]}, dtype=object), "m", 'column "m" of type object'),
        (pd.DataFrame({"ok": [1], "z": [1j]}), "z", 'column "z" of type complex128'),
        (pd.DataFrame({"d": [{"x": 1}, {"y": 1}]}), "d", "dicts have different keys"),
        (pd.DataFrame({"d": [[{"x": 1}], [{"x": 1, "y": 1}]]}), "d", "dicts have different keys"),
        (pd.DataFrame([[1, 2]], columns=pd.interval_range(0, 2)), "(0, 1]", "name of a type"),
        (pd.DataFrame([[1, 2]], columns=["a", np.nan]), "nan", "name of a type"),
    ],
)
def test_column_that_cannot_be_stored_is_named(frame: pd.DataFrame, column: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_pandas(frame)
    assert said in caught.value.what
    assert caught.value.where.column == column
    assert caught.value.fix


def test_dictionary_with_repeated_or_null_values_becomes_a_category() -> None:
    repeated = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, None], pa.uint8()), pa.array(["a", "a", None])
    )
    back = to_pandas(pa.table({"c": repeated}))
    assert back["c"].tolist()[:2] == ["a", "a"]
    assert back["c"].isna().tolist() == [False, False, True, True]
    assert back["c"].cat.categories.tolist() == ["a"]


def test_dictionaries_of_parts_are_merged() -> None:
    chunks = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()]
    back = to_pandas(pa.table({"c": pa.chunked_array(chunks)}))
    assert back["c"].tolist() == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("first", "second", "categories"),
    [
        (["a", "c"], ["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b"], ["a", "b"], ["a", "b"]),
        (["a", "b"], ["b", "a"], None),
        (["a", "b"], ["c", "d"], None),
    ],
)
def test_order_of_categories_stays_only_where_one_part_has_that_of_all(
    first: list[str], second: list[str], categories: list[str] | None
) -> None:
    chunks = [
        pa.DictionaryArray.from_arrays(
            pa.array([*range(len(values)), None], pa.int8()), pa.array(values), ordered=True
        )
        for values in (first, second)
    ]
    back = to_pandas(pa.table({"c": pa.chunked_array(chunks)}))["c"]
    assert back.dropna().tolist() == first + second
    assert back.isna().sum() == 2
    assert back.cat.ordered == (categories is not None)
    assert categories is None or back.cat.categories.tolist() == categories


def test_polars_frame_becomes_types_that_frames_store() -> None:
    frame = pl.DataFrame(
        {"s": ["a", None], "c": pl.Series(["x", "y"], dtype=pl.Categorical), "n": [1, None]}
    )
    table = to_table(frame)
    assert table.schema.field("s").type == pa.large_string()
    assert pa.types.is_dictionary(table.schema.field("c").type)
    assert table.column("n").null_count == 1
    assert pl.from_arrow(table)["s"].to_list() == ["a", None]
    assert to_table(frame.lazy()).num_rows == 2


def test_whatever_streams_arrow_is_a_data_frame() -> None:
    table = pa.table({"a": [1, 2]})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    assert all(is_data_frame(one) for one in (table, table.to_batches()[0], reader))
    assert to_table(reader).to_pydict() == {"a": [1, 2]}


def test_single_columns_and_values_are_no_data_frames() -> None:
    columns = [pd.Series([1]), pl.Series([1]), pa.array([1]), pa.chunked_array([[1]])]
    assert not any(is_data_frame(one) for one in [*columns, {"a": [1]}, 3, "x", None])


def test_string_views_become_plain_strings() -> None:
    table = to_table(pa.table({"v": pa.array(["a", "b" * 20], pa.string_view())}))
    assert table.schema.field("v").type == pa.large_string()


def test_table_of_several_chunks_becomes_one_batch() -> None:
    table = pa.table(
        {"s": pa.chunked_array([["a"], ["b", None]]), "i": pa.chunked_array([[1, 2, 3]])}
    )
    one = one_chunk_per_column(table)
    assert len(one.to_batches()) == 1
    assert one.to_pydict() == table.to_pydict()


_COLUMNS = st.fixed_dictionaries(
    {
        "i": st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
        "f": st.lists(st.none() | st.floats(), min_size=3, max_size=3),
        "s": st.lists(st.none() | st.text(), min_size=3, max_size=3),
        "b": st.lists(st.none() | st.booleans(), min_size=3, max_size=3),
        "t": st.lists(
            st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)),
            min_size=3,
            max_size=3,
        ),
    }
)
_SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.large_string()),
        ("b", pa.bool_()),
        ("t", pa.timestamp("us")),
    ]
)


@given(_COLUMNS, st.integers(0, 3), st.integers(0, 3))
def test_any_table_survives_pandas_but_for_the_nulls_of_floats(
    columns: dict[str, list[object]], cut: int, start: int
) -> None:
    whole = pa.table(columns, schema=_SCHEMA)
    table = pa.concat_tables([whole.slice(0, cut), whole.slice(cut)]).slice(start)
    back = from_pandas(to_pandas(table))
    for name in ("i", "s", "b", "t"):
        assert back.column(name).to_pylist() == table.column(name).to_pylist()
    floats = [float("nan") if one is None else one for one in table.column("f").to_pylist()]
    np.testing.assert_array_equal(back.column("f").to_numpy(), np.array(floats, dtype="f8"))
