"""hy.read_csv and hy.read_parquet."""

from __future__ import annotations

import gc
import gzip
import pathlib
import pickle
import signal
import threading

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hayate as hy


def _write(path: pathlib.Path, text: str) -> pathlib.Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_types_are_inferred_and_nulls_told_from_empty_text(tmp_path: pathlib.Path) -> None:
    path = _write(
        tmp_path / "a.csv",
        'i,n,f,b,s,code\n1,1,1.5,true,"",007\n2,,2,false,,010\n',
    )
    frame = hy.read_csv(path)
    assert frame["i"].dtype == "int64"
    assert frame["n"].dtype == "Int64"
    assert frame["f"].tolist() == [1.5, 2.0]
    assert frame["b"].tolist() == [True, False]
    assert frame["s"].isna().tolist() == [False, True]
    assert frame["code"].tolist() == ["007", "010"]


def test_shards_come_in_the_order_of_their_names(tmp_path: pathlib.Path) -> None:
    for number in range(5):
        rows = "".join(f"{number},{row}\n" for row in range(100 * (5 - number)))
        _write(tmp_path / f"x-{number:012d}.csv.gz", "shard,row\n" + rows)
    frame = hy.read_csv(str(tmp_path / "x-*.csv.gz"), threads=2)
    assert frame["shard"].tolist() == [n for n in range(5) for _ in range(100 * (5 - n))]
    assert frame["row"].tolist() == [row for n in range(5) for row in range(100 * (5 - n))]


def test_schema_columns_and_null_values(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "a.csv", "t;x;y\n2026-01-01 00:00:00.5 UTC;NA;1\n")
    frame = hy.read_csv(
        path,
        schema={"t": "TIMESTAMP", "x": "INT64", "y": "STRING"},
        columns=["y", "x", "t"],
        null_values="NA",
        delimiter=";",
    )
    assert frame.columns.tolist() == ["y", "x", "t"]
    assert frame["y"].tolist() == ["1"]
    assert frame["x"][0] is pd.NA
    assert frame["t"][0] == pd.Timestamp("2026-01-01 00:00:00.5", tz="UTC")


def test_names_where_there_is_no_header(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "a.csv", "1,x\n2,y\n")
    frame = hy.read_csv(path, header=False, column_names=["a", "b"])
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_other_forms(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "a.csv", "a\n1\n")
    assert isinstance(hy.read_csv(path, as_="polars"), pl.DataFrame)
    assert hy.read_csv(path, as_="arrow").to_pydict() == {"a": [1]}


def test_frame_lies_in_a_folder_that_lives_as_long_as_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("HAYATE_TMP", str(folder))
    for number in (1, 2):
        _write(tmp_path / f"{number}.csv", f"a\n{number}\n{number}\n")
    frame = hy.read_csv(tmp_path / "*.csv", as_="frame")
    assert isinstance(frame, hy.Frame)
    assert (frame.rows, frame.columns) == (4, ["a"])
    assert pickle.loads(pickle.dumps(frame)).to_pandas()["a"].tolist() == [1, 1, 2, 2]
    rows = frame.slice(1, 3)
    del frame
    assert hy.map(lambda rows: rows["a"].sum(), rows, rows=1) == [1, 2]
    data = rows.to_pandas()
    del rows
    gc.collect()
    assert list(folder.iterdir()) == []
    assert data["a"].tolist() == [1, 2]


def test_what_was_read_may_be_written_to(tmp_path: pathlib.Path) -> None:
    frame = hy.read_csv(_write(tmp_path / "a.csv", "a,b\n1,1.5\n2,2.5\n"))
    frame.loc[1, "a"] = 9
    frame.loc[0, "b"] = -1
    assert frame.to_dict("list") == {"a": [1, 9], "b": [-1.0, 2.5]}


@pytest.mark.parametrize(
    ("text", "schema", "row", "column"),
    [("a,b\n1,2\n3\n", None, 2, ""), ("a,b\n1,2\n3,x\n", {"b": "INT64"}, 2, "b")],
    ids=["ragged", "type"],
)
def test_bad_cell_is_an_error_that_names_its_place(
    tmp_path: pathlib.Path, text: str, schema: dict[str, str] | None, row: int, column: str
) -> None:
    path = _write(tmp_path / "a.csv", text)
    with pytest.raises(hy.InputError) as caught:
        hy.read_csv(path, schema=schema)
    where = caught.value.where
    assert (where.object, where.row, where.column) == (str(path), row, column)
    assert caught.value.fix


def test_missing_files_rows_and_truncation_are_errors(tmp_path: pathlib.Path) -> None:
    with pytest.raises(hy.InputError) as caught:
        hy.read_csv(tmp_path / "none-*.csv")
    assert "none-" in str(caught.value)
    empty = _write(tmp_path / "empty.csv", "a,b\n")
    with pytest.raises(hy.InputError):
        hy.read_csv(empty)
    assert hy.read_csv(empty, allow_empty=True).columns.tolist() == ["a", "b"]
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"a\n" + b"1\n" * 10_000)[:-12])
    with pytest.raises(hy.InputError):
        hy.read_csv(cut)


def test_column_that_turns_out_to_be_text_is_read_as_text_with_a_warning(
    tmp_path: pathlib.Path,
) -> None:
    path = _write(tmp_path / "a.csv", "a\n" + "1\n" * 1_000_000 + "x\n")
    with pytest.warns(UserWarning, match="a"):
        frame = hy.read_csv(path)
    assert frame["a"].tolist()[-2:] == ["1", "x"]


def test_relative_paths_are_relative_to_the_working_directory(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "a.csv", "a\n1\n")
    monkeypatch.chdir(tmp_path)
    assert hy.read_csv("a.csv")["a"].tolist() == [1]


def test_parquet_is_read(tmp_path: pathlib.Path) -> None:
    table = pa.table({"a": [1, None, 3], "s": ["x", "", None]})
    pq.write_table(table, tmp_path / "a.parquet")
    frame = hy.read_parquet(tmp_path / "a.parquet", columns=["s", "a"])
    assert frame.columns.tolist() == ["s", "a"]
    assert frame["a"].dtype == "Int64"
    assert hy.read_parquet(tmp_path / "*.parquet", as_="arrow").equals(table)


def test_interrupt_ends_a_read(tmp_path: pathlib.Path) -> None:
    for number in range(8):
        _write(tmp_path / f"{number}.csv", "a,b\n" + "1,some text of a cell\n" * 1_000_000)
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        while True:
            hy.read_csv(tmp_path / "*.csv")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_saved_files_of_other_formats_are_read_again(tmp_path: pathlib.Path, suffix: str) -> None:
    frame = pd.DataFrame({"a": [1, 2], "s": ["x", "y, z"]})
    path = tmp_path / f"x{suffix}"
    hy.save(frame, path)
    read = hy.read_parquet if suffix == ".parquet" else hy.read_csv
    pd.testing.assert_frame_equal(read(path), frame, check_dtype=False)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_row_labels_are_not_written(tmp_path: pathlib.Path, suffix: str) -> None:
    frame = pd.DataFrame({"a": range(5)})[[True, True, False, False, True]]
    path = tmp_path / f"x{suffix}"
    hy.save(frame, path)
    read = hy.read_parquet if suffix == ".parquet" else hy.read_csv
    pd.testing.assert_frame_equal(read(path), frame.reset_index(drop=True))
