"""A read that is killed at any moment leaves nothing that the next one does not remove."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from bigquery.reads import Child, Reads, expected_numbers, leftovers, numbers
from emulators import faults
from emulators.http_service import Call, Service
from emulators.jobs import JobPlan

ROWS = 2000
MOMENTS = 20
WAIT_S = 60
#: Shards that come one after the other, so that a read has a middle.
PLAN = JobPlan(running_polls=1, shards=10, visible_shards=(4,))


@dataclass
class Moments:
    """Sends a signal to a read when the servers have got so many requests of it.

    The request itself is served after that: what the read has asked for last still happens.

    Attributes:
        seen: how many requests there were.
        at: the number of the request, or 0 for none.
        number: the signal.
        child: who gets it.
    """

    seen: int = 0
    at: int = 0
    number: signal.Signals = signal.SIGKILL
    child: Child | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    known: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> None:
        """One more request has come."""
        with self._lock:
            self.seen += 1
            is_it = self.seen == self.at
        if is_it:
            # The first request may come before its process is known here.
            assert self.known.wait(WAIT_S) and self.child is not None
            self.child.process.send_signal(self.number)
            self.reached.set()


@contextmanager
def watched(reads: Reads, moments: Moments, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it requests are counted."""
    with monkeypatch.context() as patch:
        for server in (reads.big_query, reads.proxy):
            patch.setattr(server, "record", _counting(server, moments))
        yield


def _counting(server: Service, moments: Moments):  # type: ignore[no-untyped-def]
    record = server.record

    def counting(call: Call) -> None:
        record(call)
        moments.count()

    return counting


def run(
    reads: Reads, moments: Moments, monkeypatch: pytest.MonkeyPatch, name: str, sql: str, form: str
) -> tuple[int, Child]:
    """Runs a read to its end, whatever that is; its exit code."""
    reads.big_query.settings.plans.clear()
    reads.big_query.plan_next(PLAN)
    with watched(reads, moments, monkeypatch):
        child = moments.child = reads.start(sql, name, format=form)
        moments.known.set()
        try:
            code = child.wait()
        finally:
            child.end()
        _let_requests_end(reads)
    return code, child


def _let_requests_end(reads: Reads) -> None:
    """What a dead client has asked for is done, too, before anything else looks at it."""
    pause = threading.Event()
    for _ in range(WAIT_S * 50):
        calls = [*reads.big_query.calls(), *reads.proxy.calls()]
        if all(call.status for call in calls):
            return
        pause.wait(0.02)
    raise AssertionError("a request is never answered")


def query(number: int) -> tuple[str, str]:
    """SQL and format: results that are kept in the store, and others that are not; both formats."""
    sql = numbers(ROWS)
    if number % 2:
        sql = sql.replace("ORDER BY", "WHERE CURRENT_DATE() > DATE '2020-01-01' ORDER BY")
    return sql, "csv" if number % 4 < 2 else "parquet"


def requests_of_a_whole_read(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> int:
    moments = Moments()
    code, child = run(reads, moments, monkeypatch, "whole", *query(0))
    assert code == 0, child.said
    return moments.seen


def spread(total: int, count: int, generator: random.Random) -> list[int]:
    """Numbers of requests, over the whole life of a read: one drawn from each part of it."""
    bounds = [1 + total * at // count for at in range(count + 1)]
    return [generator.randrange(bounds[at], max(bounds[at + 1], bounds[at] + 1)) for at in
            range(count)]  # fmt: skip


def seeded() -> tuple[int, random.Random]:
    """A generator, and the seed to say where a test fails."""
    seed = random.SystemRandom().randrange(1 << 32)
    return seed, random.Random(seed)


@pytest.mark.all
def test_read_that_is_killed_anywhere_is_whole_the_next_time(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = requests_of_a_whole_read(reads, monkeypatch)
    assert total > MOMENTS
    seed, generator = seeded()
    killed = 0
    for number, at in enumerate(spread(total, MOMENTS, generator)):
        place = f"seed {seed}, request {at} of {total}"
        sql, form = query(number)
        moments = Moments(at=at)
        code, child = run(reads, moments, monkeypatch, f"killed-{number}", sql, form)
        assert code in (0, -signal.SIGKILL), (place, child.said)
        killed += code != 0
        folder = reads.folder / f"killed-{number}"
        # Temporary folders of the dead process are among what has to go.
        monkeypatch.setenv("HAYATE_TMP", str(folder / "tmp"))
        reads.big_query.settings.plans.clear()
        found = reads.read(sql, PLAN, format=form, store=str(folder / ".hayate"))
        assert found.equals(expected_numbers(ROWS)), place
        del found
        assert reads.objects() == [], place
        assert list(leftovers(folder)) == [], place
        for job in reads.jobs():
            assert job.state == "DONE", place
        reads.big_query.forget()
        reads.proxy.forget()
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", reads.big_query.endpoint)
    # A read may need a request less than the one that was counted.
    assert killed >= MOMENTS - 3


@pytest.mark.all
def test_read_that_is_interrupted_anywhere_cleans_up_by_itself(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = requests_of_a_whole_read(reads, monkeypatch)
    seed, generator = seeded()
    interrupted = 0
    for number, at in enumerate(spread(total, MOMENTS // 3, generator)):
        place = f"seed {seed}, request {at} of {total}"
        moments = Moments(at=at, number=signal.SIGINT)
        code, child = run(reads, moments, monkeypatch, f"interrupted-{number}", *query(number))
        interrupted += code != 0
        assert code in (0, 1, -signal.SIGINT), (place, child.said)
        assert reads.objects() == [], (place, child.said)
        folder = reads.folder / f"interrupted-{number}"
        assert list(leftovers(folder)) == [], (place, child.said)
        for job in reads.jobs():
            assert job.state == "DONE", place
        reads.big_query.forget()
        reads.proxy.forget()
    assert interrupted >= MOMENTS // 3 - 2


def test_killed_read_s_job_is_cancelled_and_its_objects_go(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One moment, that every run of the tests tries: in the middle of the shards."""
    sql, form = query(1)
    reads.big_query.plan_next(JobPlan(stays="RUNNING", shards=6, visible_shards=(3,)))
    child = reads.start(sql, "killed", format=form)
    try:
        assert reads.proxy.wait_for_calls(1, "GET", "alt=media", timeout_s=WAIT_S)
    finally:
        child.end()
    assert len(reads.objects()) == 4  # three shards and the lease
    store = reads.folder / "killed"
    assert [path.suffix for path in (store / ".hayate" / "exports").iterdir()] == [".json"]
    monkeypatch.setenv("HAYATE_TMP", str(store / "tmp"))
    found = reads.read(sql, format=form, store=str(store / ".hayate"))
    assert found.equals(expected_numbers(ROWS))
    del found
    first, _ = reads.jobs()
    assert first.is_cancelled
    assert "removed 3 objects of a run that was interrupted" in reads.said()
    assert reads.objects() == [] and list(leftovers(store)) == []


@pytest.mark.parametrize("times", [1, 2])
def test_interrupt_while_the_bucket_is_emptied(
    reads: Reads, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """^C is obeyed once it is empty; a second one at once, and the next read goes on with it."""
    sql, form = query(0)
    known = threading.Event()
    children: list[Child] = []
    sent = 0

    def interrupt(call: Call) -> None:
        nonlocal sent
        if call.path.startswith("/batch/") and sent < times:
            sent += 1
            assert known.wait(WAIT_S)
            children[0].process.send_signal(signal.SIGINT)
            if times > 1:
                # Is not answered before the process has taken notice.
                interrupted.released.wait(WAIT_S)

    interrupted = faults.stall("", 0)
    reads.proxy.before = interrupt
    reads.big_query.plan_next(JobPlan(running_polls=0, shards=3))
    child = reads.start(sql, "interrupted", format=form)
    children.append(child)
    known.set()
    try:
        code = child.wait()
    finally:
        interrupted.released.set()
        child.end()
    assert sent == times and code not in (0, -signal.SIGKILL), child.said
    folder = reads.folder / "interrupted"
    reads.proxy.before = None
    _let_requests_end(reads)
    if times == 1:
        assert reads.objects() == [] and list(leftovers(folder)) == []
    else:
        assert [path.suffix for path in (folder / ".hayate" / "exports").iterdir()] == [".json"]
    found = reads.read(sql, format=form, store=str(folder / ".hayate"))
    assert found.equals(expected_numbers(ROWS))
    assert reads.objects() == [] and list(leftovers(folder)) == []
