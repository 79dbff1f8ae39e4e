"""Which installed distributions a module comes from, their versions and their requirements."""

from __future__ import annotations

import functools
import re
from importlib import metadata

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def normalized(name: str) -> str:
    """A distribution's name as PEP 503 compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.cache
def distributions_of(top_level: str) -> tuple[str, ...]:
    """Names of the distributions that provide a top-level module; empty if none is known.

    A namespace such as `google` is provided by several.
    """
    try:
        # The scan of all of them is slow, and most modules are called as their distribution is.
        found = metadata.distribution(top_level)
        listed = (found.read_text("top_level.txt") or top_level).split()
        if top_level in listed:
            return (normalized(top_level),)
    except metadata.PackageNotFoundError:
        pass
    return tuple(sorted({normalized(one) for one in _providers().get(top_level, [])}))


@functools.cache
def _providers() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def versions(name: str) -> dict[str, str]:
    """The version of a distribution and, through their requirements, of all that it builds on.

    Requirements of extras and those not installed here are left out.
    """
    found: dict[str, str] = {}
    pending = [normalized(name)]
    while pending:
        current = pending.pop()
        if current in found:
            continue
        known = _version_and_requirements(current)
        if known is not None:
            found[current] = known[0]
            pending += known[1]
    return found


@functools.cache
def _version_and_requirements(name: str) -> tuple[str, tuple[str, ...]] | None:
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    required = []
    for text in distribution.requires or []:
        match = _REQUIREMENT.match(text)
        if match is not None and not re.search(r";.*\bextra\b", text):
            required.append(normalized(match.group(1)))
    return distribution.version, tuple(required)
