"""Jobs as the real service shows them: PENDING, RUNNING, DONE, by polls and never by the clock."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emulators.exported_files import FileOptions
from emulators.faults import error_body
from emulators.http_service import Answer
from emulators.sql import TableName

_STATUS_OF_REASON: Mapping[str, int] = {
    "notFound": 404,
    "duplicate": 409,
    "accessDenied": 403,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
    "responseTooLarge": 403,
    "backendError": 503,
    "internalError": 500,
}
_MULTI_REGIONS = ("US", "EU")
_EXPORT = re.compile(r"\bEXPORT\s+DATA\b", re.IGNORECASE)
KINDS = ("query", "load", "extract", "copy")


def canonical_location(location: str) -> str:
    """A location as the service spells it: US, asia-northeast1."""
    upper = location.upper()
    return upper if upper in _MULTI_REGIONS else upper.lower()


class JobError(Exception):
    """An error of the service: `errorResult` of a job, or an answer.

    Attributes:
        reason: the service's word for it.
        message: what it says.
        location: where in the request.
    """

    def __init__(self, reason: str, message: str, location: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.location = location

    @property
    def status(self) -> int:
        return _STATUS_OF_REASON.get(self.reason, 400)

    def proto(self) -> dict[str, str]:
        found = {"reason": self.reason, "message": self.message}
        return {**found, "location": self.location} if self.location else found

    def answer(self) -> Answer:
        body = error_body(self.status, self.reason, self.message)
        return Answer.of_json(body, self.status)

    @classmethod
    def of_answer(cls, status: int, body: bytes) -> JobError:
        """The error in an answer of bqemulator."""
        try:
            error = json.loads(body)["error"]
            return cls(error["errors"][0]["reason"], error["message"])
        except (ValueError, KeyError, IndexError):
            return cls("internalError", f"bqemulator answered {status}: {body[:500]!r}")


@dataclass(frozen=True)
class JobPlan:
    """How a job goes.

    Attributes:
        pending_polls: how many polls are answered with PENDING; the insert itself always is.
        running_polls: how many polls after these are answered with RUNNING.
        stays: PENDING or RUNNING: stays there until it is released or cancelled.
        error: fails with it in the end, with what it has written until then.
        shards: how many files an export writes.
        visible_shards: how many of them there are at the first, second, … RUNNING answer; the
            last number holds for further ones, and all are there when it is DONE.
        drafts: shards that first appear with half of their rows and are written again, whole,
            before the job is DONE.
        after_done: called once the job is DONE, before that is answered.
    """

    pending_polls: int = 0
    running_polls: int = 1
    stays: str = ""
    error: JobError | None = None
    shards: int = 1
    visible_shards: tuple[int, ...] = ()
    drafts: frozenset[int] = frozenset()
    after_done: Callable[[Job], None] | None = None

    @property
    def is_stepwise(self) -> bool:
        """Whether a test looks at what there is between two polls."""
        return bool(self.visible_shards or self.drafts or self.pending_polls)


# DONE at the first poll: for what only prepares a test.
INSTANT = JobPlan(running_polls=0)


@dataclass
class Shard:
    """A file of an export: where it goes, and its bytes, and those of its draft."""

    bucket: str
    name: str
    data: bytes
    draft: bytes | None = None


@dataclass
class Job:
    """One job; guarded by the lock of its runner.

    Attributes:
        data: what was uploaded with it.
        state: PENDING, RUNNING or DONE.
        error: why it failed.
        statistics: beside the times.
        reads: the base tables that its query reads.
        geography: the columns of its result that a GEOGRAPHY function makes.
        files: what is in the files that it writes.
        shards: what its export writes, in order.
        published: how many of them have been written.
        has_begun: whether the work behind it was started.
        finished: set when that is done.
    """

    project: str
    job_id: str
    location: str
    configuration: dict[str, Any]
    plan: JobPlan
    data: bytes | None = None
    state: str = "PENDING"
    error: JobError | None = None
    statistics: dict[str, Any] = field(default_factory=dict)
    reads: list[TableName] = field(default_factory=list)
    geography: frozenset[str] = frozenset()
    files: FileOptions | None = None
    shards: list[Shard] = field(default_factory=list)
    published: int = 0
    polls: int = 0
    is_cancelled: bool = False
    has_begun: bool = False
    finished: threading.Event = field(default_factory=threading.Event)
    created_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    started_ms: int = 0
    ended_ms: int = 0

    @property
    def name(self) -> str:
        return f"{self.project}:{self.location}.{self.job_id}"

    @property
    def kind(self) -> str:
        """query, load, extract or copy; empty where the configuration says nothing of it."""
        return next((kind for kind in KINDS if kind in self.configuration), "")

    @property
    def writes_files(self) -> bool:
        """Whether it is an export, of one kind or the other."""
        query = self.configuration.get("query", {}).get("query", "")
        return self.kind == "extract" or _EXPORT.search(query) is not None

    def release(self) -> None:
        """Lets go of a job that stays."""
        self.plan = replace(self.plan, stays="")

    def is_at(self, location: str) -> bool:
        """Whether a call that names a location, or none, finds the job."""
        if not location:
            return self.location in _MULTI_REGIONS
        return canonical_location(location) == self.location

    def visible(self) -> int | None:
        """How many shards are there at this RUNNING answer; None where the plan does not say."""
        if not self.plan.visible_shards:
            return None
        answers = self.polls - self.plan.pending_polls
        counts = self.plan.visible_shards
        return min(counts[min(answers, len(counts)) - 1], len(self.shards))

    def resource(self) -> dict[str, Any]:
        """The job as jobs.get answers it."""
        status: dict[str, Any] = {"state": self.state}
        if self.state == "DONE" and self.error is not None:
            status |= {"errorResult": self.error.proto(), "errors": [self.error.proto()]}
        times = {"creationTime": self.created_ms}
        if self.state != "PENDING":
            times["startTime"] = self.started_ms
        if self.state == "DONE":
            times["endTime"] = self.ended_ms
        statistics = {name: str(value) for name, value in times.items()}
        if self.state == "DONE":
            statistics |= self.statistics
        return {
            "kind": "bigquery#job",
            "id": self.name,
            "etag": f'"{self.job_id}-{self.state}-{self.polls}"',
            "jobReference": {
                "projectId": self.project,
                "jobId": self.job_id,
                "location": self.location,
            },
            "configuration": {"jobType": self.kind.upper(), **self.configuration},
            "status": status,
            "statistics": statistics,
            "user_email": "tester@test-project.iam.gserviceaccount.com",
        }
