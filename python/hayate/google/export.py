"""Jobs of BigQuery, watched until they are done: the reading of an export asks once a second."""

from __future__ import annotations

import random
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hayate.errors import HayateError, InputError, UsageError, Where
from hayate.google.client import BigQuery, JobReference
from hayate.google.service_errors import TRANSIENT_REASONS, from_job

#: Seconds between two looks at a job: at first, and at most.
_FIRST_POLL_S = 0.5
_MOST_POLL_S = 2.0
#: A job that has not begun after this many seconds is worth a word; then after twice as long.
_PENDING_WORD_S = 30.0
#: How long a cancelled job is waited for, so that it writes nothing after the cleaning up.
_CANCEL_WAIT_S = 60.0
_RUN_ID = re.compile(r"\d{8}t\d{6}-[0-9a-f]{16}")
_LABEL = re.compile(r"[\w-]{0,63}")


def new_run_id(now: time.struct_time | None = None) -> str:
    """A name that no other run has; sorts by time."""
    at = time.gmtime() if now is None else now
    return f"{time.strftime('%Y%m%dt%H%M%S', at)}-{secrets.token_hex(8)}"


def is_run_id(text: str) -> bool:
    """Whether new_run_id makes such names."""
    return _RUN_ID.fullmatch(text) is not None


def job_id(run: str, step: str) -> str:
    """The name of a run's job. It is used once, so that inserting it again is harmless; a job that
    failed is repeated by another run."""
    return f"hayate_{run}_{step}"


def job_labels(run: str, labels: Mapping[str, str] | None) -> dict[str, str]:
    """The labels of a run's jobs: the user's, and ours, by which a bill can be read.

    Raises:
        UsageError: a label is none that BigQuery takes.
    """
    result = {"hayate_run": run}
    for key, value in (labels or {}).items():
        good = isinstance(key, str) and isinstance(value, str) and key[:1].isalpha()
        if not good or not all(
            _LABEL.fullmatch(one) and one == one.lower() for one in (key, value)
        ):
            raise UsageError(
                f"labels= has {key!r}: {value!r}, which BigQuery does not take",
                fix="Use small letters, digits, _ and -, at most 63, beginning with a letter.",
            )
        result[key] = value
    return result


@dataclass(frozen=True)
class Written:
    """What an export has written, by its own count."""

    files: int
    rows: int


def export_counts(job: Mapping[str, Any]) -> Written:
    """The counts of a job that ran EXPORT DATA.

    Raises:
        InputError: it has none, so that the result could not be verified.
    """
    query = (job.get("statistics") or {}).get("query") or {}
    counts = query.get("exportDataStatistics") or {}
    if "fileCount" not in counts or "rowCount" not in counts:
        raise InputError(
            "BigQuery does not say how many files and rows the export has written",
            Where(object=str((job.get("jobReference") or {}).get("jobId", ""))),
            "Run it again; a result that cannot be verified is not given out.",
        )
    return Written(int(counts["fileCount"]), int(counts["rowCount"]))


def extract_counts(job: Mapping[str, Any], rows: int) -> Written:
    """The counts of a job that extracted a table of so many rows."""
    extract = (job.get("statistics") or {}).get("extract") or {}
    counts = extract.get("destinationUriFileCounts")
    if not counts:
        raise InputError(
            "BigQuery does not say how many files the extract has written",
            Where(object=str((job.get("jobReference") or {}).get("jobId", ""))),
            "Run it again; a result that cannot be verified is not given out.",
        )
    return Written(sum(int(one) for one in counts), rows)


@dataclass
class JobWatch:
    """Looks at a job now and then.

    Calling it gives the engine what it asks for: whether the job is done, and with what. It asks
    the service only when it is time to, so it may be called at any rate, from one thread at a time.

    Attributes:
        bigquery, reference: the job.
        say: is told what takes long.
        counts: makes the counts of a job that has ended well.
        shown: the user's SQL, for the positions of errors.
        beside: called at each look; keeps a lease alive.
        was_refused: whether there never was a job.
        may_be_on_its_way: whether nobody knows if the service has it.
        reason: why the job failed, in the service's word; empty while it has not.
        job: the resource as it was last seen.
    """

    bigquery: BigQuery
    reference: JobReference
    say: Callable[[str], None]
    counts: Callable[[Mapping[str, Any]], Written]
    shown: str = ""
    beside: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    was_refused: bool = field(default=False, init=False)
    may_be_on_its_way: bool = field(default=False, init=False)
    reason: str = field(default="", init=False)
    job: Mapping[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._begun = self.clock()
        self._next_poll = self._begun
        self._interval = _FIRST_POLL_S
        self._word_at = _PENDING_WORD_S
        self._result: Written | None = None

    def start(self, insert: Callable[[], object]) -> None:
        """Starts the job. What fails after the service has it is as if it ran: it may.

        Raises:
            HayateError: it is refused, or nobody knows.
        """
        try:
            insert()
        except UsageError:
            self.was_refused = True
            raise
        except HayateError:
            raise
        except BaseException:
            # ^C while the service had the request: that it knows of no such job may soon be wrong.
            self.may_be_on_its_way = True
            raise

    def __call__(self) -> dict[str, Any]:
        """``{"done": False}``, or ``{"done": True, "files": …, "rows": …}``.

        Raises:
            HayateError: the job has failed, or cannot be watched.
        """
        if self._result is None and self.clock() >= self._next_poll:
            self._look()
        if self._result is None:
            return {"done": False}
        return {"done": True, "files": self._result.files, "rows": self._result.rows}

    def wait(self) -> Mapping[str, Any]:
        """Waits until the job is done; its resource.

        Raises:
            HayateError: see calling it.
        """
        while self._result is None:
            self()
            if self._result is None:
                self.sleep(max(0.0, self._next_poll - self.clock()))
        return self.job

    @property
    def may_be_repeated(self) -> bool:
        """Whether the job failed by the service's fault."""
        return self.reason in TRANSIENT_REASONS

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, well or not."""
        return self._state() == "DONE"

    def _state(self) -> str:
        return str((self.job.get("status") or {}).get("state") or "")

    def _look(self) -> None:
        self.beside()
        self.job = self.bigquery.job(self.reference)
        now = self.clock()
        self._next_poll = now + self._interval * (0.8 + 0.4 * random.random())
        self._interval = min(self._interval * 1.5, _MOST_POLL_S)
        state = self._state()
        if state == "DONE":
            self._end()
        elif state == "PENDING" and now - self._begun >= self._word_at:
            self.say(
                f"the job {self.reference} has been waiting to begin for "
                f"{now - self._begun:.0f} s: the project's slots or its limit of jobs are in use"
            )
            self._word_at *= 2

    def _end(self) -> None:
        failure = (self.job.get("status") or {}).get("errorResult")
        if failure:
            self.reason = str(failure.get("reason") or "unknown")
            raise from_job(failure, "the job failed", Where(object=str(self.reference)), self.shown)
        self._result = self.counts(self.job)

    def stop(self) -> bool:
        """Cancels the job and waits until it has ended, so that it writes nothing any more.

        Returns:
            Whether it has ended.
        """
        if self.is_over or self.was_refused:
            return True
        if self.may_be_on_its_way and not self.bigquery.cancel(self.reference):
            return False
        return stop_job(self.bigquery, self.reference, self.clock, self.sleep)


def stop_job(
    bigquery: BigQuery,
    reference: JobReference,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Cancels a job and waits for its end, at most for a minute; whether it has ended, or never
    began.

    Raises:
        HayateError: the service cannot be asked.
    """
    if not bigquery.cancel(reference):
        return True
    begun = clock()
    interval = _FIRST_POLL_S
    while True:
        state = (bigquery.job(reference).get("status") or {}).get("state")
        if state == "DONE":
            return True
        if clock() - begun > _CANCEL_WAIT_S:
            return False
        sleep(interval)
        interval = min(interval * 1.5, _MOST_POLL_S)


def bytes_billed(job: Mapping[str, Any]) -> int:
    """What a job was billed for, by its statistics."""
    query = (job.get("statistics") or {}).get("query") or {}
    return int(query.get("totalBytesBilled") or 0)


def destination(job: Mapping[str, Any]) -> dict[str, str]:
    """The table that holds a query's result.

    Raises:
        InputError: the job names none.
    """
    query = (job.get("configuration") or {}).get("query") or {}
    table = query.get("destinationTable")
    if not table:
        raise InputError(
            "BigQuery does not say where the query's result is",
            Where(object=str((job.get("jobReference") or {}).get("jobId", ""))),
            "Run it again.",
        )
    return dict(table)


def stop_quietly(watch: JobWatch, say: Callable[[str], None]) -> bool:
    """Stops a job while another error is on its way: what goes wrong here is only said."""
    try:
        return watch.stop()
    except HayateError as error:
        say(f"the job {watch.reference} could not be cancelled: {error.what}")
        return False
