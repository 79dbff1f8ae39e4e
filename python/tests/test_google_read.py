"""hy.read_bigquery, whole: BigQuery as a small service, the bucket and its reading as objects."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from google_service import Answer, FakeBigQuery, FakeStorage, done, error, failed, pending, serving

import hayate as hy
from hayate.frames import write_table
from hayate.google import bucket_read, dialect, fetch, link, stream_read
from hayate.google.read import read_bigquery
from hayate.google.tokens import Kind, tokens

_FIELDS = [
    {"name": "id", "type": "INTEGER"},
    {"name": "name", "type": "STRING"},
    {"name": "at", "type": "TIMESTAMP"},
]
_SQL = "SELECT id, name, at FROM d.t"
_TABLE = {"projectId": "test-project", "datasetId": "d", "tableId": "t"}
_EXPORT = "gs://bucket/tmp"


class _Engine:
    """Reads shards that are lists of rows in JSON, as the engine reads those of an export.

    Attributes:
        calls: the arguments of each reading.
        before: called when a reading begins.
        waited_share: what it says of the time in which bytes were waited for.
        least_bytes: of the objects, as it says.
    """

    def __init__(self, storage: FakeStorage) -> None:
        self.storage = storage
        self.calls: list[dict[str, Any]] = []
        self.before: Callable[[], None] = lambda: None
        self.waited_share = 0.0
        self.least_bytes = 0

    def CloudStorage(self, endpoint: str, token: Any, on_retry: Any) -> FakeStorage:
        return self.storage

    def ingest_export(
        self,
        storage: FakeStorage,
        prefix: str,
        directory: str,
        format_name: str,
        schema: pa.Schema,
        empty_mark: str,
        threads: int,
        state: Callable[[], dict[str, Any]],
        progress: Any,
    ) -> dict[str, Any]:
        self.calls.append({"prefix": prefix, "format": format_name, "mark": empty_mark})
        self.before()
        while not (at := state())["done"]:
            pass
        found = storage.list(prefix)
        rows = 0
        for number, one in enumerate(found):
            table = pa.Table.from_pylist(json.loads(storage.read(one["uri"])), schema)
            rows += table.num_rows
            write_table(table, directory, number)
        if (len(found), rows) != (at["files"], at["rows"]):
            raise hy.InputError(f"{len(found)} files, {rows} rows")
        size = max(self.least_bytes, sum(one["size_bytes"] for one in found))
        counts = {"files": len(found), "rows": rows, "bytes": size, "retries": 0}
        return {**counts, "waited_share": self.waited_share}


class _World:
    """Everything outside."""

    def __init__(self, store: pathlib.Path) -> None:
        self.store = store
        self.service = FakeBigQuery()
        self.storage = FakeStorage()
        self.engine = _Engine(self.storage)
        self.rows: list[list[dict[str, Any]]] = [
            [{"id": 1, "name": "a", "at": None}, {"id": 2, "name": None, "at": None}],
            [{"id": 3, "name": "", "at": None}],
        ]
        self.service.dry = {
            "schema": {"fields": _FIELDS},
            "totalBytesProcessed": "100",
            "referencedTables": [_TABLE],
        }
        self.service.tables["test-project.d.t"] = {
            "tableReference": _TABLE,
            "type": "TABLE",
            "lastModifiedTime": "1000",
            "location": "US",
        }
        self.service.states = [done(files=2, rows=3, billed=10_485_760)]
        self.service.on_insert = self.write

    def write(self, job: dict[str, Any]) -> None:
        """What an export or an extract writes."""
        configuration = job["configuration"]
        if "extract" in configuration:
            [uri] = configuration["extract"]["destinationUris"]
        else:
            sql = configuration["query"]["query"]
            texts = [one.text for one in tokens(sql) if one.kind is Kind.STRING]
            uri = next((one[1:-1] for one in texts if one.startswith("'gs://")), "")
        for number, rows in enumerate(self.rows if uri else []):
            self.storage.write(uri.replace("*", f"{number:012d}"), json.dumps(rows).encode())

    def read(self, sql: str = _SQL, **more: Any) -> Any:
        more.setdefault("export", _EXPORT)
        return read_bigquery(sql, project="test-project", store=self.store, **more)

    @property
    def statements(self) -> list[str]:
        """Of the queries that ran."""
        jobs = [job["configuration"] for job in self.service.inserted.values()]
        return [one["query"]["query"] for one in jobs if "query" in one]


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_World]:
    made = _World(tmp_path / ".hayate")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HAYATE_TMP", str(tmp_path / "tmp"))
    monkeypatch.setattr(fetch, "engine", lambda: made.engine)
    monkeypatch.setattr(fetch, "Retries", _quick_retries)
    with serving(made.service) as address:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", address)
        yield made
    # Whatever happened: no shard of ours, no lease, no journal, no unfinished result is left.
    assert not [uri for uri in made.storage.objects if "/hayate-" in uri]
    folder = made.store / "exports"
    assert not folder.exists() or not list(folder.iterdir())
    frames = made.store / "frames"
    assert not frames.exists() or not [one for one in frames.iterdir() if one.name[0] == "."]


_Retries = fetch.Retries


def _quick_retries(say: Callable[[str], None]) -> Any:
    return _Retries(say, sleep=lambda seconds: None)


def test_an_export_is_read_verified_and_removed(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = world.read(labels={"team": "x"}, max_bytes_billed=20_000_000)
    assert isinstance(frame, pd.DataFrame)
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame["name"].isna().tolist() == [False, True, False]
    assert str(frame["at"].dtype) == "datetime64[us, UTC]"
    [statement] = world.statements
    assert statement.startswith("EXPORT DATA OPTIONS (\n  uri = 'gs://bucket/tmp/hayate-")
    assert statement.endswith(f") AS\n{_SQL}\n")
    [job] = world.service.inserted.values()
    assert job["configuration"]["labels"]["team"] == "x"
    assert job["configuration"]["query"]["maximumBytesBilled"] == "20000000"
    assert job["jobReference"]["location"] == "US"
    [call] = world.engine.calls
    assert (call["format"], call["mark"]) == ("parquet", "")
    said = capsys.readouterr().err
    assert re.search(r"3 rows in \d+ s; 10\.5 MB billed, 2 objects written", said)


def test_the_same_query_over_unchanged_tables_is_not_run_again(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> None:
    first = world.read()
    again = world.read("SELECT id, name, at FROM d.t -- the same", as_="arrow")
    assert len(world.service.inserted) == 1
    assert "is used again" in capsys.readouterr().err
    assert again["id"].to_pylist() == first["id"].tolist()
    world.service.tables["test-project.d.t"]["lastModifiedTime"] = "1001"
    world.read()
    assert len(world.service.inserted) == 2
    assert "the query runs again: table test-project.d.t changed" in capsys.readouterr().err
    world.read(columns=["name"])
    assert len(world.service.inserted) == 3


def test_a_kept_result_that_is_damaged_is_made_again(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.read()
    [folder] = (world.store / "frames").iterdir()
    part = next(folder.glob("part-*.arrow"))
    part.write_bytes(part.read_bytes()[:-10])
    assert world.read()["id"].tolist() == [1, 2, 3]
    assert len(world.service.inserted) == 2
    assert "is damaged" in capsys.readouterr().err


def test_a_result_that_is_there_costs_nothing_whatever_may_be_billed(world: _World) -> None:
    world.read()
    assert len(world.read(max_bytes_billed=1)) == 3
    assert "maximumBytesBilled" not in world.service.dry_runs[-1]["query"]
    # What is wrong is an error all the same.
    with pytest.raises(hy.UsageError, match="'avro'"):
        world.read(format="avro")


def test_why_a_result_is_not_kept_is_said(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        world.read("SELECT id, name, at FROM d.t WHERE at < CURRENT_TIMESTAMP()")
    assert len(world.service.inserted) == 2
    said = capsys.readouterr().err
    assert "the result is not kept: the SQL has CURRENT_TIMESTAMP in line 1" in said
    assert not (world.store / "frames").exists()


def test_forms_and_columns(world: _World, tmp_path: pathlib.Path) -> None:
    assert isinstance(world.read(as_="polars"), pl.DataFrame)
    frame = world.read(as_="frame")
    assert isinstance(frame, hy.Frame) and frame.rows == 3
    table = world.read(columns=["name", "id"], as_="arrow")
    assert table.schema.names == ["name", "id"]
    assert "SELECT hayate_query.`name`, hayate_query.`id` FROM (" in world.statements[-1]
    # An order that cannot be moved outward: all columns are read, and the reader chooses.
    table = world.read(_SQL + " ORDER BY id + 1", columns=["name"], as_="arrow")
    assert table.schema.names == ["name"]
    assert world.statements[-1].endswith("ORDER BY id + 1\n")
    table = world.read(_SQL + " ORDER BY id + 1", columns=["name"], as_="arrow")
    assert table.schema.names == ["name"]
    with pytest.raises(hy.UsageError, match='columns= names "x"'):
        world.read(columns=["x"])


def test_csv_goes_through_the_safe_select(world: _World) -> None:
    world.read(format="csv")
    [call] = world.engine.calls
    assert (call["format"], call["mark"]) == ("csv", "~")
    [statement] = world.statements
    assert "CONCAT('~', hayate_query.`name`)" in statement
    assert "header = true" in statement
    # It was checked before it was run.
    assert len(world.service.dry_runs) == 2


def test_what_was_found_out_of_a_projects_csv_is_used(world: _World) -> None:
    dialect.remember(str(world.store), "test-project", nulls_are_distinct=True)
    dialect.remember(str(world.store), "other", nulls_are_distinct=False)
    assert not dialect.nulls_are_distinct(str(world.store), "other")
    assert not dialect.nulls_are_distinct(str(world.store), "unknown")
    world.read(format="csv")
    [statement] = world.statements
    assert statement.endswith(_SQL + "\n")
    assert world.engine.calls[0]["mark"] == ""


def test_a_link_that_was_waited_for_gets_smaller_objects(world: _World) -> None:
    def compression() -> str:
        world.service.tables["test-project.d.t"]["lastModifiedTime"] += "1"
        world.read()
        [found] = re.findall(r"compression = '(\w+)'", world.statements[-1])
        return str(found)

    world.engine.waited_share = 0.9
    assert compression() == "SNAPPY"
    assert compression() == "SNAPPY"  # what is so small says nothing of the network
    world.engine.least_bytes = 1 << 30
    assert compression() == "SNAPPY"
    world.engine.waited_share = 0.1
    assert compression() == "ZSTD"
    assert compression() == "SNAPPY"


def test_gzip_stays_what_csv_has(world: _World) -> None:
    link.Link(str(world.store), "bucket").measured(1 << 30, 0.9)
    world.read(format="csv")
    [statement] = world.statements
    assert "compression = 'GZIP'" in statement


@pytest.mark.parametrize("at_insertion", [True, False])
def test_a_compression_that_is_refused_is_not_asked_for_again(
    world: _World, capsys: pytest.CaptureFixture[str], at_insertion: bool
) -> None:
    link.Link(str(world.store), "bucket").measured(1 << 30, 0.9)
    message = "Invalid value for option 'compression': ZSTD"
    good = world.service.states

    def refuse(sql: str) -> Answer | None:
        return error(400, "invalidQuery", message) if "'ZSTD'" in sql else None

    def write(job: dict[str, Any]) -> None:
        is_refused = refuse(job["configuration"]["query"]["query"]) is not None
        world.service.states = [failed("invalidQuery", message)] if is_refused else good
        if not is_refused:
            world.write(job)

    if at_insertion:
        world.service.insert_answer = refuse
    world.service.on_insert = write
    assert len(world.read()) == 3
    assert "attempt 2 of 3" in capsys.readouterr().err
    assert link.Link(str(world.store), "bucket").compression("parquet") == "SNAPPY"
    link.Link(str(world.store), "bucket").measured(1 << 30, 0.9)
    assert link.Link(str(world.store), "bucket").compression("parquet") == "SNAPPY"


def test_a_select_that_the_service_refuses_names_the_remedy(world: _World) -> None:
    def answer(sql: str) -> Any:
        message = "Unrecognized name: f0_"
        return error(400, "invalidQuery", message) if "REPLACE" in sql else None

    world.service.dry_answer = answer
    with pytest.raises(hy.UsageError, match="Unrecognized name: f0_") as caught:
        world.read(format="csv")
    assert "by AS" in caught.value.fix
    assert not world.service.inserted


def _of(**more: Any) -> dict[str, Any]:
    return more


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (_of(max_bytes_billed=1), "max_bytes_billed allows 1"),
        (_of(params={"x": 1}), "has no @x"),
        (_of(sql="SELECT @x"), "no value for it"),
        (_of(sql="DELETE FROM d.t"), "no query"),
        (_of(export="s3://x/y"), "no gs:// folder"),
        (_of(format="avro"), "'avro'"),
        (_of(labels={"A": "x"}), "labels="),
        (_of(priority="FAST"), "priority="),
        (_of(as_="table"), "as_="),
        (_of(columns="id"), "not a list"),
    ],
)
def test_what_is_refused_before_anything_runs(
    world: _World, arguments: dict[str, Any], what: str
) -> None:
    with pytest.raises(hy.UsageError, match=what) as caught:
        world.read(arguments.pop("sql", _SQL), **arguments)
    assert caught.value.fix
    assert not world.service.inserted


def test_a_bucket_that_cannot_be_used_is_refused_before_anything_runs(world: _World) -> None:
    world.storage.held = ["storage.objects.create"]
    with pytest.raises(hy.UsageError, match="does not allow us"):
        world.read()
    assert not world.service.inserted


def test_parameters_reach_the_job(world: _World) -> None:
    world.read(_SQL + " WHERE id = @id", params={"id": 7})
    [job] = world.service.inserted.values()
    query = job["configuration"]["query"]
    assert query["parameterMode"] == "NAMED"
    assert query["queryParameters"][0]["parameterValue"] == {"value": "7"}


def test_a_job_that_fails_leaves_nothing(world: _World) -> None:
    world.service.states = [failed("quotaExceeded", "Quota exceeded")]
    with pytest.raises(hy.InputError, match="Quota exceeded"):
        world.read()
    assert len(world.service.inserted) == 1


def test_a_job_that_fails_by_the_services_fault_is_repeated_under_another_name(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> None:
    good = world.service.states
    world.service.states = [failed("backendError", "try again")]

    def write(job: dict[str, Any]) -> None:
        if len(world.service.inserted) == 2:
            world.service.states = good
        world.write(job)

    world.service.on_insert = write
    assert len(world.read()) == 3
    first, second = world.service.inserted
    assert first != second
    assert "try again" in capsys.readouterr().err
    world.service.on_insert = lambda job: None
    world.service.states = [failed("backendError", "down")]
    with pytest.raises(hy.InputError, match="down"):
        world.read("SELECT id, name, at FROM d.t WHERE id > 0")
    assert len(world.service.inserted) == 5


@pytest.mark.parametrize("raised", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_cancels_the_job_and_leaves_nothing(
    world: _World, raised: type[BaseException]
) -> None:
    world.service.states = [pending()]

    def interrupt() -> None:
        raise raised

    world.engine.before = interrupt
    with pytest.raises(raised):
        world.read()
    assert world.service.cancelled == list(world.service.inserted)


def test_rows_that_are_missing_are_an_error_and_no_result(world: _World) -> None:
    world.service.states = [done(files=2, rows=4)]
    with pytest.raises(hy.InputError, match="2 files, 3 rows"):
        world.read()
    world.service.states = [done(files=2, rows=3)]
    assert len(world.read()) == 3


def test_an_export_without_rows(world: _World) -> None:
    world.rows = [[]]
    world.service.states = [done(files=1, rows=0)]
    frame = world.read()
    assert list(frame.columns) == ["id", "name", "at"] and len(frame) == 0


def test_an_export_that_is_kept(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    world.read()
    world.read(keep_export=True)
    assert len(world.service.inserted) == 2
    kept = [uri for uri in world.storage.objects if uri.endswith(".parquet")]
    assert len(kept) == 2
    assert kept[0].rpartition("/")[0] in capsys.readouterr().err
    world.read("SELECT id, name, at FROM d.t WHERE TRUE")
    assert set(kept) <= set(world.storage.objects)
    for uri in kept:
        del world.storage.objects[uri]


def test_distance_and_soft_delete_are_said(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.storage.resource = {
        "location": "ASIA-NORTHEAST1",
        "softDeletePolicy": {"retentionDurationSeconds": "604800"},
    }
    world.read()
    said = capsys.readouterr().err
    assert "across regions (US to ASIA-NORTHEAST1)" in said
    assert "Soft Delete" in said and "7 days" in said


def test_quiet_means_quiet(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    world.read(progress=False)
    assert capsys.readouterr().err == ""


def _destination(world: _World, rows: int) -> None:
    """Queries that are no export get a table for their result."""
    table = {"projectId": "test-project", "datasetId": "_hash", "tableId": "anon1"}
    world.service.tables["test-project._hash.anon1"] = {
        "tableReference": table,
        "numRows": str(rows),
        "numBytes": "100",
    }
    write = world.service.on_insert

    def insert(job: dict[str, Any]) -> None:
        query = job["configuration"].get("query")
        if query is not None and not query["query"].startswith("EXPORT"):
            name = job["jobReference"]["jobId"]
            stored = world.service.inserted[name]["configuration"]["query"]
            stored["destinationTable"] = table
        write(job)

    world.service.on_insert = insert
    extract = {"destinationUriFileCounts": ["2"]}
    for state in world.service.states:
        state["statistics"]["extract"] = extract


def test_a_wildcard_table_goes_through_a_table(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> None:
    _destination(world, 3)
    frame = world.read("SELECT id, name, at FROM `d.t_*`", format="csv")
    assert frame["id"].tolist() == [1, 2, 3]
    query, extract = world.service.inserted.values()
    assert "CONCAT('~'" in query["configuration"]["query"]["query"]
    extracted = extract["configuration"]["extract"]
    assert extracted["sourceTable"]["tableId"] == "anon1"
    assert extracted["destinationFormat"] == "CSV" and extracted["compression"] == "GZIP"
    assert extracted["printHeader"] is True
    assert extract["configuration"]["labels"] == query["configuration"]["labels"]
    said = capsys.readouterr().err
    assert "EXPORT DATA cannot read d.t_*" in said
    assert "what d.t_* stands for has no time of change" in said


def test_an_extract_over_a_link_that_was_waited_for(world: _World) -> None:
    link.Link(str(world.store), "bucket").measured(1 << 30, 0.9)
    _destination(world, 3)
    world.read("SELECT id, name, at FROM `d.t_*`")
    _, extract = world.service.inserted.values()
    assert extract["configuration"]["extract"]["compression"] == "ZSTD"


def test_a_wildcard_table_with_an_order_is_exported_from_a_table(world: _World) -> None:
    _destination(world, 3)
    sql = "SELECT id, name, at FROM `d.t_*` WHERE id > @n ORDER BY 1 DESC LIMIT 3"
    world.read(sql, params={"n": 0})
    query, export = world.service.inserted.values()
    assert query["configuration"]["query"]["query"] == sql
    exported = export["configuration"]["query"]
    assert exported["query"].endswith(
        "SELECT * FROM `test-project._hash.anon1`\nORDER BY `id` DESC\n"
    )
    assert "queryParameters" not in exported
    with pytest.raises(hy.UsageError, match="sorts by LOWER"):
        world.read("SELECT id, name, at FROM `d.t_*` ORDER BY LOWER(name)")
    assert len(world.service.inserted) == 2


class _Streams:
    """A Storage Read API of one stream."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def run(self, reading: stream_read.TableRead) -> int:
        write_table(self.table.cast(reading.schema), reading.directory, 0)
        return int(self.table.num_rows)


def test_without_export_the_rows_come_by_streams(
    world: _World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _destination(world, 2)
    rows = [{"id": 5, "name": "x", "at": None}, {"id": 6, "name": "", "at": None}]
    streams = _Streams(pa.Table.from_pylist(rows))
    monkeypatch.setattr(stream_read, "connect", lambda credentials: None)
    orders: list[bool] = []

    def run(reading: stream_read.TableRead) -> int:
        orders.append(reading.keep_order)
        return streams.run(reading)

    monkeypatch.setattr(stream_read.TableRead, "run", run)
    frame = world.read(export=None)
    assert frame["id"].tolist() == [5, 6]
    assert str(frame["at"].dtype) == "datetime64[us, UTC]"
    assert world.statements == [_SQL]
    # The result is the same, however it came.
    assert len(world.read()) == 2 and len(world.service.inserted) == 1

    described = world.service.tables["test-project._hash.anon1"]
    described["numBytes"] = "2000000000"
    world.read(_SQL + " ORDER BY id", export=None)
    assert orders == [False, True]
    assert 'with export="gs://…"' in capsys.readouterr().err
    described["numRows"] = "3"
    with pytest.raises(hy.InputError, match="2 rows have come, and the result has 3"):
        world.read(_SQL + " LIMIT 3", export=None)


def test_what_a_killed_run_left_is_removed_by_the_next(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    # As if the process had ended at once: nothing of the cleaning up happens.
    with pytest.MonkeyPatch.context() as patch:
        world.engine.before = kill
        patch.setattr(bucket_read.ExportFolder, "__exit__", lambda *_: None)
        patch.setattr(fetch.Journal, "__exit__", lambda self, *_: os.close(self._descriptor))
        patch.setattr(fetch.Results, "discard_unfinished", lambda *_: None)
        patch.setattr(bucket_read, "stop_quietly", lambda *_: True)
        with contextlib.suppress(Killed):
            world.read()
    assert [uri for uri in world.storage.objects if "/hayate-" in uri]
    assert list((world.store / "exports").iterdir())
    foreign = _EXPORT + "/mine.parquet"
    world.storage.write(foreign, b"")
    world.engine.before = lambda: None
    capsys.readouterr()
    world.read()
    assert "removed 2 objects of a run that was interrupted" in capsys.readouterr().err
    assert set(world.storage.objects) == {foreign}


def test_no_planted_secret_is_in_anything_that_a_run_leaves_or_says(
    world: _World, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    secret = "ya29.planted-secret"
    message = f"denied for Bearer {secret}, see https://x/y?X-Goog-Signature=planted-secret"
    world.service.faults[("POST", "/jobs")] = [error(503, "backendError", message)]
    world.read()
    world.service.states = [failed("accessDenied", message)]
    with pytest.raises(hy.UsageError) as caught:
        world.read("SELECT id, name, at FROM d.t WHERE id = 1")
    assert "denied for Bearer [removed]" in str(caught.value)
    said = capsys.readouterr()
    shown = said.out + said.err + str(caught.value) + repr(caught.value.__cause__)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 2
    assert "planted" not in shown
    assert not [path for path in files if b"planted" in path.read_bytes()]
