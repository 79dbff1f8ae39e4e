"""hayate.doctor.job_file: a job's file, sources, store, outputs, and what it names of Google."""

from __future__ import annotations

import os
import pathlib
import textwrap
import threading
from typing import Any

import pytest

import hayate as hy
from hayate.doctor import job_file
from hayate.doctor.control_group import KernelFiles
from hayate.doctor.finding import Finding, run_check
from hayate.doctor.job_file import JobFile, load
from hayate.doctor.targets import Targets

_JOB = """
    import datetime as dt
    import hayate as hy

    print("hello from the job")
    day = hy.param(dt.date)
    clicks = hy.csv("data/clicks-{day}-*.csv")
    carts = hy.parquet("data/carts.parquet", allow_empty=True)

    @hy.stage(rows=10)
    def odd(clicks, carts):
        return clicks

    hy.output(odd, "out/{day}.parquet")
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A job with its data."""
    (tmp_path / "job.py").write_text(textwrap.dedent(_JOB))
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / "data" / f"clicks-2026-11-24-{number}.csv").write_text("a\n1\n")
    return tmp_path


def _load(folder: pathlib.Path, day: str = "2026-11-24") -> JobFile:
    return load(str(folder / "job.py"), {"day": day})


def _found(job: JobFile, store: str) -> dict[str, Finding]:
    checks = job_file.checks(job, store)
    return {one.name: one for check in checks for one in run_check(check)[0]}


def test_a_job_that_is_well(folder: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = _found(_load(folder), str(folder / ".hayate"))
    assert found["job file"].what.endswith("job.py: 2 sources, 1 stage, 1 output")
    assert found["clicks"].what == "3 files, 12 bytes, on the store's disk"
    assert found["carts"].what == "no files, which allow_empty=True allows"
    assert found["output"].what == str(folder / "out" / "2026-11-24.parquet")
    assert found["store"].what.startswith(str(folder / ".hayate"))
    assert all(one.level in ("ok", "advice") for one in found.values()), found
    assert not (folder / ".hayate").exists()
    assert capfd.readouterr() == ("", "")


def test_a_source_without_files_is_a_problem(folder: pathlib.Path) -> None:
    found = _found(_load(folder, "2026-11-25"), str(folder / ".hayate"))
    assert found["clicks"].level == "problem"
    assert "clicks-2026-11-25-*.csv" in found["clicks"].what


def test_a_file_that_may_not_be_read_is_a_problem(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _load(folder)
    secret = folder / "data" / "clicks-2026-11-24-1.csv"
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(secret) and real(path, mode))
    found = _found(job, str(folder / ".hayate"))
    assert found["clicks"].level == "problem"
    assert found["clicks"].what == f"{secret} may not be read"


def test_a_source_on_a_network_disk_is_advice(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    line = f"20 1 8:1 / {folder / 'data'} rw - nfs4 server:/x rw\n"
    (proc / "self" / "mountinfo").write_text(line)
    source = {"name": "c", "patterns": [str(folder / "data" / "*.csv")], "allow_empty": False}
    files = KernelFiles(proc=str(proc))
    sizes: dict[str, int] = {}
    stop = threading.Event()
    (found,) = job_file.source_files(source, str(folder), files, sizes, stop)
    assert found.level == "advice" and "nfs4" in found.what
    assert sizes == {"c": 12}


def test_an_output_that_cannot_be_written_is_a_problem(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = job_file.output(str(tmp_path))
    assert folder.level == "problem"
    monkeypatch.setattr(os, "access", lambda *_: False)
    (closed,) = job_file.output(str(tmp_path / "a" / "b.csv"))
    assert closed.level == "problem" and str(tmp_path) in closed.what


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom", ""),
        ("import sys\nsys.exit('bye')", "SystemExit: bye", ""),
        ("import os\nos._exit(3)", "ended with 3", "ends the process"),
        ("import hayate as hy\nday = hy.param(int)", "no value: day", "--set day="),
    ],
)
def test_a_job_file_that_cannot_be_loaded_is_a_problem(
    tmp_path: pathlib.Path, text: str, what: str, remedy: str
) -> None:
    (tmp_path / "job.py").write_text(text + "\n")
    job = load(str(tmp_path / "job.py"), {})
    assert job.declared is None and job.targets == Targets()
    (found,) = _found(job, str(tmp_path / ".hayate")).values()
    assert found.level == "problem" and what in found.what and remedy in found.remedy
    assert "job.py" in found.what


def test_a_job_file_that_hangs_is_ended(tmp_path: pathlib.Path) -> None:
    pid_file = tmp_path / "pid"
    (tmp_path / "job.py").write_text(
        f"import os, threading\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "threading.Event().wait()\n"
    )
    job = load(str(tmp_path / "job.py"), {}, limit_s=3)
    assert job.failure is not None and "not loaded within 3 s" in str(job.failure)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_there_is_no_such_file() -> None:
    with pytest.raises(hy.UsageError, match="there is no job file"):
        load("/nowhere/job.py", {})


def test_what_a_job_names_of_google_is_known_without_asking_google() -> None:
    query: dict[str, Any] = {
        "export": "gs://shop-tokyo/tmp",
        "project": "shop",
        "location": "EU",
        "datasets": ["shop.clicks"],
    }
    plain = {"export": "", "project": "", "location": "", "datasets": ["other.carts"]}
    declared = {
        "queries": [plain, query],
        "tables": ["shop.scores"],
        "staging": ["gs://shop-tokyo/stage"],
    }
    job = JobFile("/job.py", declared, None)
    assert job.needs_bigquery
    assert job.targets == Targets(
        ("gs://shop-tokyo/tmp/", "gs://shop-tokyo/stage/"),
        ("other.carts", "shop.clicks", "shop.scores"),
        "shop",
        "EU",
    )


def test_queries_of_a_job_file_are_found(tmp_path: pathlib.Path) -> None:
    (tmp_path / "job.py").write_text(
        textwrap.dedent(
            """
            import hayate as hy

            clicks = hy.bigquery(
                "SELECT * FROM `shop.web.clicks` JOIN carts.all USING (id)"
                " JOIN `shop.region-eu.INFORMATION_SCHEMA.TABLES` USING (id)",
                export="gs://shop-tokyo/tmp",
                project="mine",
                location="EU",
            )

            @hy.stage
            def all(clicks):
                return clicks
            """
        )
    )
    job = load(str(tmp_path / "job.py"), {})
    assert job.failure is None
    assert job.targets == Targets(
        ("gs://shop-tokyo/tmp/",), ("shop.web", "mine.carts"), "mine", "EU"
    )
