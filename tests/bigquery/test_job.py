"""hy.bigquery as the source of a job: what runs, what does not, and why; run by the command."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from bigquery.reads import Reads
from emulators import faults
from emulators.jobs import JobPlan

WAIT_S = 120

JOB = """
import datetime as dt

import hayate as hy

day = hy.param(dt.date)
clicks = hy.bigquery(
    "SELECT id, spent FROM {table} WHERE day = @day ORDER BY id",
    export="gs://{bucket}/folder",
    project="test-project",
)


@hy.stage
def doubled(clicks, day):
    return clicks.assign(spent=clicks["spent"] * 2)


hy.output(doubled, "out/{{day}}.parquet")
"""


@dataclass
class Job:
    """A job over a table of clicks, and the command.

    Attributes:
        project: the folder, with the job file.
        reads: the stand-ins.
        table: dataset.clicks: day, id, spent; id 0…9 on the 24th, 10…12 on the 25th.
    """

    project: Any
    reads: Reads
    table: str

    def write(self, old: str = "", new: str = "") -> None:
        """Writes the job file, with a piece of it replaced."""
        text = JOB.format(table=self.table, bucket=self.reads.bucket)
        assert old in text
        (self.project.folder / "job.py").write_text(text.replace(old, new) if old else text)

    def run(self, *words: str, day: str = "2026-11-24", plan: JobPlan | None = None) -> Any:
        if plan is not None:
            self.reads.big_query.plan_next(plan)
        return self.project.hayate("run", "job.py", "--set", f"day={day}", *words)

    def start(self, *words: str, day: str = "2026-11-24") -> subprocess.Popen[str]:
        started: subprocess.Popen[str] = self.project.start(
            "run", "job.py", "--set", f"day={day}", *words
        )
        return started

    def plan(self, day: str = "2026-11-24") -> str:
        ran = self.project.hayate("plan", "job.py", "--set", f"day={day}")
        assert ran.code == 0, ran.err
        return str(ran.out)

    def of_clicks(self, text: str) -> str:
        """The line of a plan that is about the source."""
        (line,) = [line for line in text.splitlines() if line.startswith("clicks ")]
        return line

    def written(self, day: str = "2026-11-24") -> list[dict[str, Any]]:
        path = self.project.folder / "out" / f"{day}.parquet"
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows

    def runs(self) -> list[dict[str, Any]]:
        """run.json of each run, in their order."""
        found = sorted((self.project.folder / ".hayate" / "runs").glob("*/run.json"))
        return [json.loads(path.read_text()) for path in found]


@pytest.fixture
def job(project: Any, reads: Reads, dataset: str) -> Job:
    table = f"{dataset}.clicks"
    reads.prepare(
        f"CREATE TABLE {table} AS SELECT DATE '2026-11-24' AS day, id, id * 1.5 AS spent "
        "FROM UNNEST(GENERATE_ARRAY(0, 9)) AS id UNION ALL "
        "SELECT DATE '2026-11-25', id, id * 1.5 FROM UNNEST(GENERATE_ARRAY(10, 12)) AS id"
    )
    made = Job(project, reads, table)
    made.write()
    return made


def expected(first: int, end: int) -> list[dict[str, Any]]:
    return [{"id": at, "spent": at * 3.0} for at in range(first, end)]


def test_job_reads_its_query_once(job: Job) -> None:
    ran = job.run(plan=JobPlan(running_polls=1, shards=4, visible_shards=(2,)))
    assert ran.code == 0, ran.err
    assert job.written() == expected(0, 10)
    job.reads.assert_clean()
    (read,) = job.reads.jobs()

    # Nothing has changed.
    unchanged = job.plan()
    again = job.run()
    assert again.code == 0, again.err
    assert [one.job_id for one in job.reads.jobs()] == [read.job_id]
    assert job.plan() == unchanged

    job.reads.assert_clean()
    assert job.project.leftovers() == []


@pytest.mark.all
def test_job_reads_again_only_what_has_changed(job: Job) -> None:
    assert job.run(plan=JobPlan(running_polls=0, shards=2)).code == 0
    unchanged = job.plan()

    # Another day is another query.
    ran = job.run(day="2026-11-25")
    assert ran.code == 0, ran.err
    assert job.written("2026-11-25") == expected(10, 13)
    assert len(job.reads.jobs()) == 2
    assert job.of_clicks(job.plan()) == job.of_clicks(unchanged)

    # The table changes: the plan says so before it runs.
    job.reads.prepare(
        f"INSERT INTO {job.table} (day, id, spent) VALUES (DATE '2026-11-24', 10, 15.0)"
    )
    changed = job.of_clicks(job.plan())
    assert changed != job.of_clicks(unchanged)
    assert job.table in changed and "changed" in changed
    assert len(job.reads.jobs()) == 2
    assert job.run().code == 0
    assert job.written() == expected(0, 11)
    job.reads.assert_clean()
    assert job.project.leftovers() == []


@pytest.mark.all
def test_manifest_of_a_query_keeps_what_it_has_cost(job: Job) -> None:
    assert job.run(plan=JobPlan(running_polls=0, shards=3)).code == 0
    (run,) = job.runs()
    manifest = json.loads((Path(run["frames"]["clicks"]) / "frame.json").read_text())
    text = json.dumps(manifest)
    assert '"objects": 3' in text and '"bytes_billed": 10485760' in text
    (source,) = [one for one in run["stages"] if one["name"] == "clicks"]
    assert source["rows"] == 10


@pytest.mark.all
def test_sql_of_today_runs_each_time_and_says_why(job: Job) -> None:
    job.write("WHERE day = @day", "WHERE day = @day AND CURRENT_DATE() > DATE '2020-01-01'")
    for count in (1, 2):
        line = job.of_clicks(job.plan())
        assert "runs each time" in line and "CURRENT_DATE" in line
        ran = job.run()
        assert ran.code == 0, ran.err
        assert len(job.reads.jobs()) == count
        assert job.written() == expected(0, 10)


@pytest.mark.all
def test_missing_parameter_and_refused_query_name_the_line_of_the_job(job: Job) -> None:
    file = (job.project.folder / "job.py").read_text().splitlines()
    line = next(at for at, text in enumerate(file, 1) if "hy.bigquery" in text)
    cases = {
        ("@day", "@dya"): ["@dya", "day"],
        ("spent FROM", "nothing_like_it FROM"): ["nothing_like_it", "refused"],
        (job.table, f"{job.table}_gone"): ["_gone"],
    }
    for (old, new), wanted in cases.items():
        job.write(old, new)
        for command in ("plan", "run"):
            ran = job.project.hayate(command, "job.py", "--set", "day=2026-11-24")
            assert ran.code == 2 or ran.code == 1
            assert re.search(rf"job\.py, line {line}\b", ran.err), ran.err
            for word in wanted:
                assert word in ran.err
            assert "Traceback" not in ran.err
    assert job.reads.jobs() == []


@pytest.mark.all
def test_day_that_is_not_given_is_asked_for(job: Job) -> None:
    ran = job.project.hayate("run", "job.py")
    assert ran.code != 0 and "day" in ran.err
    assert job.reads.jobs() == []


@pytest.mark.all
def test_query_without_rows_is_an_error_unless_it_may_be(job: Job) -> None:
    ran = job.run(day="2026-01-01")
    assert ran.code != 0 and "no rows" in ran.err and "allow_empty" in ran.err
    job.reads.assert_clean()
    job.write('project="test-project",', 'project="test-project", allow_empty=True,')
    assert job.run(day="2026-01-01").code == 0
    assert job.written("2026-01-01") == []


def reader(pid: int, folder: Path) -> int:
    """The process below `pid` that runs the query: the one that holds its journal."""
    found, below = [], [pid]
    while below:
        parent = below.pop()
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        below += map(int, children)
        for descriptor in Path(f"/proc/{parent}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if (folder / ".hayate" / "exports") in descriptor.readlink().parents:
                    found.append(parent)
    (one,) = found
    return one


@pytest.mark.all
def test_worker_killed_in_the_middle_of_the_query_is_replaced(job: Job) -> None:
    job.reads.big_query.plan_next(
        JobPlan(stays="RUNNING", shards=3, visible_shards=(2,)), JobPlan(running_polls=0)
    )
    started = job.start()
    # One shard has come: it is in the middle of its work.
    assert job.reads.proxy.wait_for_calls(1, "GET", "alt=media", timeout_s=WAIT_S)
    os.kill(reader(started.pid, job.project.folder), signal.SIGKILL)
    out, err = started.communicate(timeout=WAIT_S)
    assert started.returncode == 0, out + err
    assert job.written() == expected(0, 10)
    first, second = job.reads.jobs()
    assert first.is_cancelled and not second.is_cancelled
    job.reads.assert_clean()
    assert "SIGKILL" in err or "SIGKILL" in log(job)


def log(job: Job) -> str:
    """What the runs have said, in their order."""
    paths = sorted((job.project.folder / ".hayate" / "runs").glob("*/log"))
    return "".join(path.read_text() for path in paths)


@pytest.mark.all
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_run_cancels_its_job_and_cleans_the_bucket(
    job: Job, number: signal.Signals
) -> None:
    job.reads.big_query.plan_next(JobPlan(stays="RUNNING", shards=3, visible_shards=(2,)))
    started = job.start()
    assert job.reads.proxy.wait_for_calls(1, "GET", "alt=media", timeout_s=WAIT_S)
    os.kill(started.pid, number)
    _, err = started.communicate(timeout=WAIT_S)
    assert started.returncode == 128 + number, err
    (cancelled,) = job.reads.jobs()
    assert cancelled.is_cancelled
    job.reads.assert_clean()
    ran = job.run()
    assert ran.code == 0, ran.err
    assert job.written() == expected(0, 10)


@pytest.mark.all
def test_trouble_of_the_service_is_seen_in_the_log_and_harms_nothing(job: Job) -> None:
    job.reads.proxy.faults.add(faults.answer(r"alt=media", 503, method="GET", times=2))
    job.reads.big_query.faults.add(faults.answer(r"/jobs/hayate_", 502, method="GET"))
    ran = job.run(plan=JobPlan(running_polls=1, shards=2))
    assert ran.code == 0, ran.err
    assert job.written() == expected(0, 10)
    said = ran.err + log(job)
    assert "503" in said and "502" in said
    job.reads.assert_clean()
