"""What a probe has found out of how BigQuery writes CSV for a project.

`hayate doctor` exports a few awkward values and looks at the bytes. Until it has, nothing is taken
for granted, and texts go through a SELECT that keeps NULL and the empty string apart.
"""

from __future__ import annotations

from hayate.google import known

_KIND = "dialects"


def nulls_are_distinct(store: str, project: str) -> bool:
    """Whether this project's CSV is known to have the empty string in quotes and NULL without."""
    return known.recall(store, _KIND, project).get("nulls_are_distinct") is True


def remember(store: str, project: str, *, nulls_are_distinct: bool) -> None:
    """Keeps what a probe has found.

    Raises:
        StorageError: the store cannot be written to.
    """
    known.remember(store, _KIND, project, {"nulls_are_distinct": nulls_are_distinct})
