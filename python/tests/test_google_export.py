"""hayate.google.export and cleanup: jobs watched to their end, and what they leave."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google_service import FakeBigQuery, FakeStorage, done, error, failed, pending, serving

import hayate as hy
from hayate.google import cleanup
from hayate.google.cleanup import ExportFolder, Lease, is_part, run_folder, sweep_store
from hayate.google.client import BigQuery, JobReference, query_configuration
from hayate.google.credentials import Endpoints, find
from hayate.google.export import (
    JobWatch,
    bytes_billed,
    export_counts,
    extract_counts,
    is_run_id,
    job_id,
    job_labels,
    new_run_id,
    stop_job,
)
from hayate.google.journal import Journal
from hayate.google.retries import Retries

_BASE = "gs://bucket/tmp/"
_RUN = "20261124t030000-0123456789abcdef"
_OLD_RUN = "20261123t030000-fedcba9876543210"
_ENDPOINT = "http://127.0.0.1:1"


class _Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def service() -> FakeBigQuery:
    return FakeBigQuery()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def bigquery(service: FakeBigQuery, said: list[str], clock: _Clock) -> Iterator[BigQuery]:
    with serving(service) as address:
        credentials = find("test-project", Endpoints(bigquery=address))
        client = BigQuery(credentials, Retries(said.append, sleep=clock.sleep, clock=clock))
        yield client
        client.close()


_REFERENCE = JobReference("test-project", "EU", job_id(_RUN, "export"))


def _insert(bigquery: BigQuery) -> dict[str, Any]:
    configuration = query_configuration([], labels=job_labels(_RUN, {"team": "x"}))
    return bigquery.insert_query("EXPORT DATA …", configuration, _REFERENCE, "SELECT x")


def _watch(bigquery: BigQuery, said: list[str], clock: _Clock, **more: Any) -> JobWatch:
    more.setdefault("counts", export_counts)
    return JobWatch(bigquery, _REFERENCE, said.append, clock=clock, sleep=clock.sleep, **more)


def test_a_job_has_our_name_labels_and_location(service: FakeBigQuery, bigquery: BigQuery) -> None:
    _insert(bigquery)
    [(name, job)] = service.inserted.items()
    assert name == f"hayate_{_RUN}_export"
    assert job["jobReference"] == {"jobId": name, "projectId": "test-project", "location": "EU"}
    assert job["configuration"]["labels"] == {"hayate_run": _RUN, "team": "x"}
    assert job["configuration"]["query"]["priority"] == "INTERACTIVE"


def test_an_answer_that_was_lost_makes_no_second_job(
    service: FakeBigQuery, bigquery: BigQuery, said: list[str]
) -> None:
    service.faults[("POST", "/jobs")] = ["lost"]
    service.faults[("GET", "/jobs/")] = [error(404, "notFound")]
    made = _insert(bigquery)
    assert list(service.inserted) == [_REFERENCE.id]
    assert made["jobReference"]["jobId"] == _REFERENCE.id
    assert len(said) == 2


def test_a_job_whose_start_was_interrupted_may_still_begin(
    service: FakeBigQuery, bigquery: BigQuery, said: list[str], clock: _Clock
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    watch = _watch(bigquery, said, clock)
    with pytest.raises(KeyboardInterrupt):
        watch.start(interrupted)
    # There is no such job, yet.
    assert not watch.stop()
    _insert(bigquery)
    assert watch.stop()
    assert service.cancelled == [_REFERENCE.id] * 2


def test_a_job_is_watched_until_it_is_done(
    service: FakeBigQuery, bigquery: BigQuery, said: list[str], clock: _Clock
) -> None:
    _insert(bigquery)
    running = {"status": {"state": "RUNNING"}}
    service.states = [pending(), running, running, done(files=3, rows=12, billed=99)]
    looks: list[float] = []
    watch = _watch(bigquery, said, clock, beside=lambda: looks.append(clock()))
    assert watch() == {"done": False}
    requests = len(service.requests)
    assert watch() == {"done": False}
    assert len(service.requests) == requests  # not before it is time to
    job = watch.wait()
    assert watch() == {"done": True, "files": 3, "rows": 12}
    assert bytes_billed(job) == 99
    assert len(looks) == 4
    assert len(clock.slept) == 3 and max(clock.slept) < 3
    assert not said


def test_watching_survives_a_busy_service(
    service: FakeBigQuery, bigquery: BigQuery, said: list[str], clock: _Clock
) -> None:
    _insert(bigquery)
    service.faults[("GET", "/jobs/")] = [error(503, "backendError"), "lost", (500, {})]
    service.states = [done()]
    _watch(bigquery, said, clock).wait()
    assert len(said) == 3


def test_a_job_that_waits_for_long_is_said(
    service: FakeBigQuery, bigquery: BigQuery, said: list[str], clock: _Clock
) -> None:
    _insert(bigquery)
    service.states = [pending()] * 100 + [done()]
    _watch(bigquery, said, clock).wait()
    assert 120 < clock.now < 240
    assert len(said) == 3
    assert all("has been waiting to begin for" in line for line in said)


@pytest.mark.parametrize(
    ("reason", "kind", "repeated"),
    [
        ("quotaExceeded", hy.InputError, False),
        ("bytesBilledLimitExceeded", hy.UsageError, False),
        ("accessDenied", hy.UsageError, False),
        ("notFound", hy.InputError, False),
        ("stopped", hy.InterruptedRunError, False),
        ("backendError", hy.InputError, True),
        ("newReasonOfTheService", hy.InputError, False),
    ],
)
def test_a_job_that_fails_is_an_error_with_its_reason(
    service: FakeBigQuery,
    bigquery: BigQuery,
    said: list[str],
    clock: _Clock,
    reason: str,
    kind: type[hy.HayateError],
    repeated: bool,
) -> None:
    _insert(bigquery)
    service.states = [failed(reason, "It is so; token ya29.abc")]
    watch = _watch(bigquery, said, clock)
    with pytest.raises(kind, match=rf"the job failed: It is so.*\({reason}\)") as caught:
        watch()
    assert caught.value.fix
    assert "ya29" not in str(caught.value)
    assert _REFERENCE.id in caught.value.where.object
    assert watch.may_be_repeated == repeated
    assert watch.is_over and watch.stop()
    assert not service.cancelled


def test_a_job_without_counts_is_no_success(
    service: FakeBigQuery, bigquery: BigQuery, said: list[str], clock: _Clock
) -> None:
    _insert(bigquery)
    service.states = [{"status": {"state": "DONE"}, "statistics": {"query": {}}}]
    with pytest.raises(hy.InputError, match="how many files and rows"):
        _watch(bigquery, said, clock)()
    with pytest.raises(hy.InputError, match="how many files"):
        extract_counts({"statistics": {"extract": {}}}, 5)
    counts = extract_counts(
        {"statistics": {"extract": {"destinationUriFileCounts": ["2", "1"]}}}, 5
    )
    assert (counts.files, counts.rows) == (3, 5)


def test_a_job_is_cancelled_and_waited_for(
    service: FakeBigQuery, bigquery: BigQuery, said: list[str], clock: _Clock
) -> None:
    _insert(bigquery)
    service.states = [pending()]
    watch = _watch(bigquery, said, clock)
    watch()
    assert watch.stop()
    assert service.cancelled == [_REFERENCE.id]


def test_a_job_that_never_began_needs_no_cancelling(
    service: FakeBigQuery, bigquery: BigQuery, clock: _Clock
) -> None:
    assert stop_job(bigquery, _REFERENCE, clock, clock.sleep)
    assert len(service.requests) == 1


def test_a_job_that_does_not_end_is_not_waited_for_for_ever(
    service: FakeBigQuery, bigquery: BigQuery, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _insert(bigquery)
    monkeypatch.setattr(bigquery, "job", lambda reference: {"status": {"state": "RUNNING"}})
    assert not stop_job(bigquery, _REFERENCE, clock, clock.sleep)
    assert 60 <= clock.now < 70


def test_names_of_runs_and_labels() -> None:
    names = {new_run_id() for _ in range(100)}
    assert len(names) == 100 and all(is_run_id(name) for name in names)
    assert not is_run_id("20261124t030000-0123456789abcdeg")
    bad: list[Mapping[str, str]] = [
        {"Team": "x"},
        {"a": "X"},
        {"1": "x"},
        {"a": "x" * 64},
        {"": ""},
    ]
    for labels in bad:
        with pytest.raises(hy.UsageError, match="labels="):
            job_labels(_RUN, labels)


def test_only_shards_are_parts() -> None:
    folder = run_folder(_BASE, _RUN)
    good = f"{folder}part-000000000000.csv.gz"
    assert is_part(good, folder)
    assert is_part(f"{folder}part-000000019999.parquet", folder)
    for name in (
        "part-0.csv.gz", "part-000000000000", "part-00000000000a.csv", "lease.json", "notes.txt",
        "part-000000000000.d/x", "part-000000000000-copy.csv", "x/part-000000000000.csv",
    ):  # fmt: skip
        assert not is_part(folder + name, folder), name
    assert not is_part(good, run_folder(_BASE, _OLD_RUN))


def _shards(storage: FakeStorage, run: str, count: int = 3) -> list[str]:
    uris = [f"{run_folder(_BASE, run)}part-{number:012d}.parquet" for number in range(count)]
    for uri in uris:
        storage.write(uri, b"rows")
    return uris


@contextlib.contextmanager
def _folder(
    storage: FakeStorage, store: pathlib.Path, said: list[str], run: str = _RUN
) -> Iterator[ExportFolder]:
    directory = str(store / "w")
    with (
        Journal(str(store), run) as journal,
        ExportFolder(storage, journal, _BASE, _ENDPOINT, run, directory, said.append) as folder,
    ):
        yield folder


def _journals(store: pathlib.Path) -> list[str]:
    return sorted(os.listdir(store / "exports"))


def test_a_run_leaves_nothing_and_takes_nothing_of_others(
    tmp_path: pathlib.Path, said: list[str]
) -> None:
    storage = FakeStorage()
    foreign = [
        _BASE + "report.csv",
        f"{run_folder(_BASE, _RUN)}notes.txt",
        f"{_BASE}hayate-mine/part-000000000000.csv",
    ]
    with _folder(storage, tmp_path, said) as folder:
        for uri in foreign:
            storage.write(uri, b"mine")
        folder.announce(_REFERENCE)
        _shards(storage, _RUN)
        assert _journals(tmp_path) == [f"{_RUN}.json"]
        lease = json.loads(storage.read(run_folder(_BASE, _RUN) + "lease.json"))
        assert lease["jobs"] == [_REFERENCE.to_json()]
    assert sorted(storage.objects) == sorted(foreign)
    assert _journals(tmp_path) == []
    assert not said


@pytest.mark.parametrize("raised", [hy.InputError("broken"), KeyboardInterrupt()])
def test_also_after_a_failure_and_an_interrupt(
    tmp_path: pathlib.Path, said: list[str], raised: BaseException
) -> None:
    storage = FakeStorage()
    with pytest.raises(type(raised)), _folder(storage, tmp_path, said):
        _shards(storage, _RUN)
        raise raised
    assert not storage.objects
    assert _journals(tmp_path) == []


def test_an_export_can_be_kept(tmp_path: pathlib.Path, said: list[str]) -> None:
    storage = FakeStorage()
    with _folder(storage, tmp_path, said) as folder:
        shards = _shards(storage, _RUN)
        folder.keep = True
    assert sorted(storage.objects) == shards
    assert _journals(tmp_path) == []


def test_what_cannot_be_removed_is_said_and_stays_noted(
    tmp_path: pathlib.Path, said: list[str]
) -> None:
    storage = FakeStorage()
    with pytest.raises(hy.InputError, match="broken"), _folder(storage, tmp_path, said):
        _shards(storage, _RUN)
        storage.fails = {"delete"}
        raise hy.InputError("broken")
    assert len(said) == 1 and "the next run removes them" in said[0]
    storage.fails = set()
    lines = sweep_store(str(tmp_path), _ENDPOINT, lambda: storage, lambda job: True, lambda d: None)
    assert lines == [
        f"removed 3 objects of a run that was interrupted from {run_folder(_BASE, _RUN)}"
    ]
    assert not storage.objects and _journals(tmp_path) == []


def test_a_folder_whose_job_still_runs_is_left_to_the_next_run(
    tmp_path: pathlib.Path, said: list[str]
) -> None:
    storage = FakeStorage()
    with _folder(storage, tmp_path, said) as folder:
        folder.announce(_REFERENCE)
        shards = _shards(storage, _RUN)
        folder.can_be_removed = False
    assert set(shards) < set(storage.objects)
    still: list[JobReference] = []

    def stop(job: JobReference) -> bool:
        still.append(job)
        return len(still) > 1

    for _ in range(2):
        lines = sweep_store(str(tmp_path), _ENDPOINT, lambda: storage, stop, lambda d: None)
    assert still == [_REFERENCE] * 2
    assert len(lines) == 1 and not storage.objects


def test_a_living_run_is_left_alone_and_a_killed_one_is_cleaned_up(tmp_path: pathlib.Path) -> None:
    program = (
        "import json, sys\n"
        "from hayate.google.cleanup import run_folder\n"
        "from hayate.google.journal import Journal\n"
        "journal = Journal(sys.argv[1], sys.argv[2])\n"
        "folder = run_folder(sys.argv[3], sys.argv[2])\n"
        "journal.note({'folder': folder, 'directory': sys.argv[1] + '/w', 'jobs': []})\n"
        "print('noted', flush=True)\n"
        "sys.stdin.read()\n"
    )
    storage = FakeStorage()
    shards = _shards(storage, _RUN)
    removed: list[str] = []

    def sweep() -> list[str]:
        return sweep_store(
            str(tmp_path), _ENDPOINT, lambda: storage, lambda job: True, removed.append
        )

    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), _RUN, _BASE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "noted\n"
        assert sweep() == []
        assert sorted(storage.objects) == shards
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert len(sweep()) == 1
    assert not storage.objects
    assert removed == [f"{tmp_path}/w"]
    assert _journals(tmp_path) == []


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_what_is_kept_stays_wherever_the_end_is_cut(
    tmp_path: pathlib.Path, said: list[str], calls: int
) -> None:
    class Cut(FakeStorage):
        """Ends as if by a kill at a call."""

        left = 0

        def _check(self, method: str) -> None:
            super()._check(method)
            if method in ("write", "delete") and self.left:
                self.left -= 1
                if not self.left:
                    raise SystemExit

    storage = Cut()
    was_cut = False
    try:
        with _folder(storage, tmp_path, said) as folder:
            shards = _shards(storage, _RUN)
            folder.keep = True
            storage.left = calls
    except SystemExit:
        was_cut = True
    storage.left = 0
    assert was_cut == (calls <= 2)
    if calls == 2:
        # As it lies after a kill: the journal was not written again.
        state = {"folder": run_folder(_BASE, _RUN), "endpoint": _ENDPOINT, "jobs": []}
        (tmp_path / "exports" / f"{_RUN}.json").write_text(json.dumps(state) + "\n")
        storage_before = dict(storage.objects)
        sweep_store(str(tmp_path), _ENDPOINT, lambda: storage, lambda job: True, lambda d: None)
        assert sorted(storage.objects) == shards
        storage.objects = storage_before
    later = int(storage.now.timestamp() + 2 * cleanup.LEASE_S) * 10**9
    cleanup.sweep_bucket(storage, _BASE, later, lambda job: True)
    assert sorted(storage.objects) == ([] if calls == 1 else shards)


def test_journals_of_other_services_and_torn_ones(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    state = {"folder": run_folder(_BASE, _RUN), "endpoint": "http://elsewhere", "jobs": []}
    (folder / f"{_RUN}.json").write_text(json.dumps(state) + "\n")
    (folder / f"{_OLD_RUN}.json").write_text('{"folder": "gs://buck')  # killed while writing
    (folder / "notes.txt").write_text("mine")
    storage = FakeStorage()
    shards = _shards(storage, _RUN)
    sweep_store(str(tmp_path), _ENDPOINT, lambda: storage, lambda job: True, lambda d: None)
    assert sorted(storage.objects) == shards
    assert _journals(tmp_path) == [f"{_RUN}.json", "notes.txt"]
    # The last whole line counts.
    state["endpoint"] = _ENDPOINT
    with open(folder / f"{_RUN}.json", "a") as file:
        file.write(json.dumps(state) + '\n{"folder": "gs')
    sweep_store(str(tmp_path), _ENDPOINT, lambda: storage, lambda job: True, lambda d: None)
    assert not storage.objects


def test_a_journal_that_names_a_strange_folder_removes_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "exports").mkdir()
    state = {"folder": "gs://bucket/", "endpoint": _ENDPOINT, "jobs": []}
    (tmp_path / "exports" / f"{_RUN}.json").write_text(json.dumps(state) + "\n")
    storage = FakeStorage()
    storage.write("gs://bucket/part-000000000000.csv", b"mine")
    lines = sweep_store(str(tmp_path), _ENDPOINT, lambda: storage, lambda j: True, lambda d: None)
    assert len(lines) == 1 and "damaged" in lines[0]
    assert storage.objects


def test_leases_of_machines_that_are_gone(said: list[str]) -> None:
    storage = FakeStorage()
    old = Lease(storage, run_folder(_BASE, _OLD_RUN), _OLD_RUN)
    old.take()
    old.note_jobs([_REFERENCE])
    _shards(storage, _OLD_RUN)
    foreign = f"{run_folder(_BASE, _OLD_RUN)}notes.txt"
    storage.write(foreign, b"mine")
    forged = "20261122t030000-00000000000000aa"
    storage.write(run_folder(_BASE, forged) + "lease.json", b'{"hayate": 1, "run": "x"}')
    unmarked = _shards(storage, "20261121t030000-00000000000000bb")

    stopped: list[JobReference] = []

    def stop(job: JobReference) -> bool:
        stopped.append(job)
        return True

    new = Lease(storage, run_folder(_BASE, _RUN), _RUN)
    storage.now += dt.timedelta(minutes=59)
    assert cleanup.sweep_bucket(storage, _BASE, new.take(), stop) == []
    storage.now += dt.timedelta(minutes=2)
    new.note_jobs([])
    now = storage.list(new.uri)[0]["updated_ns"]
    lines = cleanup.sweep_bucket(storage, _BASE, now, stop)
    assert len(lines) == 1 and "removed 3 objects" in lines[0]
    assert stopped == [_REFERENCE]
    left = set(storage.objects)
    assert left == {foreign, new.uri, run_folder(_BASE, forged) + "lease.json", *unmarked}


def test_a_lease_is_renewed_now_and_then_and_never_taken_twice(said: list[str]) -> None:
    storage, clock = FakeStorage(), _Clock()
    lease = Lease(storage, run_folder(_BASE, _RUN), _RUN, clock=clock)
    lease.take()
    first = storage.generation
    for _ in range(10):
        clock.now += 20
        lease.renew()
    assert storage.generation == first
    clock.now += 200
    lease.renew()
    assert storage.generation == first + 1
    with pytest.raises(hy.BusyError, match="already"):
        Lease(storage, run_folder(_BASE, _RUN), _RUN).take()


def test_a_lease_that_cannot_be_renewed_does_not_end_the_run(
    tmp_path: pathlib.Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "_RENEW_S", 0.0)
    storage = FakeStorage()
    with _folder(storage, tmp_path, said) as folder:
        storage.fails = {"write"}
        folder.renew()
        folder.renew()
        storage.fails = set()
        folder.renew()
    assert len(said) == 1 and "could not be renewed" in said[0]
