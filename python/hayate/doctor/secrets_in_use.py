"""Takes the credentials that are in use here out of every text: by what they are, not only by what
credentials look like."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from hayate.google.redaction import without_secrets

_REMOVED = "[removed]"
#: Members of a file of credentials whose values nobody may see.
_SECRET_MEMBERS = frozenset(
    {"private_key", "private_key_id", "client_secret", "refresh_token", "access_token", "id_token"}
)
#: Variables that hold a credential themselves.
_SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "CLOUDSDK_AUTH_ACCESS_TOKEN",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "HAYATE_STORE_KEY",
)
#: Shorter values would be found in words that are none; credentials are never so short.
_MIN_LENGTH = 8
_MAX_FILE_BYTES = 1 << 20


class SecretsInUse:
    """The values that must not be shown; more may be added at any time, from any thread."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        for value in values:
            self.add(value)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> SecretsInUse:
        """Those of the variables, and of the files of credentials that they name."""
        values = os.environ if environment is None else environment
        found = cls(values[name] for name in _SECRET_VARIABLES if values.get(name))
        home = values.get("HOME") or os.path.expanduser("~")
        folder = values.get("CLOUDSDK_CONFIG") or os.path.join(home, ".config", "gcloud")
        found.add_file(os.path.join(folder, "application_default_credentials.json"))
        if path := values.get("GOOGLE_APPLICATION_CREDENTIALS"):
            found.add_file(path)
        if path := values.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            found.add_text_file(path)
        return found

    def add(self, value: str) -> None:
        """One more value."""
        # A text of several lines, as a key in PEM, may be cut at their ends.
        with self._lock:
            for one in (value, *value.splitlines(), *value.split("\\n")):
                if len(one.strip()) >= _MIN_LENGTH:
                    self._values.add(one.strip())

    def add_file(self, path: str) -> None:
        """The secret members of a file of credentials; one that cannot be read has none."""
        with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
            self._add_members(json.loads(file.read(_MAX_FILE_BYTES)))

    def add_text_file(self, path: str) -> None:
        """All of a file that is a token."""
        with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
            self.add(file.read(_MAX_FILE_BYTES))

    def _add_members(self, value: Any) -> None:
        if isinstance(value, dict):
            for name, member in value.items():
                if name in _SECRET_MEMBERS and isinstance(member, str):
                    self.add(member)
                else:
                    self._add_members(member)
        elif isinstance(value, list):
            for one in value:
                self._add_members(one)

    def remove_from(self, text: str) -> str:
        """The text without them."""
        with self._lock:
            # The longest first: a part of it may be a value as well.
            values = sorted(self._values, key=len, reverse=True)
        for value in values:
            text = text.replace(value, _REMOVED)
        return without_secrets(text)
