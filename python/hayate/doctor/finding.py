"""Findings, and the checks that make them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hayate.errors import HayateError, InterruptedRunError

Level = Literal["ok", "skipped", "advice", "problem"]
#: From the best to the worst. What was not looked at is no fault of its own.
LEVELS: tuple[Level, ...] = ("ok", "skipped", "advice", "problem")

#: How often a check that waits is looked at, in seconds; an interrupt is noticed so soon.
_LOOK_S = 0.05


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes:
        level: how bad it is.
        name: of what was looked at: "memory".
        what: one clause.
        remedy: what to do, in the imperative; empty where there is nothing to do.
    """

    level: Level
    name: str
    what: str
    remedy: str = ""


class NotTried(Exception):
    """What is to be looked at rests on something that is missing, which another check reports.

    Args:
        reason: a clause: "there are no credentials".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Run = Callable[[threading.Event], Iterable[Finding]]
"""Looks, and ends soon after the event is set."""


@dataclass(frozen=True)
class Check:
    """One look at one thing.

    Attributes:
        section: of the screen: "Machine".
        name: what findings have that the check itself could not make.
        run: see Run.
        limit_s: seconds after which there is no answer.
        cleanup_s: seconds that it may take to end after that.
        waits_for: tells what the check waits for, where it knows.
    """

    section: str
    name: str
    run: Run
    limit_s: float = 10.0
    cleanup_s: float = 0.5
    waits_for: Callable[[], str] = field(default=lambda: "")


@dataclass
class Results:
    """What all checks have found.

    Attributes:
        sections: section → its findings, in the order of the checks.
        has_unfinished: whether a check still runs in its thread.
    """

    sections: dict[str, list[Finding]] = field(default_factory=dict)
    has_unfinished: bool = False

    @property
    def worst(self) -> Level:
        """The worst level of all."""
        levels = [LEVELS.index(one.level) for found in self.sections.values() for one in found]
        return LEVELS[max(levels, default=0)]


def run_checks(
    checks: Sequence[Check], show: Callable[[str, list[Finding]], None] = lambda *_: None
) -> Results:
    """Runs the checks one after the other.

    Args:
        checks: in the order of the screen.
        show: is told the section and the findings of each check once they are there.
    """
    results = Results()
    for check in checks:
        findings, ended = run_check(check)
        results.has_unfinished |= not ended
        results.sections.setdefault(check.section, []).extend(findings)
        show(check.section, findings)
    return results


def run_check(check: Check) -> tuple[list[Finding], bool]:
    """What a check finds, and whether it has ended: in time, or with a finding that says so.

    Raises:
        KeyboardInterrupt: after the check had its time to clean up.
    """
    found: list[Finding] = []
    stop = threading.Event()
    done = threading.Event()

    def work() -> None:
        try:
            found.extend(_caught(check, stop))
        finally:
            done.set()

    # A daemon: a look that hangs, as at a dead network disk, must not keep the process.
    threading.Thread(target=work, name=f"doctor-{check.name}", daemon=True).start()
    try:
        if _wait(done, check.limit_s):
            return found, True
    except KeyboardInterrupt:
        stop.set()
        _wait(done, check.cleanup_s)
        raise
    stop.set()
    ended = _wait(done, check.cleanup_s)
    reason = check.waits_for()
    late = Finding(
        "problem",
        check.name,
        f"no answer within {check.limit_s:g} s" + (f"; {reason}" if reason else ""),
        "Find out what it waits for: a disk or a service that does not answer stops a run as well.",
    )
    return [late], ended


def _wait(event: threading.Event, seconds: float) -> bool:
    """Waits in short steps: on some systems a signal does not end a long wait."""
    end = time.monotonic() + seconds
    while not event.wait(max(0.0, min(_LOOK_S, end - time.monotonic()))):
        if time.monotonic() >= end:
            return False
    return True


def _caught(check: Check, stop: threading.Event) -> list[Finding]:
    try:
        return list(check.run(stop))
    except NotTried as missing:
        return [Finding("skipped", check.name, f"not looked at: {missing.reason}")]
    except InterruptedRunError:
        return [Finding("skipped", check.name, "interrupted")]
    except HayateError as error:
        return [of_error(check.name, error)]
    except ImportError as error:
        return [Finding("skipped", check.name, f"not looked at: {error}; see Python, above")]
    except Exception as error:
        what = f"the check itself failed: {type(error).__name__}: {error}"
        return [Finding("advice", check.name, what, "Report it; the other checks count.")]


def of_error(name: str, error: HayateError) -> Finding:
    """A problem that an error of hayate's describes."""
    place = str(error.where)
    what = error.what if not place or place in error.what else f"{error.what} ({place})"
    return Finding("problem", name, what, error.fix)
