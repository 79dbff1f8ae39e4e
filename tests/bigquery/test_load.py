"""hayate.google.load against the stand-ins: a table has all of a frame, once, or is as before."""

from __future__ import annotations

import datetime as dt
import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from emulators import faults
from emulators.bigquery import BigQuery
from emulators.cloud_storage import CloudStorage
from emulators.http_service import Call
from emulators.jobs import INSTANT, JobError, JobPlan
from emulators.storage_proxy import StorageProxy
from google.cloud import bigquery

import hayate as hy
from hayate import _core
from hayate.frames import write_table
from hayate.google import export, load
from hayate.google.load import Load, load_frame, table_state
from hayate.google.retries import Retries

PROJECT = "test-project"
PROGRAM = """
import json, sys
from hayate.google.load import Load, load_frame
directory, store, what, key = sys.argv[1:]
load_frame(directory, Load.from_json(json.loads(what)), store=store, key=key, threads=2)
"""
ROWS = pa.table({"id": [1, 2, 3], "name": ["a", None, ""]})


@dataclass
class Loads:
    """Loads of one test: a folder for frames and the store, a bucket, a dataset."""

    big_query: BigQuery
    proxy: StorageProxy
    storage: CloudStorage
    client: bigquery.Client
    bucket: str
    dataset: str
    folder: Path
    said: list[str]
    frames: int = 0

    def frame(self, *tables: pa.Table) -> str:
        self.frames += 1
        directory = self.folder / f"frame{self.frames}"
        directory.mkdir()
        for number, table in enumerate(tables):
            write_table(table, str(directory), number)
        _core.commit(str(directory), "stage", len(tables))
        return str(directory)

    def told(self, write: str = "truncate", partition: str = "") -> Load:
        name = f"{PROJECT}.{self.dataset}.t{partition}"
        return Load(name, f"gs://{self.bucket}/tmp", write, PROJECT)  # type: ignore[arg-type]

    def load(
        self, directory: str, write: str = "truncate", partition: str = "", key: str = "k"
    ) -> dict[str, Any]:
        return load_frame(
            directory,
            self.told(write, partition),
            store=self.store,
            key=key,
            threads=2,
            say=self.said.append,
        )

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    def query(self, sql: str) -> list[dict[str, Any]]:
        self.big_query.plan_next(INSTANT)
        return [dict(row) for row in self.client.query(sql).result()]

    def rows(self, order: str = "id") -> list[dict[str, Any]]:
        return self.query(f"SELECT * FROM `{PROJECT}.{self.dataset}.t` ORDER BY {order}")

    def assert_clean(self) -> None:
        assert self.storage.names(self.bucket) == []
        assert list((self.folder / "store" / "exports").glob("*")) == []

    def start(self, directory: str, write: str, key: str = "k") -> subprocess.Popen[bytes]:
        """A process of its own, to be killed."""
        what = json.dumps(self.told(write).to_json())
        command = [sys.executable, "-c", PROGRAM, directory, self.store, what, key]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@pytest.fixture
def loads(
    big_query: BigQuery,
    storage_proxy: StorageProxy,
    cloud_storage: CloudStorage,
    client: bigquery.Client,
    bucket: str,
    dataset: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Loads]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_proxy.endpoint)
    monkeypatch.setattr(export, "_FIRST_POLL_S", 0.02)
    monkeypatch.setattr(export, "_MOST_POLL_S", 0.02)
    monkeypatch.setattr(load, "Retries", partial(Retries, first_s=0.01, most_s=0.05))
    made = Loads(big_query, storage_proxy, cloud_storage, client, bucket, dataset, tmp_path, [])
    yield made
    made.assert_clean()


def test_values_of_every_type_arrive(loads: Loads) -> None:
    at = dt.datetime(2026, 11, 24, 3, 4, 5, 678_901)
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.int8()),
            "text": pa.array(["", None]).dictionary_encode(),
            "bytes": pa.array([b"\0\xff", None]),
            "float": pa.array([0.1, None], pa.float32()),
            "bool": [True, None],
            "day": pa.array([dt.date(1, 1, 1), None], pa.date64()),
            "time": pa.array([dt.time(1, 2, 3, 4), None]),
            "datetime": pa.array([at, None], pa.timestamp("ns")),
            "timestamp": pa.array([at.replace(tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
            "money": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "nothing": pa.nulls(2),
            "list": [[1, 2], []],
        }
    )
    result = loads.load(loads.frame(table))
    assert result["rows"] == 2
    first, second = loads.rows()
    assert first == {
        "id": 1,
        "text": "",
        "bytes": b"\0\xff",
        "float": table["float"][0].as_py(),
        "bool": True,
        "day": dt.date(1, 1, 1),
        "time": dt.time(1, 2, 3, 4),
        "datetime": at,
        "timestamp": at.replace(tzinfo=dt.UTC),
        "money": Decimal("1.5"),
        "nothing": None,
        "list": [1, 2],
    }
    assert {name for name, value in second.items() if value not in (None, [])} == {"id"}
    fields = {one.name: one.field_type for one in loads.client.get_table(_name(loads)).schema}
    assert fields["datetime"] == "DATETIME" and fields["timestamp"] == "TIMESTAMP"


def _name(loads: Loads) -> str:
    return f"{PROJECT}.{loads.dataset}.t"


def test_rows_are_replaced_emptied_and_appended_once(loads: Loads) -> None:
    directory = loads.frame(ROWS, ROWS)
    first = loads.load(directory)
    assert len(loads.rows()) == 6
    assert first["state"] == table_state(loads.told())
    loads.load(loads.frame(ROWS.slice(0, 0)), key="k2")
    assert loads.rows() == [] and table_state(loads.told()) != first["state"]
    for _ in range(2):
        loads.load(directory, "append")
    assert len(loads.rows()) == 6
    loads.load(loads.frame(ROWS), "append", key="k3")
    assert len(loads.rows()) == 9


def test_one_partition_is_replaced(loads: Loads) -> None:
    days = [dt.date(2026, 11, 23), dt.date(2026, 11, 24)]
    made = bigquery.Table(
        _name(loads),
        [bigquery.SchemaField("id", "INTEGER"), bigquery.SchemaField("day", "DATE")],
    )
    made.time_partitioning = bigquery.TimePartitioning(field="day")
    loads.client.create_table(made)
    for number, day in enumerate(days):
        table = pa.table({"id": [number, number + 10], "day": [day, day]})
        loads.load(loads.frame(table), partition=f"${day}", key=str(day))
    again = pa.table({"id": [7], "day": [days[1]]})
    loads.load(loads.frame(again), partition="$20261124", key="again")
    assert [row["id"] for row in loads.rows()] == [0, 7, 10]
    with pytest.raises(hy.UsageError, match="belong to different partitions"):
        loads.load(loads.frame(again), partition="$20261123", key="wrong")
    assert [row["id"] for row in loads.rows()] == [0, 7, 10]


@pytest.mark.parametrize("write", ["truncate", "append"])
def test_trouble_on_any_call_loses_and_doubles_nothing(loads: Loads, write: str) -> None:
    loads.big_query.faults.add(
        *[faults.answer(r"/jobs\b", status) for status in (429, 500, 502, 503)],
        *[faults.answer(r"/tables/", status) for status in (503, 500)],
        faults.drop(r"/jobs\?", method="POST"),
        faults.refuse(r"/jobs/"),
    )
    loads.proxy.faults.add(
        *[faults.answer(r"/upload/", status) for status in (429, 503)],
        faults.drop(r"/upload/.*parquet", method="POST"),
        faults.refuse(r"/upload/.*parquet", method="POST"),
        faults.answer(r"/batch/", 502),
    )
    loads.load(loads.frame(ROWS, ROWS), write)
    assert len(loads.rows()) == 6
    assert len([job for job in loads.big_query.jobs() if "load" in job.configuration]) == 1


def test_a_job_that_fails_leaves_the_table_as_it_was(loads: Loads) -> None:
    loads.load(loads.frame(ROWS))
    loads.big_query.plan_next(JobPlan(error=JobError("quotaExceeded", "too many")))
    with pytest.raises(hy.InputError, match="too many"):
        loads.load(loads.frame(ROWS.slice(0, 1)), key="k2")
    assert len(loads.rows()) == 3


def test_a_job_that_fails_by_the_services_fault_is_repeated(loads: Loads) -> None:
    loads.big_query.plan_next(JobPlan(error=JobError("backendError", "try again")))
    loads.load(loads.frame(ROWS), "append")
    assert len(loads.rows()) == 3


def test_a_bucket_full_of_foreign_objects_stays_so(loads: Loads) -> None:
    names = ["tmp/mine.parquet", "tmp/hayate-mine/part-000000000000.parquet"]
    for name in names:
        loads.storage.put(loads.bucket, name, b"mine")
    loads.load(loads.frame(ROWS))
    assert len(loads.rows()) == 3
    assert loads.storage.names(loads.bucket) == sorted(names)
    for name in names:
        loads.storage.delete(loads.bucket, name)


@pytest.mark.parametrize("write", ["truncate", "append"])
@pytest.mark.parametrize("call", [("POST", r"/jobs\?"), ("GET", r"/jobs/"), ("GET", r"/tables/")])
def test_a_run_that_is_killed_at_a_job_is_made_good_by_the_next(
    loads: Loads, write: str, call: tuple[str, str]
) -> None:
    directory = loads.frame(ROWS, ROWS)
    reached = faults.stall(call[1], 0, method=call[0])
    loads.big_query.faults.add(reached)
    with loads.start(directory, write) as process:
        assert reached.wait_until_reached(60)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    loads.big_query.faults.clear()
    loads.load(directory, write)
    assert len(loads.rows()) == 6


class Moment:
    """The call at which a run stands still, to be killed in the middle of it."""

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.lock = threading.Lock()
        self.is_reached = threading.Event()
        self.is_over = threading.Event()

    def __call__(self, call: Call) -> None:
        with self.lock:
            self.left -= 1
            is_it = self.left == 0
        if is_it:
            self.is_reached.set()
            self.is_over.wait(60)
            # A call that is done after the run is gone would be of no run.
            raise ConnectionAbortedError


@pytest.mark.all
@pytest.mark.parametrize("write", ["truncate", "append"])
def test_a_run_that_is_killed_at_random_moments_is_made_good_by_the_next(
    loads: Loads, write: str
) -> None:
    chance = random.Random(20261124)
    expected = 0
    for turn in range(10):
        directory, key = loads.frame(ROWS, ROWS), f"k{turn}"
        loads.proxy.before = moment = Moment(chance.randrange(1, 12))
        with loads.start(directory, write, key) as process:
            while process.poll() is None and not moment.is_reached.wait(0.05):
                pass
            process.kill()
            process.wait(30)
        loads.proxy.before = None
        moment.is_over.set()
        loads.load(directory, write, key=key)
        expected = 6 if write == "truncate" else expected + 6
        assert len(loads.rows()) == expected
        loads.assert_clean()
