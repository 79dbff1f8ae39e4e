"""Findings for people, on a screen of 100 columns, and for programs, as JSON."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from hayate.doctor.finding import LEVELS, Finding, Level, Results

WIDTH = 100
#: Readable without colour: the words differ, and what is bad is longest.
MARKS: dict[Level, str] = {"ok": "ok", "skipped": "-", "advice": "advice", "problem": "PROBLEM"}
_COLOURS: dict[Level, str] = {"ok": "32", "skipped": "2", "advice": "33", "problem": "31;1"}
_MARK_WIDTH = max(len(mark) for mark in MARKS.values())
#: Longer names are not cut: their text begins on the next line.
_NAME_WIDTH = 14
_INDENT = 2 + _MARK_WIDTH + 2 + _NAME_WIDTH + 2

Redact = Callable[[str], str]


def has_colour(file: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether to write colours: on a terminal, unless NO_COLOR or TERM=dumb say otherwise."""
    values = os.environ if environment is None else environment
    return not values.get("NO_COLOR") and values.get("TERM") != "dumb" and file.isatty()


class Screen:
    """Writes findings as they come.

    Args:
        file: where to.
        redact: takes out what must not be seen.
        colour: whether marks are coloured.
    """

    def __init__(self, file: TextIO, redact: Redact, *, colour: bool) -> None:
        self._file = file
        self._redact = redact
        self._colour = colour
        self._section = ""

    def show(self, section: str, findings: list[Finding]) -> None:
        """The findings of a check, below the name of their section."""
        if section != self._section:
            if self._section:
                self._file.write("\n")
            self._file.write(f"{section}\n")
            self._section = section
        for finding in findings:
            for line in self._lines(finding):
                self._file.write(line + "\n")
        self._file.flush()

    def close(self, results: Results, notes: list[str]) -> None:
        """The last lines: how many of which, and what else there is to say."""
        counts = {level: 0 for level in LEVELS}
        for found in results.sections.values():
            for one in found:
                counts[one.level] += 1
        said = [f"{counts['problem']} problem{'' if counts['problem'] == 1 else 's'}"]
        said.append(f"{counts['advice']} piece{'' if counts['advice'] == 1 else 's'} of advice")
        self._file.write(f"\n{', '.join(said)}\n")
        for note in notes:
            for line in wrapped(self._redact(note), WIDTH):
                self._file.write(line + "\n")
        self._file.flush()

    def _lines(self, finding: Finding) -> Iterator[str]:
        mark = MARKS[finding.level]
        padding = " " * (_MARK_WIDTH - len(mark))
        if self._colour:
            mark = f"\033[{_COLOURS[finding.level]}m{mark}\033[0m"
        name = plain(self._redact(finding.name))
        texts = list(wrapped(self._redact(finding.what), WIDTH - _INDENT)) or [""]
        missing = _NAME_WIDTH - display_width(name)
        if missing >= 0:
            yield f"  {mark}{padding}  {name}{' ' * missing}  {texts.pop(0)}".rstrip()
        else:
            first, *others = wrapped(name, WIDTH - 2 - _MARK_WIDTH - 2)
            yield f"  {mark}{padding}  {first}"
            yield from (" " * (2 + _MARK_WIDTH + 2) + one for one in others)
        yield from (" " * _INDENT + text for text in texts)
        remedy = self._redact(finding.remedy)
        yield from (" " * _INDENT + "  " + text for text in wrapped(remedy, WIDTH - _INDENT - 2))


def to_json(results: Results, redact: Redact, version: str) -> str:
    """All findings as one JSON object."""
    findings: list[dict[str, Any]] = [
        {
            "section": section,
            "level": one.level,
            "name": redact(one.name),
            "what": redact(one.what),
            "remedy": redact(one.remedy),
        }
        for section, found in results.sections.items()
        for one in found
    ]
    described = {"hayate": version, "level": results.worst, "findings": findings}
    return json.dumps(described, ensure_ascii=False, indent=1)


def wrapped(text: str, width: int) -> Iterator[str]:
    """Lines of at most `width` columns, cut between words; a longer word is cut itself."""
    line = ""
    waiting = plain(text).split()[::-1]
    while waiting:
        word = waiting.pop()
        if line and display_width(line) + 1 + display_width(word) <= width:
            line += " " + word
            continue
        if line:
            yield line
        end = _fitting(word, width)
        if end < len(word):
            yield word[:end]
            waiting.append(word[end:])
            line = ""
        else:
            line = word
    if line:
        yield line


def plain(text: str) -> str:
    """The text without what could move the cursor: control characters become blanks."""
    return "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text)


def display_width(text: str) -> int:
    """Columns that a terminal takes for it; the wide characters of East Asia take two."""
    return sum(_width(one) for one in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fitting(word: str, width: int) -> int:
    """How many characters of a word fit; at least one."""
    taken = 0
    for at, one in enumerate(word):
        taken += _width(one)
        if taken > width:
            return max(at, 1)
    return len(word)
