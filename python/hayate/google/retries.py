"""Calls of BigQuery's control, made again when the service or the connection fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from hayate.google.redaction import without_secrets
from hayate.google.service_errors import code_of, is_transient, reason_of

Result = TypeVar("Result")


@dataclass
class Retries:
    """How often and how long a call is tried again, and who hears of it.

    Attributes:
        say: is told of each retry.
        attempts: at most, the first one included.
        first_s, most_s: the wait before the second attempt, doubled each time, and its bound; the
            real one is between a half of it and all of it, so that many clients do not return at
            once.
        total_s: no attempt begins after this time.
        count: retries so far, over all calls.
    """

    say: Callable[[str], None]
    attempts: int = 8
    first_s: float = 0.5
    most_s: float = 30.0
    total_s: float = 300.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    count: int = field(default=0, init=False)

    def call(
        self,
        what: str,
        call: Callable[[], Result],
        retried: Callable[[BaseException], bool] = is_transient,
    ) -> Result:
        """Calls until it succeeds, or raises what cannot be retried (any more).

        Args:
            what: names the call to the user: "starting the export".
            call: does it; must be harmless to repeat.
            retried: whether an exception is worth another attempt.
        """
        begun = self.clock()
        for attempt in range(1, self.attempts + 1):
            try:
                return call()
            except Exception as error:
                wait = self._wait(attempt)
                late = self.clock() - begun + wait > self.total_s
                if attempt == self.attempts or late or not retried(error):
                    raise
                self.count += 1
                self.say(
                    f"{what} failed ({_word(error)}); attempt {attempt + 1} of {self.attempts} "
                    f"in {wait:.1f} s"
                )
            self.sleep(wait)
        raise AssertionError("a loop over attempts ends by return or raise")

    def _wait(self, attempt: int) -> float:
        longest = min(self.most_s, self.first_s * 2.0 ** (attempt - 1))
        return longest * (0.5 + random.random() / 2)


def _word(error: BaseException) -> str:
    code, reason = code_of(error), reason_of(error)
    if code or reason:
        return " ".join(filter(None, [str(code or ""), reason])) or type(error).__name__
    return without_secrets(f"{type(error).__name__}: {error}")[:200]
