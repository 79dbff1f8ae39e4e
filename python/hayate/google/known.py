"""What the store knows of the world outside: small facts that a run has found out for the next."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from hayate.digest import digest_text
from hayate.errors import StorageError, Where
from hayate.google.reuse import SEMANTICS


def recall(store: str, kind: str, name: str) -> dict[str, Any]:
    """What is known of `name`; nothing if nobody has found out, or only an older version.

    Args:
        kind: the folder of the store that has such facts.
    """
    try:
        with open(_path(store, kind, name), encoding="utf-8") as file:
            found: Any = json.load(file)
    except (OSError, ValueError):
        return {}
    # What an older version has seen may not be what this one looks for.
    is_same = (
        isinstance(found, dict)
        and found.get("name") == name
        and found.get("semantics") == SEMANTICS
        and isinstance(found.get("facts"), dict)
    )
    return found["facts"] if is_same else {}


def remember(store: str, kind: str, name: str, facts: Mapping[str, Any]) -> None:
    """Keeps what is known of `name` from now on.

    Raises:
        StorageError: the store cannot be written to.
    """
    path = _path(store, kind, name)
    content = {"name": name, "semantics": SEMANTICS, "facts": dict(facts)}
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise StorageError(
            f"the store cannot be written to: {error.strerror}",
            Where(object=path),
            "Make room, or give store= a folder that may be written to.",
        ) from error


def _path(store: str, kind: str, name: str) -> str:
    # A digest: names may have colons, slashes and points.
    return os.path.join(store, kind, f"{digest_text(name)}.json")
