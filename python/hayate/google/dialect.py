"""What a probe has found out of how BigQuery writes CSV for a project, kept in the store.

`hayate doctor` exports a few awkward values and looks at the bytes. Until it has, nothing is taken
for granted, and texts go through a SELECT that keeps NULL and the empty string apart.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from hayate.digest import digest_text
from hayate.errors import StorageError, Where
from hayate.google.reuse import SEMANTICS


def nulls_are_distinct(store: str, project: str) -> bool:
    """Whether this project's CSV is known to have the empty string in quotes and NULL without."""
    try:
        with open(_path(store, project), encoding="utf-8") as file:
            found: Any = json.load(file)
    except (OSError, ValueError):
        return False
    is_same = (
        isinstance(found, dict)
        and found.get("project") == project
        # What an older version has seen may not be what this one looks for.
        and found.get("semantics") == SEMANTICS
    )
    return is_same and found.get("nulls_are_distinct") is True


def remember(store: str, project: str, *, nulls_are_distinct: bool) -> None:
    """Keeps what a probe has found.

    Raises:
        StorageError: the store cannot be written to.
    """
    path = _path(store, project)
    content = {
        "project": project,
        "semantics": SEMANTICS,
        "nulls_are_distinct": nulls_are_distinct,
    }
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(
            f"the store cannot be written to: {error.strerror}",
            Where(object=path),
            "Make room, or give store= a folder that may be written to.",
        ) from error


def _path(store: str, project: str) -> str:
    # A digest: names of projects may have colons and points.
    return os.path.join(store, "dialects", f"{digest_text(project)}.json")
