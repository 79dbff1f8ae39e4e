"""Where in the user's code a declaration stands."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from hayate.errors import Where, is_own_file


@dataclass(frozen=True)
class Location:
    """A line of the user's code, and the namespace it ran in."""

    file: str
    line: int
    namespace: dict[str, Any] = field(repr=False, compare=False)

    def where(self) -> Where:
        return Where(object=self.file, line=self.line)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def caller() -> Location:
    """The innermost line outside of hayate that led here."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_own_file(frame.f_code.co_filename):
        frame = frame.f_back
    return Location(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)
