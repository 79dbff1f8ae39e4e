"""hayate.google.load: frames written into tables of BigQuery, once and whole or not at all."""

from __future__ import annotations

import contextlib
import copy
import decimal
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing.managers import BaseManager
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google_service import error
from load_service import AS_ROWS, ROWS, STAGING, TABLE, World, world_in

import hayate as hy
from hayate import _core
from hayate.convert import to_table
from hayate.google import load, load_parts
from hayate.google.load import Load, table_state


@pytest.fixture
def world(tmp_path: pathlib.Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made
    assert not made.leftovers() and not made.journals()


# Whole loads.


def test_a_frame_becomes_a_table(world: World) -> None:
    directory = world.frame(ROWS, ROWS.slice(0, 1))
    result = world.load(directory, labels={"team": "x"})
    assert world.service.all_rows() == [*AS_ROWS, AS_ROWS[0]]
    [(name, job)] = world.service.jobs.items()
    told = job["configuration"]["load"]
    assert (result["rows"], result["job"], result["was_there"]) == (4, name, False)
    assert result["files"] == len(told["sourceUris"]) >= 1 and result["bytes"] > 0
    assert result["state"] == table_state(Load(TABLE, STAGING, project="test-project"))
    assert told["writeDisposition"] == "WRITE_TRUNCATE"
    assert told["createDisposition"] == "CREATE_IF_NEEDED"
    assert told["sourceFormat"] == "PARQUET"
    assert told["parquetOptions"] == {"enableListInference": True}
    assert "decimalTargetTypes" not in told and "columnNameCharacterMap" not in told
    assert job["configuration"]["labels"]["team"] == "x"
    assert job["jobReference"]["location"] == "US"
    json.dumps(result)


def test_truncate_replaces_and_append_adds(world: World) -> None:
    first, second = world.frame(ROWS), world.frame(ROWS.slice(0, 2))
    before = world.load(first)["state"]
    after = world.load(second, key="k2")["state"]
    assert world.service.all_rows() == AS_ROWS[:2] and before != after
    world.load(first, write="append")
    assert world.service.all_rows() == [*AS_ROWS[:2], *AS_ROWS]


def test_a_frame_without_rows_empties_the_table(world: World) -> None:
    world.load(world.frame(ROWS))
    result = world.load(world.frame(ROWS.slice(0, 0)), key="k2")
    assert (result["rows"], result["files"]) == (0, 1)
    assert world.service.all_rows() == []
    assert world.service.tables[TABLE]["numRows"] == "0"
    world.load(world.frame(ROWS.slice(0, 0)), "test-project.d.new", write="append")
    assert world.service.tables["test-project.d.new"]["schema"]["fields"][0]["name"] == "id"


def test_the_default_project_is_that_of_the_job(world: World) -> None:
    world.load(world.frame(ROWS), "d.t")
    assert world.service.all_rows(TABLE) == AS_ROWS


def test_decimals_and_flexible_names_are_told(world: World) -> None:
    money = pa.array([decimal.Decimal("1.5"), None], pa.decimal128(38, 30))
    world.load(world.frame(pa.table({"売上 %": money})))
    told = world.service.configuration
    assert told["decimalTargetTypes"] == ["NUMERIC", "BIGNUMERIC"]
    assert told["columnNameCharacterMap"] == "STRICT"
    assert world.service.all_rows() == [{"売上 %": decimal.Decimal("1.5")}, {"売上 %": None}]


def test_a_required_column_is_one_in_the_files_too(world: World) -> None:
    fields = [{"name": "id", "type": "INTEGER", "mode": "REQUIRED"}]
    world.service.tables[TABLE] = {"type": "TABLE", "schema": {"fields": fields}}
    world.load(world.frame(ROWS.select(["id"])), write="append")
    assert [row["id"] for row in world.service.all_rows()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        (None, ["v"]),
        (pd.Index([5, 1, 9]), ["v"]),  # row labels are pandas' alone
        (pd.Index(["a", "b", "c"], name="user"), ["v", "user"]),
        (pd.Index([5, 1, 9], name="user"), ["v", "user"]),
    ],
)
def test_an_index_is_treated_as_in_other_files(
    world: World, tmp_path: pathlib.Path, index: Any, columns: list[str]
) -> None:
    data = pd.DataFrame({"v": [1, 2, 3]}, index=index)
    directory = world.frame(to_table(data))
    world.load(directory)
    _core.write_frame(directory, str(tmp_path / "x.parquet"))
    assert pq.read_schema(tmp_path / "x.parquet").names == columns
    assert [list(row) for row in world.service.all_rows()] == [columns] * 3


def test_objects_and_groups_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_parts, "OBJECT_BYTES", 64 << 10)
    monkeypatch.setattr(load_parts, "GROUP_BYTES", 16 << 10)
    monkeypatch.setattr(load_parts, "_LEAST_RANGE_BYTES", 256 << 10)
    words = pa.array([os.urandom(200).hex() for _ in range(100)])
    parts = []
    for part in range(4):
        picked = pa.array([(row * 37 + part) % 100 for row in range(5000)], pa.int32())
        encoded = pa.DictionaryArray.from_arrays(picked, words)
        noise = pa.array([os.urandom(24) for _ in range(5000)], pa.binary())
        number = pa.array(range(part * 5000, (part + 1) * 5000))
        parts.append(pa.table({"n": number, "w": encoded, "b": noise}))
    sizes: list[int] = []
    groups: list[int] = []
    write = world.storage.write

    def noted(uri: str, data: bytes, **more: Any) -> dict[str, Any]:
        if uri.endswith(".parquet"):
            sizes.append(len(data))
            footer = pq.read_metadata(io.BytesIO(data))
            groups.extend(footer.row_group(at).num_rows for at in range(footer.num_row_groups))
        return write(uri, data, **more)

    monkeypatch.setattr(world.storage, "write", noted)
    shown: list[tuple[int, ...]] = []
    world.load(world.frame(*parts), progress=lambda *counts: shown.append(counts), threads=3)
    assert len(sizes) > 8 and max(sizes) <= 64 << 10
    assert max(groups) < 50
    rows = sorted(world.service.all_rows(), key=lambda row: row["n"])
    expected = [row for part in parts for row in part.to_pylist()]
    assert rows == expected
    assert shown[-1][0] == 20_000 and shown[-1][3] == len(sizes)


def test_more_objects_than_a_job_takes_are_named_by_a_wildcard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_MOST_URIS", 0)
    world.service.failures = [{"reason": "invalid", "message": "no"}]
    with pytest.raises(hy.UsageError):
        world.load(world.frame(ROWS))
    [uri] = world.service.configuration["sourceUris"]
    assert uri.endswith("/part-*.parquet") and uri.count("*") == 1


def test_a_table_that_is_replaced_stays_partitioned_and_clustered(world: World) -> None:
    kept = {"timePartitioning": {"type": "DAY"}, "clustering": {"fields": ["id"]}}
    world.service.tables[TABLE] = {"type": "TABLE", "description": "x", **copy.deepcopy(kept)}
    world.load(world.frame(ROWS))
    told = world.service.configuration
    assert {name: told.get(name) for name in kept} == kept and "description" not in told


# Partitions.

_DAILY = {"type": "TABLE", "timePartitioning": {"type": "DAY", "field": "day"}}


def test_one_partition_is_replaced(world: World) -> None:
    world.service.tables[TABLE] = copy.deepcopy(_DAILY)
    world.service.tables[TABLE]["schema"] = {
        "fields": [{"name": "id", "type": "INTEGER"}, {"name": "name", "type": "STRING"}]
    }
    world.load(world.frame(ROWS), f"{TABLE}$20261123")
    world.load(world.frame(ROWS), f"{TABLE}$20261124", key="k2")
    world.load(world.frame(ROWS.slice(1)), f"{TABLE}$2026-11-24", key="k3")
    assert world.service.rows[TABLE] == {"20261123": AS_ROWS, "20261124": AS_ROWS[1:]}
    assert world.service.configuration["createDisposition"] == "CREATE_NEVER"


@pytest.mark.parametrize(
    ("resource", "partition", "word"),
    [
        (None, "20261124", "only where the table is there"),
        ({"type": "TABLE"}, "20261124", "not partitioned"),
        (_DAILY, "202611", "partitioned by day"),
        (_DAILY, "20261324", "partitioned by day"),
        ({"timePartitioning": {"type": "MONTH"}}, "20261124", "partitioned by month"),
        ({"timePartitioning": {"type": "HOUR"}}, "2026112424", "partitioned by hour"),
        ({"rangePartitioning": {"range": {"start": "0", "end": "100", "interval": "10"}}}, "45",
         "none of these"),
        ({"rangePartitioning": {"range": {"start": "0", "end": "100", "interval": "10"}}}, "100",
         "none of these"),
    ],
)  # fmt: skip
def test_a_partition_that_the_table_does_not_have_is_refused(
    world: World, resource: dict[str, Any] | None, partition: str, word: str
) -> None:
    if resource is not None:
        world.service.tables[TABLE] = resource
    with pytest.raises(hy.UsageError, match=word) as caught:
        world.load(world.frame(ROWS), f"{TABLE}${partition}")
    assert caught.value.fix and not world.service.jobs


# What is refused before anything is written.


def _refused(world: World, word: str, directory: str | None = None, **more: Any) -> None:
    with pytest.raises(hy.HayateError, match=word) as caught:
        world.load(directory or world.frame(ROWS), **more)
    assert caught.value.fix
    assert not world.service.jobs and world.storage.generation == 1000


def test_a_missing_dataset_a_view_and_another_location_are_refused(world: World) -> None:
    _refused(world, "no such dataset", table="test-project.nowhere.t")
    _refused(world, "location= says EU, and the dataset is in US", location="EU")
    world.service.tables[TABLE] = {"type": "MATERIALIZED_VIEW"}
    _refused(world, "this is a materialized view")


def test_a_bucket_that_does_not_allow_it_is_refused(world: World) -> None:
    world.storage.held = ["storage.objects.get"]
    _refused(world, "does not allow us")


def test_values_are_refused_before_anything_is_written(world: World) -> None:
    times = pa.table({"at": pa.array([0, 1], pa.timestamp("ns"))})
    with pytest.raises(hy.UsageError, match="nanoseconds") as caught:
        world.load(world.frame(times.slice(0, 1), times))
    assert caught.value.where.row == 3 and caught.value.where.column == "at"
    assert world.storage.generation == 1000 and not world.service.jobs


def test_values_that_are_no_table_are_refused(world: World) -> None:
    directory = world.folder / "values"
    directory.mkdir()
    (directory / "part-00000.value.json").write_text("1")
    _core.adopt_part(str(directory), 0, "part-00000.value.json", "json")
    _core.commit(str(directory), "stage", 1)
    _refused(world, "only a table", str(directory))


def test_a_bucket_far_from_the_dataset_is_said(world: World) -> None:
    world.storage.resource = {"location": "ASIA-NORTHEAST1"}
    world.load(world.frame(ROWS))
    assert any("from one region to the other" in line for line in world.said)


# Faults.


@pytest.mark.parametrize("code", [429, 500, 502, 503])
@pytest.mark.parametrize(
    "call",
    [("GET", "/tables/"), ("GET", "/datasets/"), ("POST", "/jobs"), ("GET", "/jobs/")],
)
@pytest.mark.parametrize("write", ["truncate", "append"])
def test_a_busy_service_is_asked_again(
    world: World, code: int, call: tuple[str, str], write: str
) -> None:
    world.service.faults[call] = [error(code, ""), error(code, "backendError"), "lost"]
    world.load(world.frame(ROWS), write=write)
    assert world.service.all_rows() == AS_ROWS
    assert len([line for line in world.said if "failed (" in line]) == 3


@pytest.mark.parametrize("write", ["truncate", "append"])
def test_a_lost_answer_to_the_insert_makes_no_second_job(world: World, write: str) -> None:
    world.service.faults[("POST", "/jobs")] = ["lost"]
    world.load(world.frame(ROWS), write=write)
    assert len(world.service.jobs) == 1 and world.service.all_rows() == AS_ROWS


@pytest.mark.parametrize("write", ["truncate", "append"])
def test_a_job_that_fails_by_the_services_fault_is_repeated(world: World, write: str) -> None:
    world.service.failures = [{"reason": "backendError", "message": "try again"}] * 2
    world.load(world.frame(ROWS), write=write)
    assert world.service.all_rows() == AS_ROWS
    names = list(world.service.jobs)
    assert len(names) == 3 and [name[-2:] for name in names] == ["_1", "_2", "_3"]
    assert sum("attempt" in line for line in world.said) == 2


@pytest.mark.parametrize(
    ("reason", "kind"), [("invalid", hy.UsageError), ("quotaExceeded", hy.InputError)]
)
def test_a_job_that_fails_leaves_the_table_as_it_was(
    world: World, reason: str, kind: type[hy.HayateError]
) -> None:
    world.load(world.frame(ROWS))
    before = copy.deepcopy((world.service.tables, world.service.rows))
    world.service.failures = [{"reason": reason, "message": "it is so"}]
    with pytest.raises(kind, match="it is so"):
        world.load(world.frame(ROWS.slice(1)), key="k2")
    assert (world.service.tables, world.service.rows) == before


def test_an_append_that_failed_is_done_again_under_the_next_name(world: World) -> None:
    directory = world.frame(ROWS)
    for _ in range(2):
        world.service.failures = [{"reason": "quotaExceeded", "message": "later"}]
        with pytest.raises(hy.InputError, match="later"):
            world.load(directory, write="append")
    world.load(directory, write="append")
    assert world.service.all_rows() == AS_ROWS
    assert [name[-2:] for name in world.service.jobs] == ["_1", "_2", "_3"]


def test_what_was_appended_is_not_appended_again(world: World) -> None:
    directory = world.frame(ROWS)
    first = world.load(directory, write="append")
    uploads = world.storage.generation
    again = world.load(directory, write="append")
    assert again["was_there"] and not first["was_there"]
    assert (again["job"], again["rows"], again["bytes"], again["state"]) == (
        first["job"], 3, first["bytes"], first["state"],
    )  # fmt: skip
    assert world.storage.generation == uploads and len(world.service.jobs) == 1
    assert any("not appended again" in line for line in world.said)
    # Another frame, and another table, are something else.
    world.load(world.frame(ROWS), write="append", key="k2")
    world.load(directory, "test-project.d.other", write="append")
    assert len(world.service.all_rows()) == 6
    assert len(world.service.all_rows("test-project.d.other")) == 3


def test_rows_that_went_with_their_table_are_appended_again(world: World) -> None:
    directory = world.frame(ROWS)
    world.load(directory, write="append")
    del world.service.tables[TABLE], world.service.rows[TABLE]
    world.load(directory, write="append")
    assert world.service.all_rows() == AS_ROWS
    # Made again by somebody else, without these rows.
    world.service.rows[TABLE] = {}
    world.service.tables[TABLE]["creationTime"] = str(world.service.now + 1)
    world.load(directory, write="append")
    assert world.service.all_rows() == AS_ROWS
    assert [name[-2:] for name in world.service.jobs] == ["_1", "_2", "_3"]


def test_a_job_of_an_earlier_run_that_still_runs_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = world.frame(ROWS)
    world.load(directory, write="append")
    [name] = world.service.jobs
    world.service.looks, world.service.seen[name] = 3, 0
    assert world.load(directory, write="append")["was_there"]
    assert world.service.all_rows() == AS_ROWS
    assert any("still appends this frame" in line for line in world.said)


def test_two_runs_that_append_the_same_frame_at_once_share_a_job(world: World) -> None:
    directory = world.frame(ROWS)

    def other() -> None:
        if "/jobs/" in world.service.requests[-1] and not world.service.jobs:
            world.service.after = lambda: None
            world.load(directory, write="append")

    # The other one begins and ends just after this one has found that there is no job.
    world.service.after = other
    result = world.load(directory, write="append")
    assert world.service.all_rows() == AS_ROWS and len(world.service.jobs) == 1
    assert result["rows"] == 3


def test_a_job_of_another_run_whose_files_are_gone_is_followed_by_ours(world: World) -> None:
    directory = world.frame(ROWS)

    def other() -> None:
        if "/jobs/" in world.service.requests[-1] and not world.service.jobs:
            world.service.after = lambda: None
            world.service.failures = [{"reason": "notFound", "message": "Not found: Uris"}]
            with pytest.raises(hy.InputError, match="Uris"):
                world.load(directory, write="append")

    world.service.after = other
    world.load(directory, write="append")
    assert world.service.all_rows() == AS_ROWS
    assert [name[-2:] for name in world.service.jobs] == ["_1", "_2"]


def test_what_was_appended_stays_so_whatever_becomes_of_the_table(world: World) -> None:
    directory = world.frame(ROWS)
    world.load(directory, write="append")
    fields = [{"name": "id", "type": "STRING"}]
    world.service.tables[TABLE]["schema"] = {"fields": fields}
    assert world.load(directory, write="append")["was_there"]


@pytest.mark.parametrize("write", ["truncate", "append"])
def test_counts_that_do_not_agree_are_an_error(world: World, write: str) -> None:
    world.service.reported = lambda rows: rows - 1
    with pytest.raises(hy.InputError, match="loaded 2 rows, and the frame has 3"):
        world.load(world.frame(ROWS), write=write)
    if write == "append":
        with pytest.raises(hy.InputError, match="loaded 2 rows, and the frame has 3"):
            world.load(world.frame(ROWS), write=write)
        assert len(world.service.jobs) == 1


def test_a_change_by_somebody_else_leaves_no_state(world: World) -> None:
    def changed() -> None:
        if world.service.jobs:
            world.service.tables[TABLE]["numRows"] = "7"

    world.service.after = changed
    assert world.load(world.frame(ROWS))["state"] is None


def test_the_state_of_a_table_changes_with_it(world: World) -> None:
    what = Load(f"{TABLE}", STAGING, project="test-project")
    assert table_state(what) is None
    state = world.load(world.frame(ROWS))["state"]
    assert table_state(what) == state is not None
    world.service.tables[TABLE]["lastModifiedTime"] = "9999"
    changed = table_state(what)
    world.service.tables[TABLE]["streamingBuffer"] = {"estimatedRows": "5"}
    assert len({state, changed, table_state(what)}) == 3


@pytest.mark.parametrize("raised", [KeyboardInterrupt, hy.InputError])
@pytest.mark.parametrize("at", [0, 1])
def test_a_failure_or_an_interrupt_leaves_nothing(
    world: World, raised: type[BaseException], at: int
) -> None:
    calls = 0

    def show(*counts: int) -> None:
        nonlocal calls
        calls += 1
        if calls > at:
            raise raised("broken")

    with pytest.raises(raised):
        world.load(world.frame(ROWS), progress=show)
    assert not world.service.tables and not world.leftovers()


def test_an_upload_that_fails_ends_all_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_parts, "_LEAST_RANGE_BYTES", 1)
    monkeypatch.setattr(load_parts, "_RANGE_BYTES", 1)
    write = world.storage.write
    attempts: list[str] = []

    def broken(uri: str, data: bytes, **more: Any) -> dict[str, Any]:
        if uri.endswith(".parquet"):
            attempts.append(uri)
            if len(attempts) == 3:
                raise hy.StorageError("the service stays in trouble", fix="Later.")
        return write(uri, data, **more)

    monkeypatch.setattr(world.storage, "write", broken)
    directory = world.frame(pa.table({"a": list(range(1000))}))
    with pytest.raises(hy.StorageError, match="stays in trouble"):
        world.load(directory)
    assert len(attempts) < 20
    assert not world.leftovers() and not world.service.jobs


def test_an_object_of_another_size_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = world.storage.write

    def cut(uri: str, data: bytes, **more: Any) -> dict[str, Any]:
        return write(uri, data[:-1] if uri.endswith(".parquet") else data, **more)

    monkeypatch.setattr(world.storage, "write", cut)
    with pytest.raises(hy.InputError, match="were written"):
        world.load(world.frame(ROWS))
    assert not world.service.jobs


def test_a_job_is_stopped_before_its_files_are_removed(world: World) -> None:
    world.service.looks = 10**9
    seen: list[bool] = []

    def after() -> None:
        if world.service.cancelled:
            seen.append(bool(world.leftovers()))

    def interrupted() -> None:
        if world.service.jobs and not world.service.cancelled:
            raise KeyboardInterrupt

    world.service.after = after
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load.ExportFolder, "renew", lambda folder: interrupted())
        with pytest.raises(KeyboardInterrupt):
            world.load(world.frame(ROWS))
    assert len(world.service.cancelled) == 1
    assert seen and seen[0]


def test_what_a_job_may_still_read_stays_for_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = world.frame(ROWS)
    with monkeypatch.context() as patch:
        patch.setattr(load, "stop_quietly", lambda watch, say: False)
        world.service.failures = [{"reason": "invalid", "message": "no"}]
        with pytest.raises(hy.UsageError):
            world.load(directory)
    assert len(world.leftovers()) == 2 and len(world.journals()) == 1
    world.load(directory)
    assert world.service.all_rows() == AS_ROWS


def test_rows_that_were_not_encoded_are_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_parts.FrameRows, "ranges", lambda rows, threads: [(0, 2)])
    with pytest.raises(hy.InputError, match="2 rows were encoded, and the frame has 3"):
        world.load(world.frame(ROWS))
    assert not world.service.jobs


# Killed at any moment.


class _Manager(BaseManager):
    pass


_PROGRAM = """
import json, os, sys
from multiprocessing.managers import BaseManager
import google.auth, google.cloud.bigquery
from hayate.google import load, load_client

class Manager(BaseManager):
    pass

Manager.register("storage")

class Engine:
    @staticmethod
    def CloudStorage(endpoint, token, say):
        manager = Manager(("127.0.0.1", port), b"load")
        manager.connect()
        return manager.storage()

load_client.engine = Engine
for line in sys.stdin:
    port, directory, store, what = json.loads(line)
    process = os.fork()
    if process == 0:
        told = load.Load.from_json(what)
        load.load_frame(directory, told, store=store, key="k1", threads=2)
        os._exit(0)
    print(process, flush=True)
    _, status = os.waitpid(process, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class _Killer:
    """Kills a process when so many calls of the services have been answered."""

    def __init__(self, world: World) -> None:
        self.storage = world.storage
        self.process = 0
        self.left = -1
        self.calls = 0
        self.lock = threading.Lock()
        self.is_known = threading.Event()
        world.service.after = self.count

    def count(self) -> None:
        self.is_known.wait(60)
        with self.lock:
            self.calls += 1
            self.left -= 1
            if self.left == 0:
                os.kill(self.process, signal.SIGKILL)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.storage, name)

        def counted(*args: Any, **more: Any) -> Any:
            try:
                return method(*args, **more)
            finally:
                self.count()

        return counted


@pytest.mark.parametrize("write", ["truncate", "append"])
def test_a_run_that_is_killed_at_any_moment_loses_and_doubles_nothing(
    world: World, write: str
) -> None:
    killer = _Killer(world)
    methods = ["list", "bucket", "permissions", "read", "write", "delete", "stop", "resume"]
    _Manager.register("storage", callable=lambda: killer, exposed=methods)
    server = _Manager(("127.0.0.1", 0), b"load").get_server()

    def serve() -> None:
        with contextlib.suppress(SystemExit):
            server.serve_forever()

    threading.Thread(target=serve, daemon=True).start()
    port = server.address[1]
    what = Load(TABLE, STAGING, write, project="test-project")  # type: ignore[arg-type]
    directory, store = world.frame(ROWS, ROWS), str(world.folder / "store")
    expected = AS_ROWS * 2
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as zygote:
        assert zygote.stdin is not None and zygote.stdout is not None

        def run(calls: int) -> int:
            killer.is_known.clear()
            killer.calls, killer.left = 0, calls
            print(json.dumps([port, directory, store, what.to_json()]), file=zygote.stdin)
            zygote.stdin.flush()  # type: ignore[union-attr]
            killer.process = int(zygote.stdout.readline())  # type: ignore[union-attr]
            killer.is_known.set()
            return int(zygote.stdout.readline())  # type: ignore[union-attr]

        killed = 0
        while True:
            world.service.tables.clear()
            world.service.rows.clear()
            world.service.jobs.clear()
            status = run(killed + 1)
            if status == 0:
                break
            assert status == -signal.SIGKILL
            killed += 1
            # Before the job has ended there is nothing; after it all.
            assert world.service.all_rows() in ([], expected)
            assert run(-1) == 0
            assert world.service.all_rows() == expected, f"killed after {killed} calls"
            assert not world.leftovers() and not world.journals()
        assert killed > 12
        zygote.stdin.close()
        zygote.wait(30)
    server.stop_event.set()
