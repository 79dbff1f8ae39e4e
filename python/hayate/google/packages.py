"""Google's packages, imported when they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hayate.errors import UsageError


def package(name: str) -> Any:
    """A module of Google's packages.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"BigQuery needs Google's packages, and {error.name} is not installed",
            fix="pip install 'hayate[bigquery]'",
        ) from None
