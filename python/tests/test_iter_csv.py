"""hy.iter_csv: the same rows as hy.read_csv, a batch at a time."""

from __future__ import annotations

import gc
import gzip
import os
import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import hayate as hy


def threads_of_process() -> int:
    return len(os.listdir("/proc/self/task"))


def open_files(folder: Path) -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return [path for path in found if path.startswith(str(folder))]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Seven shards of very different length, the first one the shortest; row n holds n."""
    row = 0
    for shard, rows in enumerate([1, 50_000, 3, 0, 20_000, 1, 100_000]):
        lines = [f"{row + i},text {row + i},{(row + i) / 4}\n" for i in range(rows)]
        row += rows
        data = ("n,s,x\n" + "".join(lines)).encode()
        name = tmp_path / f"a-{shard}.csv"
        if shard % 2:
            name.with_suffix(".csv.gz").write_bytes(gzip.compress(data, 1))
        else:
            name.write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batches_are_the_rows_of_read_csv_in_order(shards: Path, threads: int) -> None:
    whole = hy.read_csv(str(shards / "a-*"), as_="arrow")
    stream = hy.iter_csv(str(shards / "a-*"), threads=threads)
    assert stream.schema == whole.schema
    batches = list(stream)
    assert len(batches) > 3
    assert pa.Table.from_batches(batches) == whole.combine_chunks()
    assert whole["n"].to_pylist() == list(range(len(whole)))


def test_polars_duckdb_and_pyarrow_take_the_stream(shards: Path) -> None:
    paths = str(shards / "a-*")
    whole = hy.read_csv(paths, as_="arrow")
    assert pl.DataFrame(hy.iter_csv(paths)).equals(pl.DataFrame(whole))
    assert pa.RecordBatchReader.from_stream(hy.iter_csv(paths)).read_all() == whole
    rows = pa.RecordBatchReader.from_stream(hy.iter_csv(paths, columns=["x", "n"]))
    total = duckdb.from_arrow(rows).aggregate("count(*), sum(n), sum(x)").fetchall()
    assert total == [(170_005, sum(range(170_005)), sum(range(170_005)) / 4)]


def test_who_takes_the_stream_is_told_what_was_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n4\n5,6\n")

    def stream() -> Any:
        return hy.iter_csv(path, schema={"a": "INT64", "b": "INT64"}, on_error="null")

    for take in (pl.DataFrame, lambda rows: pa.RecordBatchReader.from_stream(rows).read_all()):
        with pytest.warns(UserWarning, match="1 row is left out"):
            assert len(take(stream())) == 2
    with pytest.warns(UserWarning, match="1 row is left out"):
        rows = stream()  # noqa: F841 (DuckDB finds it by its name)
        assert duckdb.sql("SELECT count(*) FROM rows").fetchall() == [(2,)]


def test_a_stream_is_gone_through_once(shards: Path) -> None:
    stream = hy.iter_csv(str(shards / "a-*"))
    list(stream)
    with pytest.raises(hy.UsageError, match="asked for already"):
        iter(stream)
    with pytest.raises(hy.UsageError, match="asked for already"):
        pl.DataFrame(stream)


def test_an_early_end_leaves_no_threads_and_no_files(shards: Path) -> None:
    def take_one_and_break() -> None:
        for batch in hy.iter_csv(str(shards / "a-*")):
            assert batch.num_rows > 0
            break

    def close() -> None:
        with hy.iter_csv(str(shards / "a-*")) as stream:
            next(iter(stream))

    def drop_a_consumer() -> None:
        reader = pa.RecordBatchReader.from_stream(hy.iter_csv(str(shards / "a-*")))
        reader.read_next_batch()

    for end_early in (take_one_and_break, close, drop_a_consumer):
        end_early()  # once, so that pools of libraries have their threads
        gc.collect()
        before = threads_of_process()
        end_early()
        gc.collect()
        assert threads_of_process() == before
        assert open_files(shards) == []


def test_a_closed_stream_says_so(shards: Path) -> None:
    stream = hy.iter_csv(str(shards / "a-*"))
    batches = iter(stream)
    next(batches)
    stream.close()
    with pytest.raises(hy.UsageError, match="closed"):
        next(batches)


def test_an_error_comes_after_the_rows_before_it(tmp_path: Path) -> None:
    good = "".join(f"{n},x\n" for n in range(300_000))
    (tmp_path / "a.csv").write_text("n,s\n" + good)
    (tmp_path / "b.csv").write_text("n,s\n1,x\n2\n3,x\n")
    (tmp_path / "c.csv").write_text("n,s\noops\n")
    rows = 0
    with pytest.raises(hy.InputError, match="a row has 1 field ") as caught:
        for batch in hy.iter_csv([tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"]):
            rows += batch.num_rows
    assert rows == 300_001
    assert "b.csv" in str(caught.value)
    assert "row 2" in str(caught.value)


def test_a_value_that_the_sample_did_not_foresee_names_its_cell_and_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,n\n" + "".join(f"{n},7\n" for n in range(400_000)) + "x,8\n")
    with pytest.raises(hy.InputError) as caught:
        list(hy.iter_csv(path))
    text = str(caught.value)
    for part in ('"x"', "int64", "row 400001", "line 400002", "column id", "schema="):
        assert part in text
    assert len(pa.Table.from_batches(hy.iter_csv(path, schema={"id": "STRING"}))) == 400_001


def test_leading_zeros_after_the_sample_are_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("code\n" + "7\n" * 700_000 + "007\n")
    with pytest.raises(hy.InputError, match="007"):
        list(hy.iter_csv(path))


def test_a_column_of_nulls_in_the_sample_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,\n" * 500_000 + "2,later\n")
    table = pa.Table.from_batches(hy.iter_csv(path))
    assert table.schema.field("b").type == pa.string()
    assert table["b"][-1].as_py() == "later"


def test_no_rows_are_an_error_unless_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n")
    with pytest.raises(hy.InputError, match="no rows"):
        list(hy.iter_csv(path))
    assert list(hy.iter_csv(path, allow_empty=True)) == []
    with pytest.raises(hy.InputError, match="no file matches"):
        hy.iter_csv(tmp_path / "none-*.csv")


def test_a_stream_that_nobody_reads_starts_no_thread(shards: Path) -> None:
    before = threads_of_process()
    stream = hy.iter_csv(str(shards / "a-*"))
    assert threads_of_process() == before
    assert threading.active_count() >= 1
    del stream
