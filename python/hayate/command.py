"""Where the hayate command's program lies, and how a process of Python starts it."""

from __future__ import annotations

import contextlib
import os
import sys

from hayate.errors import InternalError, Where


def program() -> str:
    """The path of the program inside of the package; HAYATE_COMMAND names another.

    Raises:
        InternalError: it is not there, or cannot be executed.
    """
    inside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "hayate")
    path = os.environ.get("HAYATE_COMMAND") or inside
    if not os.access(path, os.X_OK):
        raise InternalError(
            "the hayate program is missing from the installed package",
            Where(object=path),
            "Install the package again: pip install --force-reinstall hayate.",
        )
    return path


def environment() -> dict[str, str]:
    """The environment for it: children run this Python and find this hayate."""
    return {**os.environ, "HAYATE_PYTHON": sys.executable}


def say(line: str) -> None:
    """Passes a line of the program on to sys.stderr, where there is one.

    A pipe has to be drained whatever happens: a full one stops the program.
    """
    with contextlib.suppress(Exception):  # None, closed, or what a notebook or a test put there
        sys.stderr.write(line)
