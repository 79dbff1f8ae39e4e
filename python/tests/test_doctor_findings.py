"""hayate.doctor.finding: checks are bounded, and never raise."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

import pytest

import hayate as hy
from hayate.doctor.finding import Check, Finding, NotTried, run_check, run_checks


def _raising(error: Exception) -> Iterator[Finding]:
    yield Finding("ok", "before", "this is kept only if all goes well")
    raise error


@pytest.mark.parametrize(
    ("error", "level", "what", "remedy"),
    [
        (
            hy.UsageError("no such thing", hy.Where(object="gs://b"), "Make one."),
            "problem",
            "no such thing (gs://b)",
            "Make one.",
        ),
        (NotTried("it is dark"), "skipped", "not looked at: it is dark", ""),
        (ImportError("no x"), "skipped", "not looked at: no x; see Python, above", ""),
        (ValueError("odd"), "advice", "the check itself failed: ValueError: odd", "Report it"),
        (hy.InterruptedRunError("enough"), "skipped", "interrupted", ""),
    ],
)
def test_what_a_check_raises_is_a_finding(
    error: Exception, level: str, what: str, remedy: str
) -> None:
    findings, ended = run_check(Check("S", "thing", lambda _: _raising(error)))
    assert ended
    (found,) = findings
    assert (found.level, found.name, found.what) == (level, "thing", what)
    assert found.remedy.startswith(remedy)


def test_a_check_that_hangs_is_a_problem_and_the_others_are_run() -> None:
    never = threading.Event()

    def hang(stop: threading.Event) -> Iterable[Finding]:
        never.wait(60)
        return []

    checks = [
        Check("S", "stuck", hang, limit_s=0.1, cleanup_s=0.1, waits_for=lambda: "503 from b"),
        Check("S", "next", lambda _: [Finding("ok", "next", "fine")]),
    ]
    begun = time.monotonic()
    results = run_checks(checks)
    never.set()
    assert time.monotonic() - begun < 30
    late, after = results.sections["S"]
    assert late.level == "problem" and "0.1 s; 503 from b" in late.what
    assert after.what == "fine"
    assert results.has_unfinished


def test_a_check_that_is_late_may_clean_up() -> None:
    cleaned = threading.Event()

    def clean(stop: threading.Event) -> Iterable[Finding]:
        assert stop.wait(60)
        cleaned.set()
        return []

    findings, ended = run_check(Check("S", "slow", clean, limit_s=0.1, cleanup_s=60))
    assert ended and cleaned.is_set()
    assert findings[0].level == "problem"


def test_results_are_as_bad_as_the_worst_and_come_as_they_are_found() -> None:
    def of(level: str) -> Check:
        return Check(level, level, lambda _: [Finding(level, level, "x")])  # type: ignore[arg-type]

    shown: list[str] = []
    results = run_checks([of("ok"), of("advice"), of("skipped")], lambda s, _: shown.append(s))
    assert results.worst == "advice"
    assert shown == ["ok", "advice", "skipped"]
    assert run_checks([of("problem"), of("ok")]).worst == "problem"
    assert run_checks([]).worst == "ok"
    assert run_checks([of("skipped")]).worst == "skipped"
