"""The exceptions of hayate: one class per kind of fault, and the only place that maps the two."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar

_INTEGER_FIELDS = ("byte", "row", "line", "partition")
_TEXT_FIELDS = ("object", "column", "stage")


@dataclass(frozen=True)
class Where:
    """The place an error is about; rows and lines count from 1, bytes and partitions from 0."""

    object: str = ""
    byte: int | None = None
    row: int | None = None
    line: int | None = None
    column: str = ""
    stage: str = ""
    partition: int | None = None

    def __str__(self) -> str:
        parts = [self.object] if self.object else []
        for label in ("line", "row", "byte"):
            value = getattr(self, label)
            if value is not None:
                parts.append(f"{label} {value}")
        for label in ("column", "stage"):
            if getattr(self, label):
                parts.append(f"{label} {getattr(self, label)}")
        if self.partition is not None:
            parts.append(f"partition {self.partition}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Only the members that are set."""
        fields = {name: getattr(self, name) for name in (*_TEXT_FIELDS, *_INTEGER_FIELDS)}
        return {name: value for name, value in fields.items() if value not in ("", None)}

    @classmethod
    def from_json(cls, data: dict[str, Any] | None) -> Where:
        known = {*_TEXT_FIELDS, *_INTEGER_FIELDS}
        members = (data or {}).items()
        return cls(
            **{name: value for name, value in members if name in known and value is not None}
        )


class HayateError(Exception):
    """Anything that hayate reports: what happened, where, and what to do about it.

    Attributes:
        what: one clause that says what happened.
        where: the file, row, line, column, stage and partition, as far as known.
        fix: an imperative sentence, or empty.
        user_traceback: the frames of the user's code as Python prints them, or empty.
    """

    fault: ClassVar[str] = "internal"

    def __init__(
        self, what: str, where: Where | None = None, fix: str = "", user_traceback: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where or Where()
        self.fix = fix
        self.user_traceback = user_traceback

    def __str__(self) -> str:
        lines = [self.what]
        if str(self.where):
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        if self.user_traceback:
            lines.append(self.user_traceback.rstrip("\n"))
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.where, self.fix, self.user_traceback)


class UsageError(HayateError):
    """Wrong arguments or a wrong job description: the call or the job file must change."""

    fault = "usage"


class InputError(HayateError):
    """The data is not what was promised: corrupt, ragged, of a wrong type, or not there."""

    fault = "input"


class StageError(HayateError):
    """The user's code raised, returned None, or returned what cannot be stored."""

    fault = "user_code"


class WorkerDiedError(HayateError):
    """A worker was killed, crashed or left."""

    fault = "worker_died"


class StorageError(HayateError):
    """The disk is full, read-only, or failed."""

    fault = "storage"


class BusyError(HayateError):
    """Another run holds the store."""

    fault = "busy"


class InterruptedRunError(HayateError):
    """SIGINT or SIGTERM ended the run."""

    fault = "interrupted"


class InternalError(HayateError):
    """A bug of hayate itself."""

    fault = "internal"


_CLASSES: dict[str, type[HayateError]] = {
    cls.fault: cls
    for cls in (
        UsageError,
        InputError,
        StageError,
        WorkerDiedError,
        StorageError,
        BusyError,
        InterruptedRunError,
        InternalError,
    )
}


def from_json(error: dict[str, Any]) -> HayateError:
    """The exception of a protocol error object (docs/formats/protocol.md)."""
    cls = _CLASSES.get(str(error.get("fault", "")), InternalError)
    return cls(
        str(error.get("what", "unknown error")),
        Where.from_json(error.get("where")),
        str(error.get("fix") or ""),
        str(error.get("traceback") or ""),
    )


def to_json(error: BaseException) -> dict[str, Any]:
    """The protocol error object of any exception; what is not hayate's is the user's code."""
    if isinstance(error, HayateError):
        return {
            "fault": error.fault,
            "what": error.what,
            "where": error.where.to_json(),
            "fix": error.fix,
            "traceback": error.user_traceback,
        }
    frame = last_user_frame(error.__traceback__)
    where = Where(object=frame[0], line=frame[1]) if frame else Where()
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        where = Where(object=error.filename, line=error.lineno)
    text = str(error)
    return {
        "fault": "user_code",
        "what": f"{type(error).__name__}: {text}" if text else type(error).__name__,
        "where": where.to_json(),
        "fix": "",
        "traceback": format_user_traceback(error),
    }


def is_own_file(filename: str) -> bool:
    """Whether a frame's file is the machinery around the user's code: hayate, or imports."""
    own = os.path.dirname(os.path.abspath(__file__)) + os.sep
    return filename.startswith(("<frozen importlib", own))


def _is_library_file(filename: str) -> bool:
    """Whether a file is an installed library or the standard library."""
    if filename.startswith("<"):
        return True
    paths = sysconfig.get_paths()
    roots = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(filename.startswith(root + os.sep) for root in roots)


def last_user_frame(tb: TracebackType | None) -> tuple[str, int] | None:
    """File and line of the innermost frame that is the user's own code, not a library's."""
    found = None
    while tb is not None:
        filename = tb.tb_frame.f_code.co_filename
        if not is_own_file(filename) and not _is_library_file(filename):
            found = (filename, tb.tb_lineno)
        tb = tb.tb_next
    return found


def format_user_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, without the frames that only led to the user's code.

    Causes and contexts are kept; frames of libraries below the user's code are kept too.
    """
    shown = traceback.TracebackException.from_exception(error)
    pending: list[traceback.TracebackException] = [shown]
    seen: set[int] = set()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        current.stack = traceback.StackSummary.from_list(
            [frame for frame in current.stack if not is_own_file(frame.filename)]
        )
        pending += [one for one in (current.__cause__, current.__context__) if one is not None]
        if sys.version_info >= (3, 11) and current.exceptions:
            pending += current.exceptions
    return "".join(shown.format())
