"""hy.read_bigquery against the stand-ins, and what it leaves behind."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from emulators.bigquery import BigQuery
from emulators.jobs import INSTANT, Job, JobPlan
from emulators.object_store import ObjectStore
from emulators.storage_proxy import StorageProxy
from google.cloud import bigquery

import hayate as hy

PROJECT = "test-project"
WAIT_S = 120

# A read in a process of its own: its arguments, and where to put the result.
_CHILD = """
import json, signal, sys
import pyarrow.parquet as pq
import hayate as hy
from hayate.google import export

# Also where the test itself runs in the background, without ^C.
signal.signal(signal.SIGINT, signal.default_int_handler)
export._FIRST_POLL_S = export._MOST_POLL_S = 0.05
options, path = json.loads(sys.argv[1]), sys.argv[2]
pq.write_table(hy.read_bigquery(**options), path)
"""


@dataclass
class Child:
    """A read in a process of its own.

    Attributes:
        process: the process; its stdout and stderr are pipes.
        path: where it puts the result.
        said: what it has written to stdout and stderr; known once it has ended.
    """

    process: subprocess.Popen[str]
    path: Path
    said: str = ""

    def wait(self) -> int:
        """Its exit code."""
        out, err = self.process.communicate(timeout=WAIT_S)
        self.said += out + err
        return self.process.returncode

    def table(self) -> pa.Table:
        """The result of one that has ended well."""
        assert self.wait() == 0, self.said
        return pq.read_table(self.path)

    def end(self) -> None:
        """Kills it, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.wait()


@dataclass
class Reads:
    """Reads of one test: a working directory, a bucket, and the servers they go to.

    Attributes:
        big_query: runs the jobs.
        proxy: Cloud Storage, as the reads see it.
        storage: what is behind the proxy.
        client: the official client, for what prepares a test.
        bucket: that exports go to.
        folder: the working directory, in which the store is.
        errors: what was said on stderr; a capture of pytest.
    """

    big_query: BigQuery
    proxy: StorageProxy
    storage: ObjectStore
    client: bigquery.Client
    bucket: str
    folder: Path
    errors: pytest.CaptureFixture[str]

    def read(self, sql: str, plan: JobPlan = INSTANT, **options: Any) -> Any:
        """The result by way of the bucket, as an Arrow table unless `as_` says otherwise."""
        self.big_query.plan_next(plan)
        return self.call(sql, **{"export": f"gs://{self.bucket}/folder", **options})

    def into_table(self, sql: str, dataset: str, name: str = "result") -> JobPlan:
        """How a query's job goes whose result is in a table of `dataset`.

        bqemulator keeps no anonymous table that anything else could read. So the result is put
        where the job then says that it is.
        """
        self.prepare(f"CREATE OR REPLACE TABLE {dataset}.{name} AS {sql}")
        table = {"projectId": PROJECT, "datasetId": dataset, "tableId": name}

        def name_it(job: Job) -> None:
            job.configuration["query"]["destinationTable"] = table

        return JobPlan(running_polls=0, after_done=name_it)

    def stream(self, sql: str, dataset: str, **options: Any) -> Any:
        """The result by way of the Storage Read API."""
        self.big_query.plan_next(self.into_table(sql, dataset))
        return self.call(sql, **options)

    def start(self, sql: str, name: str = "child", *, env: Any = None, **options: Any) -> Child:
        """Starts a read by way of the bucket in a process of its own.

        Args:
            sql: the query.
            name: of the folder in the working directory that has its store and its result.
            env: variables that are other ones there.
            options: arguments of hy.read_bigquery.
        """
        folder = self.folder / name
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        path = folder / "result.parquet"
        export = f"gs://{self.bucket}/folder"
        arguments = {
            "sql": sql, "export": export, "project": PROJECT, "as_": "arrow", **options
        }  # fmt: skip
        environment = {**os.environ, "HAYATE_TMP": str(folder / "tmp"), **(env or {})}
        process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, json.dumps(arguments), str(path)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Child(process, path)

    def call(self, sql: str, **options: Any) -> Any:
        """hy.read_bigquery, as an Arrow table unless `as_` says otherwise."""
        chosen = {"project": PROJECT, "as_": "arrow", "progress": None, **options}
        return hy.read_bigquery(sql, **chosen)

    def prepare(self, *statements: str) -> None:
        """Runs statements that a test rests on; none of them counts as a job of the test."""
        for statement in statements:
            self.big_query.plan_next(INSTANT)
            self.client.query(statement).result()

    def said(self) -> str:
        """What was written to stderr since the last time."""
        return self.errors.readouterr().err

    def jobs(self) -> list[Job]:
        """The jobs that reads have inserted."""
        return [job for job in self.big_query.jobs() if job.job_id.startswith("hayate_")]

    def objects(self) -> list[str]:
        """The names of what lies in the bucket."""
        return self.storage.names(self.bucket)

    def results(self) -> list[Path]:
        """The results that are kept in the store."""
        return sorted((self.folder / ".hayate" / "frames").glob("bigquery-*"))

    def assert_clean(self, *kept: str) -> None:
        """Nothing is left in the bucket but `kept`, and nothing unfinished on the disk."""
        assert self.objects() == sorted(kept)
        assert list(leftovers(self.folder)) == []


def leftovers(folder: Path) -> Iterator[Path]:
    """What a read that has ended must not leave: journals, unfinished frames, temporary folders."""
    store = folder / ".hayate"
    yield from (store / "exports").glob("*")
    yield from (store / "frames").glob(".*")
    yield from (folder / "tmp").glob("hayate-*")


def numbers(count: int) -> str:
    """SQL for rows in order, whose text has both an empty string and NULLs."""
    return f"""
    SELECT n, CONCAT('text ', CAST(n AS STRING)) AS s,
      IF(MOD(n, 3) = 0, NULL, IF(MOD(n, 3) = 1, '', 'x')) AS e,
      TIMESTAMP_ADD(TIMESTAMP '2026-01-01 00:00:00 UTC', INTERVAL n SECOND) AS t
    FROM UNNEST(GENERATE_ARRAY(0, {count - 1})) AS n ORDER BY n
    """


def expected_numbers(count: int) -> pa.Table:
    """What `numbers` gives."""
    first = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return pa.table(
        {
            "n": pa.array(range(count), pa.int64()),
            "s": pa.array([f"text {n}" for n in range(count)], pa.string()),
            "e": pa.array([(None, "", "x")[n % 3] for n in range(count)], pa.string()),
            "t": pa.array(
                [first + dt.timedelta(seconds=n) for n in range(count)], pa.timestamp("us", "UTC")
            ),
        }
    )
