"""What the tasks have in common that a worker of a job gives to a service to do."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hayate import _core

#: Seconds between two words to the supervisor while nothing happens here.
_HEARTBEAT_S = 10.0
#: At least, between two words on how far it is.
_BETWEEN_S = 0.25

Send = Callable[[dict[str, Any]], None]


def store_of(frame: str) -> str:
    """The store that a job's frame lies in: <store>/frames/<name>-<key>."""
    return os.path.dirname(os.path.dirname(os.path.abspath(frame)))


def cores_of(task: Mapping[str, Any]) -> int:
    """How many threads a task may use."""
    return int(task.get("threads") or 0) or _core.available_cores()


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it SIGTERM, by which the supervisor ends its workers, leaves time to clean up."""

    def interrupt(number: int, frame: types.FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Heartbeat:
    """Tells the supervisor how far a task is, and that it lives where nothing is to be told: a job
    of BigQuery may take an hour, in which this process does nothing. A context manager.

    Args:
        task: the task's number.
        send: takes the messages; not called again once the block has ended.
    """

    def __init__(self, task: int, send: Send) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._told = 0.0
        self._message: dict[str, Any] = {"type": "progress", "task": task}
        self._thread = threading.Thread(target=self._beat, name="hayate-heartbeat", daemon=True)

    def show(
        self, rows: int, bytes_read: int, bytes_total: int, files: int, files_total: int
    ) -> None:
        """Called some times a second by the reading."""
        with self._lock:
            self._message |= {"rows": rows, "bytes_read": bytes_read, "bytes_total": bytes_total}
            if time.monotonic() - self._told >= _BETWEEN_S:
                self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        self._send(dict(self._message))

    def _beat(self) -> None:
        while not self._ended.wait(_HEARTBEAT_S):
            with self._lock:
                self._tell()

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
