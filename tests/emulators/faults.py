"""What a server is told to do wrong: which calls, how often, and how."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """How a call goes wrong."""

    ANSWER = "an answer of its own; nothing is done"
    DROP = "it is done, and the connection is reset before the answer"
    REFUSE = "nothing is done, and the connection is reset"
    RESET = "the connection is reset in the middle of the body"
    SHORT = "the connection is closed in the middle of the body"
    STALL = "the body stops in the middle until it is released"
    FLIP = "one bit of the body is wrong"


# The reason that Google's services give with a status.
REASONS: Mapping[int, str] = {
    400: "invalid",
    401: "authError",
    403: "rateLimitExceeded",
    404: "notFound",
    409: "duplicate",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    500: "backendError",
    502: "badGateway",
    503: "backendError",
}


@dataclass(eq=False)
class Fault:
    """One instruction; made by the functions below.

    Attributes:
        kind: how the calls go wrong.
        path: a regular expression that is searched in path and query.
        method: the HTTP method; empty for any.
        times: how many calls, or None for all of them.
        status: of ANSWER.
        headers: beside the usual ones of ANSWER.
        body: of ANSWER.
        after_bytes: of the body that are sent before it happens; FLIP: which byte is changed.
        seen: how many calls went wrong by it.
        released: what STALL waits for.
    """

    kind: Kind
    path: str
    method: str = ""
    times: int | None = 1
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_bytes: int = 0
    seen: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    _reached: threading.Event = field(default_factory=threading.Event)

    def wait_until_reached(self, timeout_s: float = 30.0) -> bool:
        """Waits until a call went wrong by it."""
        return self._reached.wait(timeout_s)

    def matches(self, method: str, target: str) -> bool:
        is_left = self.times is None or self.seen < self.times
        return is_left and self.method in ("", method) and re.search(self.path, target) is not None


def error_body(status: int, reason: str, message: str) -> dict[str, object]:
    """The JSON that Google's services send with an error."""
    detail = {"domain": "global", "reason": reason, "message": message}
    return {"error": {"code": status, "message": message, "errors": [detail]}}


def answer(
    path: str,
    status: int,
    *,
    reason: str = "",
    message: str = "",
    method: str = "",
    times: int | None = 1,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Fault:
    """The calls are answered with an error of the service; nothing is done."""
    reason = reason or REASONS.get(status, "backendError")
    text = json.dumps(error_body(status, reason, message or f"a fault on demand: {reason}"))
    return Fault(
        Kind.ANSWER,
        path,
        method,
        times,
        status=status,
        headers={"Content-Type": "application/json; charset=UTF-8", **(headers or {})},
        body=text.encode() if body is None else body,
    )


def drop(path: str, *, method: str = "", times: int | None = 1) -> Fault:
    """The calls are done, but their connection is reset before the answer."""
    return Fault(Kind.DROP, path, method, times)


def refuse(path: str, *, method: str = "", times: int | None = 1) -> Fault:
    """The connection is reset, and nothing is done."""
    return Fault(Kind.REFUSE, path, method, times)


def reset(path: str, after_bytes: int, *, method: str = "GET", times: int | None = 1) -> Fault:
    """The connection is reset after some bytes of the body."""
    return Fault(Kind.RESET, path, method, times, after_bytes=after_bytes)


def short(path: str, after_bytes: int, *, method: str = "GET", times: int | None = 1) -> Fault:
    """The connection is closed in order after some bytes, before the promised length."""
    return Fault(Kind.SHORT, path, method, times, after_bytes=after_bytes)


def stall(path: str, after_bytes: int, *, method: str = "GET", times: int | None = 1) -> Fault:
    """After some bytes nothing comes, until ``released`` is set or the server is closed."""
    return Fault(Kind.STALL, path, method, times, after_bytes=after_bytes)


def flip(path: str, at_byte: int, *, method: str = "GET", times: int | None = 1) -> Fault:
    """One bit of the body is wrong, and the length is right."""
    return Fault(Kind.FLIP, path, method, times, after_bytes=at_byte)


class Faults:
    """The faults of one server, in the order they were added; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._faults += faults

    def clear(self) -> None:
        """Forgets all, and lets go of what is stalled."""
        with self._lock:
            for fault in self._faults:
                fault.released.set()
            self._faults.clear()

    def take(self, method: str, target: str) -> Fault | None:
        """The first fault that is meant for a call; the call counts."""
        with self._lock:
            for fault in self._faults:
                if fault.matches(method, target):
                    fault.seen += 1
                    fault._reached.set()
                    return fault
        return None
