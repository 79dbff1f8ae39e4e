"""Whatever goes wrong on the way: all rows or an error, each retry said, the bucket left clean."""

from __future__ import annotations

import datetime as dt
import errno
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bigquery.reads import PROJECT, Child, Reads, expected_numbers, leftovers, numbers
from emulators import faults
from emulators.cloud_storage import CloudStorage
from emulators.credentials import Credentials
from emulators.faults import Fault
from emulators.http_service import Call
from emulators.jobs import Job, JobError, JobPlan
from emulators.networks import Networks
from emulators.storage_proxy import StorageProxy
from google.api_core import exceptions

from hayate.errors import HayateError, InputError, InterruptedRunError, StorageError
from hayate.google import credentials as own_credentials
from hayate.google import export, stream_read

ROWS = 3000
MEDIA = "alt=media"
#: The job that is inserted; not its dry run, which comes before and goes to the same address.
INSERT = r"/jobs(\?|$)"


@dataclass(eq=False)
class Later(Fault):
    """A fault that lets some calls pass first."""

    passing: int = 0

    def matches(self, method: str, target: str) -> bool:
        if not super().matches(method, target):
            return False
        self.passing -= 1
        return self.passing < 0


def later(fault: Fault, passing: int) -> Later:
    """The same fault, from a later call on."""
    return Later(
        fault.kind,
        fault.path,
        fault.method,
        fault.times,
        fault.status,
        fault.headers,
        fault.body,
        fault.after_bytes,
        passing=passing,
    )


def assert_whole(reads: Reads, plan: JobPlan, rows: int = ROWS, **options: str) -> None:
    """Reads the numbers: every row once and in order, and nothing left."""
    assert reads.read(numbers(rows), plan, **options).equals(expected_numbers(rows))
    reads.assert_clean()


def assert_fails(
    reads: Reads, plan: JobPlan, kind: type[HayateError], what: str, rows: int = ROWS
) -> HayateError:
    """The same, which gives no rows but an error with a remedy, and leaves nothing either."""
    with pytest.raises(kind, match=what) as raised:
        reads.read(numbers(rows), plan)
    assert raised.value.fix
    reads.assert_clean()
    return raised.value


DONE = JobPlan(running_polls=0, shards=3)
STEPWISE = JobPlan(running_polls=1, shards=4, visible_shards=(2,))


# Trouble that passes.


@pytest.mark.parametrize(
    ("status", "times"),
    [
        pytest.param(503, 1),
        *(
            pytest.param(status, times, marks=pytest.mark.all)
            for status in (429, 500, 502, 503)
            for times in (1, 2)
            if (status, times) != (503, 1)
        ),
    ],
)
def test_every_call_is_made_again_after_trouble_that_passes(
    reads: Reads, dataset: str, status: int, times: int
) -> None:
    reads.prepare(f"CREATE TABLE {dataset}.n AS {numbers(ROWS)}")
    planned = {
        reads.big_query: [
            faults.answer(INSERT, status, method="POST", times=times),
            # Behind the dry run and its repetitions.
            later(faults.answer(INSERT, status, method="POST", times=times), 1),
            faults.answer(r"/jobs/hayate_", status, method="GET", times=times),
            faults.answer(r"/tables/n\b", status, method="GET", times=times),
        ],
        reads.proxy: [
            faults.answer(r"/iam/testPermissions", status, times=times),
            faults.answer(r"/storage/v1/b/[^/]+(\?|$)", status, method="GET", times=times),
            faults.answer(r"/upload/", status, method="POST", times=times),
            faults.answer(r"/o\?", status, method="GET", times=times),
            faults.answer(MEDIA, status, method="GET", times=times),
            faults.answer(r"/batch/", status, method="POST", times=times),
            faults.answer(r"part-0+1\.", status, method="DELETE", times=times),
        ],
    }
    for server, listed in planned.items():
        server.faults.add(*listed)
    found = reads.read(f"SELECT * FROM {dataset}.n ORDER BY n", DONE)
    assert found.equals(expected_numbers(ROWS))
    for listed in planned.values():
        assert [fault.seen for fault in listed] == [times] * len(listed)
    said = reads.said()
    assert said.count(f"{status}") >= 10 * times
    # And the summary counts them.
    (retries,) = re.findall(r"(\d+) retries", said)
    assert int(retries) >= 10 * times
    assert len(reads.jobs()) == 1
    reads.assert_clean()


@pytest.mark.parametrize("way", ["drop", "refuse"])
def test_insert_whose_answer_is_lost_is_the_same_job(reads: Reads, way: str) -> None:
    broken = faults.drop if way == "drop" else faults.refuse
    reads.big_query.faults.add(later(broken(INSERT, method="POST"), 1))
    assert_whole(reads, DONE)
    (job,) = reads.jobs()
    inserts = [
        call.json()["jobReference"]["jobId"]
        for call in reads.big_query.calls("POST", "/jobs")
        if "EXPORT DATA" in str(call.body) and not call.json()["configuration"].get("dryRun")
    ]
    assert inserts == [job.job_id] * 2
    assert "starting the job failed" in reads.said()


def test_lost_answers_of_cloud_storage_do_no_harm(reads: Reads) -> None:
    reads.proxy.faults.add(
        faults.drop(r"/upload/"), faults.drop(r"/batch/"), faults.drop(r"/o\?", method="GET")
    )
    assert_whole(reads, DONE)
    assert "again" in (said := reads.said()) or "attempt" in said


# Trouble that stays.


@pytest.mark.parametrize(
    ("path", "method", "passing"),
    [(INSERT, "POST", 0), (INSERT, "POST", 1), (r"/jobs/hayate_", "GET", 0)],
    ids=["dry-run", "insert", "poll"],
)
def test_bigquery_that_stays_in_trouble_is_an_error_within_bounds(
    reads: Reads, path: str, method: str, passing: int
) -> None:
    reads.big_query.faults.add(
        later(faults.answer(path, 503, method=method, times=None, message="backend down"), passing)
    )
    with pytest.raises(HayateError, match="backend down") as raised:
        reads.read(numbers(20), DONE)
    assert raised.value.fix
    reads.big_query.faults.clear()
    assert 7 <= reads.said().count("503") <= 30
    # A job that could not be watched or cancelled may still write: the next read takes care.
    assert_whole(reads, DONE, 21)


STORAGE_ROUTES = {
    "permissions": (r"/iam/testPermissions", "GET"),
    "bucket": (r"/storage/v1/b/[^/]+(\?|$)", "GET"),
    "lease": (r"/upload/", "POST"),
    "list": (r"/o\?", "GET"),
    "media": (MEDIA, "GET"),
    "delete": (r"/batch/", "POST"),
}


@contextmanager
def proxies(storage: CloudStorage, names: Iterator[str]) -> Iterator[dict[str, StorageProxy]]:
    """A proxy of its own for each of some reads that run beside each other."""
    made = {name: StorageProxy(storage) for name in names}
    try:
        yield made
    finally:
        for proxy in made.values():
            proxy.close()


@pytest.mark.all
def test_cloud_storage_that_stays_in_trouble_is_an_error_within_bounds(
    reads: Reads, cloud_storage: CloudStorage
) -> None:
    """One read for each call, side by side: the waits of the engine add up to a minute."""
    children: dict[str, Child] = {}
    with proxies(cloud_storage, iter(STORAGE_ROUTES)) as made:
        try:
            for name, (path, method) in STORAGE_ROUTES.items():
                made[name].faults.add(faults.answer(path, 503, method=method, times=None))
                children[name] = reads.start(
                    numbers(20),
                    name,
                    env={"STORAGE_EMULATOR_HOST": made[name].endpoint},
                    export=f"gs://{reads.bucket}/{name}",
                )
            codes = {name: child.wait() for name, child in children.items()}
        finally:
            for child in children.values():
                child.end()
        for name, child in children.items():
            # What was read is whole; that the bucket cannot be emptied is only said.
            assert codes[name] == (0 if name == "delete" else 1), child.said
            assert "503" in child.said and "attempt" in child.said, child.said
            left = reads.storage.names(reads.bucket, f"{name}/")
            assert bool(left) == (name in ("delete", "list")), left
            if left:
                assert "the next run removes them" in child.said
        for name in ("delete", "list"):
            made[name].faults.clear()
            endpoint = {"STORAGE_EMULATOR_HOST": made[name].endpoint}
            again = reads.start(
                numbers(21), name, env=endpoint, export=f"gs://{reads.bucket}/{name}"
            )
            assert again.table().equals(expected_numbers(21))
            assert "removed" in again.said
            assert reads.storage.names(reads.bucket, f"{name}/") == []
            assert list(leftovers(reads.folder / name)) == []


# Quotas.


def test_rate_limit_passes_and_a_quota_that_is_used_up_says_what_to_do(reads: Reads) -> None:
    reads.big_query.faults.add(faults.answer(INSERT, 403, reason="rateLimitExceeded"))
    reads.proxy.faults.add(faults.answer(MEDIA, 403, reason="rateLimitExceeded"))
    assert_whole(reads, DONE)
    assert reads.said().count("403") == 2
    reads.big_query.faults.add(
        later(faults.answer(INSERT, 403, reason="quotaExceeded", message="Quota exceeded"), 1)
    )
    error = assert_fails(reads, DONE, InputError, "Quota exceeded", 21)
    assert "quota" in error.fix.lower()
    reads.big_query.settings.plans.clear()
    error = assert_fails(
        reads,
        JobPlan(running_polls=0, error=JobError("quotaExceeded", "Quota exceeded: exports")),
        InputError,
        "Quota exceeded: exports",
        22,
    )


# The middle of a shard.


@pytest.mark.parametrize("format_name", ["csv", pytest.param("parquet", marks=pytest.mark.all)])
@pytest.mark.parametrize("way", ["reset", "short", "flip"])
def test_broken_shard_is_read_to_its_end_or_again(reads: Reads, way: str, format_name: str) -> None:
    make = {"reset": faults.reset, "short": faults.short, "flip": faults.flip}[way]
    fault = make(rf"part-0+1\..*{MEDIA}", 3000)
    reads.proxy.faults.add(fault)
    assert_whole(reads, DONE, format=format_name)
    assert fault.seen == 1
    media = reads.proxy.calls("GET", MEDIA)
    of_shard = [call for call in media if "part-000000000001." in call.target]
    assert len(of_shard) == 2
    if way != "flip":
        # It goes on where it stopped, and says so.
        assert re.match(r"bytes=\d{4}-", of_shard[1].headers["Range"])
        assert "part-000000000001." in reads.said()


def test_shard_that_is_always_damaged_is_an_error(reads: Reads) -> None:
    reads.proxy.faults.add(faults.flip(MEDIA, 3000, times=None))
    error = assert_fails(reads, DONE, InputError, "CRC-32C|not those that are stored")
    assert f"gs://{reads.bucket}/folder/" in str(error)


@pytest.mark.all
def test_stalled_shard_goes_on_by_another_request(reads: Reads) -> None:
    stalled = faults.stall(rf"part-0+1\..*{MEDIA}", 3000)
    reads.proxy.faults.add(stalled)
    assert_whole(reads, DONE)
    assert stalled.seen == 1 and "part-000000000001." in reads.said()


@pytest.mark.all
@pytest.mark.parametrize("toxic", ["limit_data", "reset_peer"])
def test_network_that_breaks_every_connection_gives_all_rows(
    reads: Reads, networks: Networks, monkeypatch: pytest.MonkeyPatch, toxic: str
) -> None:
    with networks.link(reads.proxy.port) as link:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", link.endpoint)
        if toxic == "limit_data":
            link.add(toxic, bytes=30_000)
        else:
            link.add(toxic, toxicity=0.3, timeout=0)
        assert_whole(reads, JobPlan(running_polls=0, shards=8), 40_000, format="csv")
    assert "attempt" in reads.said()


class Between:
    """The official client of the Storage Read API, with something done before it asks for rows."""

    def __init__(self, client: Any, before: Callable[[], None]) -> None:
        self._client = client
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def read_rows(self, **options: Any) -> Any:
        self._before()
        return self._client.read_rows(**options)


def test_stream_that_gives_not_even_a_first_row_is_opened_again(
    reads: Reads, dataset: str, networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_read, "STALL_S", 0.5)
    monkeypatch.setattr(stream_read, "_FIRST_WAIT_S", 0.01)
    connect = stream_read.connect
    stalled: list[str] = []
    with networks.link(int(reads.big_query.storage_read_address.rpartition(":")[2])) as link:

        def before() -> None:
            if not stalled:
                stalled.append(link.add("timeout", timeout=0))
            else:
                # What was under way is lost with its connection.
                link.refuse()
                if stalled[-1]:
                    link.remove(stalled[-1])
                    stalled.append("")
                link.refuse(refuses=False)

        monkeypatch.setattr(stream_read, "connect", lambda found: Between(connect(found), before))
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", f"127.0.0.1:{link.port}")
        found = reads.stream(numbers(ROWS), dataset)
    assert found.equals(expected_numbers(ROWS))
    assert "reading a stream failed (TimeoutError); attempt 2 of" in reads.said()
    reads.assert_clean()


def test_stream_that_cannot_be_opened_says_what_the_service_says(
    reads: Reads, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise exceptions.PermissionDenied("bigquery.readsessions.getData is missing")

    connect = stream_read.connect
    monkeypatch.setattr(stream_read, "connect", lambda found: Between(connect(found), refuse))
    with pytest.raises(HayateError, match=r"getData is missing"):
        reads.stream(numbers(20), dataset)
    assert "attempt" not in reads.said()
    reads.assert_clean()


# Tokens.


@pytest.fixture
def authorized(
    reads: Reads, credentials: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Credentials:
    """Both services ask for tokens of a service account."""
    key = credentials.write_service_account(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.setenv("HAYATE_EMULATOR_CREDENTIALS", "1")
    # A token of this test is always young.
    monkeypatch.setattr(own_credentials, "RENEWAL", dt.timedelta(0))
    reads.big_query.good_tokens = credentials.good
    reads.proxy.good_tokens = credentials.good
    return credentials


def test_token_that_ends_in_the_middle_is_renewed(reads: Reads, authorized: Credentials) -> None:
    expired = threading.Event()

    def expire(call: Call) -> None:
        if MEDIA in call.target and not expired.is_set():
            expired.set()
            authorized.expire_tokens()

    reads.proxy.before = expire
    assert_whole(reads, JobPlan(running_polls=1, shards=12, visible_shards=(2,)))
    assert expired.is_set() and len(authorized.tokens) >= 2
    refused = [call for call in reads.proxy.calls() if call.status == 401]
    assert refused or [call for call in reads.big_query.calls() if call.status == 401]


def test_token_that_is_always_refused_is_an_error_with_a_remedy(
    reads: Reads, authorized: Credentials
) -> None:
    reads.proxy.good_tokens = {"another"}
    with pytest.raises(HayateError, match=r"401|token|credentials") as raised:
        reads.read(numbers(20), DONE)
    assert raised.value.fix and reads.jobs() == []


# Jobs.


def test_job_that_waits_for_long_says_so(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_PENDING_WORD_S", 0.0)
    assert_whole(reads, JobPlan(pending_polls=1, running_polls=0, shards=2))
    assert "has been waiting to begin" in reads.said()


def test_failing_job_shows_its_reason_and_leaves_nothing(reads: Reads) -> None:
    plan = JobPlan(
        running_polls=1,
        shards=4,
        visible_shards=(3,),
        error=JobError("resourcesExceeded", "Resources exceeded during query execution"),
    )
    error = assert_fails(reads, plan, InputError, "Resources exceeded during query execution")
    (job,) = reads.jobs()
    assert job.published == 3 and job.job_id in str(error)
    assert "ORDER BY" in error.fix


def test_job_that_fails_by_the_service_s_fault_is_made_again(reads: Reads) -> None:
    failing = JobPlan(
        running_polls=1, shards=3, visible_shards=(2,), error=JobError("backendError", "try again")
    )
    reads.big_query.plan_next(failing, DONE)
    assert reads.call(numbers(ROWS), export=f"gs://{reads.bucket}/folder").equals(
        expected_numbers(ROWS)
    )
    first, second = reads.jobs()
    assert first.job_id != second.job_id
    assert "attempt 2 of 3" in reads.said()
    reads.assert_clean()


def test_job_that_always_fails_is_given_up(reads: Reads) -> None:
    reads.big_query.settings.plan = JobPlan(
        running_polls=0, error=JobError("backendError", "not today")
    )
    error = assert_fails(reads, reads.big_query.settings.plan, InputError, "not today", 20)
    assert len(reads.jobs()) == 3 and error.fix


def test_job_that_somebody_cancels_ends_the_read(reads: Reads) -> None:
    cancelled = threading.Event()

    def cancel(call: Call) -> None:
        if MEDIA in call.target and not cancelled.is_set():
            cancelled.set()
            (job,) = reads.jobs()
            reads.client.cancel_job(job.job_id, project=PROJECT, location=job.location)

    reads.proxy.before = cancel
    plan = JobPlan(stays="RUNNING", shards=4, visible_shards=(2,))
    error = assert_fails(reads, plan, InterruptedRunError, "cancel")
    assert len(reads.jobs()) == 1 and "stopped" in str(error)


# Objects.


def test_shard_that_is_written_again_while_the_job_runs_is_read_again(reads: Reads) -> None:
    def release(call: Call) -> None:
        # Both drafts have been fetched: from now on the job goes on.
        media = [one.target for one in reads.proxy.calls("GET", MEDIA)]
        if all(any(f"part-00000000000{at}." in one for one in media) for at in (1, 3)):
            (job,) = reads.jobs()
            reads.big_query.release(job.job_id)

    reads.proxy.before = release
    plan = JobPlan(stays="RUNNING", shards=5, visible_shards=(5,), drafts=frozenset({1, 3}))
    assert_whole(reads, plan)
    media = [call.target for call in reads.proxy.calls("GET", MEDIA)]
    for number, times in ((0, 1), (1, 2), (2, 1), (3, 2), (4, 1)):
        assert sum(f"part-00000000000{number}." in target for target in media) == times


def after_done(reads: Reads, change: Callable[[Job], None]) -> JobPlan:
    """A plan by which something happens to the objects once the first of them is read."""
    changed = threading.Event()

    def once(call: Call) -> None:
        if MEDIA in call.target and not changed.is_set():
            changed.set()
            change(reads.jobs()[-1])

    reads.proxy.before = once
    return JobPlan(running_polls=0, shards=4)


def test_shard_that_is_overwritten_after_the_end_is_an_error(reads: Reads) -> None:
    plan = after_done(reads, lambda job: reads.big_query.rewrite(job.job_id, 2))
    assert_fails(reads, plan, InputError, "changed after the export was done|replaced")


def test_shard_that_is_deleted_after_the_end_is_an_error(reads: Reads) -> None:
    def delete(job: Job) -> None:
        reads.storage.delete(reads.bucket, job.shards[2].name)

    plan = after_done(reads, delete)
    assert_fails(reads, plan, InputError, "changed after the export|deleted|No such object")


@pytest.mark.parametrize("number", [0, 1, 3])
def test_shard_that_is_missing_at_the_end_is_an_error(reads: Reads, number: int) -> None:
    def delete(job: Job) -> None:
        reads.storage.delete(reads.bucket, job.shards[number].name)

    plan = JobPlan(running_polls=0, shards=4, after_done=delete)
    assert_fails(reads, plan, InputError, "lacks an object|has written 4 objects")


def test_object_that_is_no_shard_is_an_error_and_stays(reads: Reads) -> None:
    stray: list[str] = []

    def put(job: Job) -> None:
        folder = job.shards[0].name.rpartition("/")[0]
        stray.append(f"{folder}/part-of-something-else")
        reads.storage.put(reads.bucket, stray[0], b"x")

    plan = JobPlan(running_polls=0, shards=2, after_done=put)
    with pytest.raises(InputError, match="no part of the export"):
        reads.read(numbers(20), plan)
    reads.assert_clean(*stray)


def test_listing_in_pages_and_late_objects(reads: Reads) -> None:
    reads.proxy.page_size = 2
    listings = 0

    def hide(call: Call) -> None:
        nonlocal listings
        if call.method == "GET" and call.path.endswith("/o") and reads.jobs():
            listings += 1
            shards = reads.jobs()[0].shards
            late = {shards[3].name, shards[8].name} if shards and listings < 4 else set()
            reads.proxy.hidden = late

    reads.proxy.before = hide
    assert_whole(reads, JobPlan(running_polls=2, shards=9, visible_shards=(9,)))
    assert [call for call in reads.proxy.calls("GET", "pageToken=") if call.status == 200]


def test_bucket_full_of_foreign_objects(reads: Reads) -> None:
    foreign = [f"folder/hayate-{at:04d}/part-{at:012d}.csv.gz" for at in range(150)]
    foreign += [f"folder/{at:012d}.parquet" for at in range(50)]
    for name in foreign:
        reads.storage.put(reads.bucket, name, b"theirs")
    reads.proxy.page_size = 17
    assert reads.read(numbers(ROWS), STEPWISE).equals(expected_numbers(ROWS))
    reads.assert_clean(*foreign)


# Counts.


def _rows(job: Job) -> None:
    job.statistics["query"]["exportDataStatistics"]["rowCount"] = "2999"


def _files(job: Job) -> None:
    job.statistics["query"]["exportDataStatistics"]["fileCount"] = "4"


def _nothing(job: Job) -> None:
    del job.statistics["query"]["exportDataStatistics"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_rows, "written 2999 rows, and 3000 were read"),
        (_files, "written 4 objects, and there are 3"),
        (_nothing, "does not say how many"),
    ],
)
def test_counts_that_do_not_fit_are_an_error(
    reads: Reads, change: Callable[[Job], None], what: str
) -> None:
    assert_fails(reads, JobPlan(running_polls=0, shards=3, after_done=change), InputError, what)
    assert reads.results() == []


def test_shards_of_another_query_are_an_error(reads: Reads) -> None:
    """A file whose columns are others, though there are as many rows."""

    def replace(job: Job) -> None:
        other = reads.jobs()[0].shards[1]
        reads.storage.put(reads.bucket, job.shards[1].name, other.data)

    reads.read("SELECT 1 AS a FROM UNNEST(GENERATE_ARRAY(1, 20)) AS x", DONE)
    plan = JobPlan(running_polls=0, shards=2, after_done=replace)
    with pytest.raises(InputError) as raised:
        reads.read(numbers(20), plan)
    assert "part-000000000001." in str(raised.value)
    reads.assert_clean()


# The disk.


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of one MiB on a new folder, where this user may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        yield
    finally:
        # Lazily: what was mapped from it may still be there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_disk_that_is_full_while_fetching_is_an_error_and_room_is_made(
    reads: Reads, tmp_path: Path, format_name: str
) -> None:
    with small_disk(tmp_path / "small"):
        store = tmp_path / "small" / "store"
        plan = JobPlan(running_polls=0, shards=6)
        with pytest.raises(StorageError, match=os.strerror(errno.ENOSPC)) as raised:
            reads.read(numbers(60_000), plan, format=format_name, store=str(store))
        assert str(store) in str(raised.value)
        assert reads.objects() == []
        assert list((store / "frames").iterdir()) == []
        assert list((store / "exports").iterdir()) == []
        found = reads.read(numbers(100), plan, format=format_name, store=str(store))
        assert found.equals(expected_numbers(100))


def test_store_that_may_not_be_written_to_is_an_error_before_a_job(
    reads: Reads, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be") as raised:
        reads.read(numbers(20), store=str(tmp_path / "file"))
    assert "store=" in raised.value.fix and reads.jobs() == []


def test_object_without_bytes_is_no_shard_without_rows(reads: Reads) -> None:
    def strip(job: Job) -> None:
        first = job.shards[0]
        reads.storage.put(reads.bucket, first.name, b"")

    plan = JobPlan(running_polls=0, shards=1, after_done=strip)
    with pytest.raises(InputError):
        reads.read(numbers(20), plan, format="csv")
    reads.assert_clean()
