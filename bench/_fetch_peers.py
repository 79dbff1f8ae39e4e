"""The other ways to get a table out of a bucket, in a virtual environment of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulators import install

PINS = Path(__file__).with_name("fetch-requirements.txt")


@dataclass(frozen=True)
class Peers(install.PythonPart):
    """The environment: its program is the interpreter."""

    @property
    def folder(self) -> Path:
        return install.CACHE.with_name("bench") / "fetch-peers"


def pinned() -> list[str]:
    """Their requirements, with exact versions."""
    lines = [line.partition("#")[0].strip() for line in PINS.read_text().splitlines()]
    return [line for line in lines if line]


def peers() -> Peers:
    """The environment as it has to be."""
    return Peers(
        name="fetch-peers",
        program="python",
        version="",
        skipped="comparisons",
        requirements=tuple(pinned()),
        is_for_tests=False,
    )
