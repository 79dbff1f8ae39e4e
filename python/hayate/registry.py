"""What a job file declares, collected while the file is imported."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Registry:
    """Declarations in the order in which they were made."""

    def __init__(self) -> None:
        self._declared: list[Any] = []

    def add(self, declared: object) -> None:
        self._declared.append(declared)

    def of(self, kind: type[T]) -> list[T]:
        """The declarations of one class."""
        return [one for one in self._declared if isinstance(one, kind)]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._declared)


_active: contextvars.ContextVar[Registry | None] = contextvars.ContextVar(
    "hayate_registry", default=None
)


@contextlib.contextmanager
def collecting() -> Iterator[Registry]:
    """Within it, declarations are collected; outside, they only make their objects."""
    registry = Registry()
    token = _active.set(registry)
    try:
        yield registry
    finally:
        _active.reset(token)


def register(declared: T) -> T:
    """Adds a declaration to the job that is being imported, if one is, and gives it back."""
    registry = _active.get()
    if registry is not None:
        registry.add(declared)
    return declared
