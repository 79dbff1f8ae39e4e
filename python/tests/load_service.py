"""What loads into BigQuery are tested against: a service that runs load jobs on the objects of a
bucket in memory, and a frame, a store and a bucket around it."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import pathlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google_service import FakeStorage, error, serving

from hayate import _core
from hayate.frames import write_table
from hayate.google import load, load_client
from hayate.google.load import Load, load_frame
from hayate.google.retries import Retries

STAGING = "gs://bucket/tmp"
TABLE = "test-project.d.t"
_JOB_FOLDER = "/hayate-"
ROWS = pa.table({"id": [1, 2, 3], "name": ["a", None, "c"]})
AS_ROWS = ROWS.to_pylist()


class LoadService:
    """BigQuery as far as loads need it: datasets, tables, and load jobs that read the bucket.

    Attributes:
        storage: where the objects are.
        tables: "p.d.t" → resource; rows: the same name → partition ("": none) → rows.
        faults: answers to give instead of the next ones, by method and part of the path; "lost"
            does the work and breaks the connection.
        jobs: by id, as they have ended.
        failures: error results of the next load jobs.
        looks: how often a job is RUNNING before it is seen as DONE.
        after: called after each request.
    """

    def __init__(self, storage: FakeStorage) -> None:
        self.storage = storage
        self.datasets = {"test-project.d": {"location": "US"}}
        self.tables: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.faults: dict[tuple[str, str], list[tuple[int, dict[str, Any]] | str]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.failures: list[dict[str, str]] = []
        self.looks = 0
        self.seen: dict[str, int] = {}
        self.cancelled: list[str] = []
        self.requests: list[str] = []
        self.reported: Callable[[int], int] = lambda rows: rows
        self.after: Callable[[], None] = lambda: None
        self.now = 1_000
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        with self.lock:
            self.requests.append(f"{method} {path}")
            fault: Any = None
            for (wanted, part), answers in self.faults.items():
                if wanted == method and part in path and answers:
                    fault = answers.pop(0)
                    break
            if isinstance(fault, tuple):
                return fault
            result = self._answer(method, path, body)
        self.after()
        return result if fault is None else fault

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        parts = path.partition("?")[0].strip("/").split("/")
        parts = parts[parts.index("projects") :]
        if parts[2] == "jobs" and method == "POST" and parts[-1] == "cancel":
            if parts[3] not in self.jobs:
                return error(404, "notFound")
            self.cancelled.append(parts[3])
            self.seen[parts[3]] = self.looks
            return 200, {"job": self._job(parts[3])}
        if parts[2] == "jobs" and method == "POST":
            return self._insert(body)
        if parts[2] == "jobs":
            return (200, self._job(parts[3])) if parts[3] in self.jobs else error(404, "notFound")
        name = ".".join((parts[1], *parts[3::2]))
        found = self.tables.get(name) if len(parts) > 4 else self.datasets.get(name)
        if found is None:
            return error(404, "notFound")
        reference = dict(zip(("projectId", "datasetId", "tableId"), name.split("."), strict=False))
        which = "tableReference" if len(parts) > 4 else "datasetReference"
        return 200, {which: reference, **copy.deepcopy(found)}

    def _insert(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = body["jobReference"]["jobId"]
        if name in self.jobs:
            return error(409, "duplicate", "Already Exists")
        job = copy.deepcopy(body)
        self.now += 10
        try:
            statistics = self._load(job["configuration"]["load"])
            job["status"] = {"state": "DONE"}
            job["statistics"] = {"load": statistics}
        except _LoadError as refused:
            job["status"] = {"state": "DONE", "errorResult": refused.args[0]}
            job["statistics"] = {}
        self.now += 10
        job["statistics"]["endTime"] = str(self.now)
        self.jobs[name] = job
        self.seen[name] = 0
        return 200, {**body, "status": {"state": "PENDING"}}

    def _job(self, name: str) -> dict[str, Any]:
        self.seen[name] += 1
        if self.seen[name] <= self.looks:
            return {**self.jobs[name], "status": {"state": "RUNNING"}, "statistics": {}}
        return self.jobs[name]

    def _load(self, told: dict[str, Any]) -> dict[str, str]:
        if self.failures:
            raise _LoadError(self.failures.pop(0))
        path = told["destinationTable"]
        table, _, partition = path["tableId"].partition("$")
        name = ".".join((path["projectId"], path["datasetId"], table))
        files = [self.storage.read(uri) for uri in told["sourceUris"]]
        found = [pq.read_table(io.BytesIO(data)) for data in files]
        for one in found:
            _agree(told["schema"]["fields"], one.schema)
        rows = [row for one in found for row in one.to_pylist()]
        is_new = name not in self.tables
        if is_new and told["createDisposition"] == "CREATE_NEVER":
            raise _LoadError({"reason": "notFound", "message": "Not found: Table"})
        resource = self.tables.setdefault(
            name, {"type": "TABLE", "creationTime": str(self.now), "location": "US"}
        )
        if is_new or (told["writeDisposition"] == "WRITE_TRUNCATE" and not partition):
            resource["schema"] = told["schema"]
        held = self.rows.setdefault(name, {})
        if told["writeDisposition"] == "WRITE_TRUNCATE":
            for key in [partition] if partition else list(held):
                held.pop(key, None)
        held.setdefault(partition, []).extend(rows)
        resource["numRows"] = str(sum(map(len, held.values())))
        resource["lastModifiedTime"] = str(self.now)
        return {
            "inputFiles": str(len(files)),
            "inputFileBytes": str(sum(map(len, files))),
            "outputRows": str(self.reported(len(rows))),
        }

    def all_rows(self, name: str = TABLE) -> list[dict[str, Any]]:
        return [row for rows in self.rows.get(name, {}).values() for row in rows]

    @property
    def configuration(self) -> dict[str, Any]:
        """Of the last job."""
        return dict(list(self.jobs.values())[-1]["configuration"]["load"])


class _LoadError(Exception):
    """A load job that fails."""


def _agree(fields: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """As the service compares a schema with that of a file."""
    if [field["name"] for field in fields] != schema.names:
        raise _LoadError({"reason": "invalid", "message": "names"})
    for field, one in zip(fields, schema, strict=True):
        if (field["mode"] == "REQUIRED") == one.nullable:
            raise _LoadError({"reason": "invalid", "message": f"mode of {one.name}"})


class World:
    """A frame, a bucket, BigQuery, and a store."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.storage = FakeStorage()
        self.service = LoadService(self.storage)
        self.said: list[str] = []
        self.frames = 0

    def frame(self, *tables: pa.Table) -> str:
        """A committed frame of these parts."""
        self.frames += 1
        directory = self.folder / f"frame{self.frames}"
        directory.mkdir()
        for number, table in enumerate(tables):
            write_table(table, str(directory), number)
        _core.commit(str(directory), "stage", len(tables))
        return str(directory)

    def load(self, directory: str, table: str = TABLE, **more: Any) -> dict[str, Any]:
        key = more.pop("key", "k1")
        rest = {one: more.pop(one) for one in ("threads", "progress", "say") if one in more}
        rest = {"threads": 2, "say": self.said.append, **rest}
        what = Load(table, STAGING, project="test-project", **more)
        return load_frame(directory, what, store=str(self.folder / "store"), key=key, **rest)

    def journals(self) -> list[str]:
        folder = self.folder / "store" / "exports"
        return sorted(os.listdir(folder)) if folder.exists() else []

    def leftovers(self) -> list[str]:
        return [uri for uri in self.storage.objects if _JOB_FOLDER in uri]


def _quick(say: Callable[[str], None]) -> Retries:
    return Retries(say, sleep=lambda seconds: None)


@contextlib.contextmanager
def world_in(folder: pathlib.Path) -> Iterator[World]:
    made = World(folder)

    class _Engine:
        @staticmethod
        def CloudStorage(endpoint: str, token: Any, say: Any) -> FakeStorage:
            return made.storage

    with pytest.MonkeyPatch.context() as patch, serving(made.service) as address:  # type: ignore[arg-type]
        patch.setenv("BIGQUERY_EMULATOR_HOST", address)
        patch.setattr(load_client, "engine", _Engine)
        patch.setattr(load, "Retries", _quick)
        yield made
