"""hy.save, hy.load and hy.Frame."""

from __future__ import annotations

import hashlib
import pathlib

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from data_frames import assert_same, every_type

import hayate as hy
from hayate import _core
from hayate.frames import write_table
from hayate.from_pandas import from_pandas


def _digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _address(column: pd.Series) -> int:
    return int(np.asarray(column.array).__array_interface__["data"][0])


def _buffer_address(table: pa.Table, name: str) -> int:
    return int(table.column(name).chunk(0).buffers()[1].address)


def _frame_of(directory: pathlib.Path, *tables: pa.Table) -> str:
    for number, table in enumerate(tables):
        write_table(table, str(directory), number)
    _core.commit(str(directory), "test", len(tables))
    return str(directory)


@pytest.mark.parametrize("name", every_type().columns)
def test_saved_column_is_loaded_as_it_was(tmp_path: pathlib.Path, name: str) -> None:
    frame = every_type()[[name]]
    hy.save(frame, tmp_path / "x.arrow")
    assert_same(hy.load(tmp_path / "x.arrow"), frame)


def test_nothing_but_the_file_is_left(tmp_path: pathlib.Path) -> None:
    hy.save(every_type(), tmp_path / "x.arrow")
    assert [one.name for one in tmp_path.iterdir()] == ["x.arrow"]


@pytest.mark.parametrize(
    "name", ["float", "float32", "int", "uint8", "time", "timedelta", "time_zone"]
)
def test_loading_copies_no_number(tmp_path: pathlib.Path, name: str) -> None:
    hy.save(every_type(), tmp_path / "x.arrow")
    table, mappings = hy.Frame(tmp_path / "x.arrow")._mapped_table(None)
    frame = hy.load(tmp_path / "x.arrow")
    assert not frame[name].to_numpy().flags.owndata or name == "time_zone"
    converted = hy.frames.as_form(table, "pandas", mappings)
    array = converted[name].array
    values = getattr(array, "_ndarray", array)
    assert values.__array_interface__["data"][0] == _buffer_address(table, name)


def test_text_shares_the_mapped_bytes(tmp_path: pathlib.Path) -> None:
    hy.save(pd.DataFrame({"s": ["abc", "def"]}), tmp_path / "x.arrow")
    table, mappings = hy.Frame(tmp_path / "x.arrow")._mapped_table(None)
    text = pa.chunked_array(pa.array(hy.frames.as_form(table, "pandas", mappings)["s"].array))
    data = text.chunk(0).buffers()[2]
    assert any(mapping.contains(data.address, data.size) for mapping in mappings)


def test_writing_to_what_was_loaded_leaves_the_file_as_it_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.arrow"
    hy.save(every_type(), path)
    before = _digest(path)
    frame = hy.load(path)
    frame.loc[1, "float"] = 9.0
    frame.loc[0, "int"] = -1
    frame.loc[2, "bool"] = False
    frame.loc[0, "Int64"] = 77
    frame.loc[0, "time"] = pd.Timestamp("1999-01-01")
    frame.loc[0, "category"] = "w"
    frame["float32"] += 1
    frame["new"] = 1
    assert frame.loc[1, "float"] == 9.0
    assert frame.loc[0, ["int", "Int64", "category"]].tolist() == [-1, 77, "w"]
    assert _digest(path) == before
    assert_same(hy.load(path), every_type())


def test_columns_are_not_consolidated(tmp_path: pathlib.Path) -> None:
    hy.save(pd.DataFrame(np.ones((3, 4)), columns=list("abcd")), tmp_path / "x.arrow")
    frame = hy.load(tmp_path / "x.arrow")
    assert len(frame._mgr.blocks) == 4


def test_other_forms(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.arrow"
    hy.save(pl.DataFrame({"a": [1, None], "s": ["x", None]}), path)
    assert hy.load(path, as_="polars")["a"].to_list() == [1, None]
    assert hy.load(path, as_="arrow").to_pydict() == {"a": [1, None], "s": ["x", None]}
    frame = hy.load(path, as_="frame")
    assert (frame.rows, frame.columns) == (2, ["a", "s"])
    assert hy.load(path)["a"].dtype == "Int64"
    assert pl.from_arrow(pa.RecordBatchReader.from_stream(frame).read_all())["a"].sum() == 1


def test_chosen_columns_and_the_index(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.arrow"
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=pd.Index([7, 8], name="k"))
    hy.save(frame, path)
    assert_same(hy.load(path, columns=["b"]), frame[["b"]])
    with pytest.raises(hy.UsageError, match="no column") as caught:
        hy.load(path, columns=["c"])
    assert "a, b" in caught.value.fix


def test_feather_of_other_programs_is_loaded(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.feather"
    pl.DataFrame({"a": [1.0, None], "s": ["x", "y"]}).write_ipc(path, compression="lz4")
    assert hy.load(path)["a"].isna().tolist() == [False, True]


def test_texts_of_polars_are_texts_of_pandas(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.arrow"
    pl.DataFrame(
        {
            "s": ["a", None, "b" * 20],
            "c": pl.Series(["a", "b", None], dtype=pl.Categorical),
            "l": [["a"], None, []],
            "d": [{"q": "a"}, {"q": None}, None],
            "b": [b"a", None, b""],
        }
    ).write_ipc(path)
    frame = hy.load(path)
    assert (frame["s"] == "a").tolist() == (frame["c"] == "a").tolist() == [True, False, False]
    assert "string_view" not in str(frame.dtypes)
    assert "'q': 'a'" in repr(frame)
    hy.save(frame, path)
    assert_same(hy.load(path), frame)


@pytest.mark.parametrize("content", [b"", b"no arrow at all", b"ARROW1\0\0" + b"x" * 100])
def test_damaged_file_is_an_error_that_names_it(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "x.arrow"
    path.write_bytes(content)
    with pytest.raises(hy.InputError) as caught:
        hy.load(path)
    assert caught.value.where.object == str(path)
    assert caught.value.fix


def test_truncated_file_is_an_error(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.arrow"
    hy.save(every_type(), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(hy.InputError):
        hy.load(path)


def test_missing_file_folder_and_extension_are_errors(tmp_path: pathlib.Path) -> None:
    with pytest.raises(hy.InputError, match="no such file"):
        hy.load(tmp_path / "x.arrow")
    with pytest.raises(hy.StorageError):
        hy.save(every_type(), tmp_path / "no" / "x.arrow")
    with pytest.raises(hy.UsageError, match="extension"):
        hy.save(every_type(), tmp_path / "x.pkl")
    with pytest.raises(hy.UsageError, match="data frames, not Series"):
        hy.save(pd.Series([1]), tmp_path / "x.arrow")  # type: ignore[arg-type]


def test_failed_save_leaves_the_old_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.arrow"
    hy.save(pd.DataFrame({"a": [1]}), path)
    with pytest.raises(hy.UsageError):
        hy.save(pd.DataFrame({"a": [1, "x"]}, dtype=object), path)
    assert hy.load(path)["a"].tolist() == [1]
    assert [one.name for one in tmp_path.iterdir()] == ["x.arrow"]


def test_parts_are_read_by_pyarrow_polars_and_duckdb(tmp_path: pathlib.Path) -> None:
    table = pa.table(
        {"f": [1.5, None], "t": pa.array([1, None], pa.timestamp("us")), "s": ["a", None]}
    )
    part = pathlib.Path(_frame_of(tmp_path / "f", table)) / "part-00000.arrow"
    read = pa.ipc.open_file(part).read_all()
    assert read.to_pydict() == table.to_pydict()
    assert pl.read_ipc(part)["f"].to_list() == [1.5, None]
    counts = duckdb.sql("select count(f), count(t), count(s), count(*) from read").fetchall()
    assert counts == [(1, 1, 1, 2)]


def test_frame_of_several_parts_is_read_in_order(tmp_path: pathlib.Path) -> None:
    path = _frame_of(
        tmp_path / "f",
        pa.table({"a": [1, 2], "s": ["x", None]}),
        pa.table({}),
        pa.table({"a": [2.5], "s": ["y"]}),
    )
    frame = hy.load(path)
    assert frame["a"].tolist() == [1.0, 2.0, 2.5]
    assert frame["s"].tolist()[::2] == ["x", "y"]
    assert hy.load(path, as_="arrow").column("a").to_pylist() == [1.0, 2.0, 2.5]
    assert hy.Frame(path).rows == 3
    assert hy.Frame(path).slice(1, 3).to_pandas()["a"].tolist() == [2.0, 2.5]
    assert hy.Frame(path).slice(1, 2).rows == 1


@pytest.mark.parametrize("evenly_first", [True, False])
def test_row_labels_that_a_part_lacks_are_left_out(
    tmp_path: pathlib.Path, evenly_first: bool
) -> None:
    # Filters of pandas 3 leave either, by chance of the rows that they keep.
    evenly = pd.DataFrame({"x": [0, 2, 4]}, index=pd.RangeIndex(0, 6, 2))
    unevenly = pd.DataFrame({"x": [0, 1, 4]}, index=[0, 1, 4])
    parts = [evenly, unevenly] if evenly_first else [unevenly, evenly]
    path = _frame_of(tmp_path / "f", *map(from_pandas, parts))
    expected = pd.concat(parts, ignore_index=True)
    assert_same(hy.load(path), expected)
    assert hy.Frame(path).columns == ["x"]
    _core.consolidate(path, 2)
    assert_same(hy.load(path), expected)
    both = _frame_of(tmp_path / "g", from_pandas(unevenly), from_pandas(unevenly))
    assert hy.load(both).index.tolist() == [0, 1, 4, 0, 1, 4]


def test_slice_of_one_part_is_not_copied_and_may_be_written_to(tmp_path: pathlib.Path) -> None:
    path = _frame_of(tmp_path / "f", pa.table({"a": [1.0, None, 3.0, 4.0]}))
    before = _digest(tmp_path / "f" / "part-00000.arrow")
    rows = hy.Frame(path).slice(1, 4).to_pandas()
    assert not rows["a"].to_numpy().flags.owndata
    rows.loc[2, "a"] = -1.0
    assert rows["a"].tolist()[1:] == [3.0, -1.0]
    assert hy.Frame(path).slice(1, 4).to_pandas()["a"].tolist()[1:] == [3.0, 4.0]
    assert _digest(tmp_path / "f" / "part-00000.arrow") == before


def test_partition_is_a_batch_of_every_part(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "f"
    for number, rows in enumerate([[[1, 2], [3]], [[], [4, 5]]]):
        batches = [pa.record_batch({"a": pa.array(one, pa.int64())}) for one in rows]
        write_table(pa.Table.from_batches(batches), str(directory), number)
    _core.commit(str(directory), "test", 2)
    partition = hy.Frame(directory).partition(1)
    assert partition.rows == 3
    assert partition.to_pandas()["a"].tolist() == [3, 4, 5]
    assert partition.to_arrow().column("a").to_pylist() == [3, 4, 5]
    assert hy.Frame(directory).partition(0).to_pandas()["a"].tolist() == [1, 2]


def test_consolidated_frame_is_one_mapping(tmp_path: pathlib.Path) -> None:
    path = _frame_of(
        tmp_path / "f", pa.table({"a": [1.0], "s": ["x"]}), pa.table({"a": [2.0], "s": ["y"]})
    )
    expected = hy.load(path)
    whole = _core.consolidate(path, 2)
    assert pathlib.Path(whole).exists()
    assert_same(hy.load(path), expected)
    table, mappings = hy.Frame(path)._mapped_table(None)
    assert [mapping.path for mapping in mappings] == [whole]
    assert table.column("a").num_chunks == 1


def test_consolidated_file_of_another_boot_is_not_read(tmp_path: pathlib.Path) -> None:
    path = _frame_of(tmp_path / "f", pa.table({"a": [7, 8]}), pa.table({"a": [9]}))
    whole = pathlib.Path(_core.consolidate(path, 2))
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    data = whole.read_bytes()
    for value in (7, 8, 9):
        data = data.replace(value.to_bytes(8, "little"), bytes(8))
    whole.write_bytes(data)
    assert hy.load(path)["a"].tolist() == [0, 0, 0]
    whole.write_bytes(data.replace(boot.encode(), b"x" * len(boot)))
    assert hy.load(path)["a"].tolist() == [7, 8, 9]


def test_what_is_no_frame_is_an_error_that_names_the_folder(tmp_path: pathlib.Path) -> None:
    with pytest.raises(hy.InputError) as caught:
        hy.load(tmp_path)
    assert str(tmp_path) in str(caught.value)
