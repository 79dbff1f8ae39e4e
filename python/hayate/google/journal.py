"""The note in the store of what a run would leave behind if it were killed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from hayate.errors import StorageError, Where


class Journal:
    """The note in the store that a run is alive, and what it would leave; a context manager.

    A line of JSON for each state, the last whole one counts: so a kill in the middle of a write
    leaves the one before.

    Args:
        store: the folder of the store.
        run: the run's name.

    Attributes:
        is_needed: whether something is left that a later run has to remove.

    Raises:
        StorageError: the store cannot be written to.
    """

    def __init__(self, store: str, run: str) -> None:
        self.is_needed = False
        self.path = os.path.join(folder_of(store), f"{run}.json")
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self._descriptor = self._open()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _open(self) -> int:
        """The file, locked. One that another run's sweep took between the two steps, because it was
        empty, is gone: then there is another."""
        while True:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                    return descriptor
            os.close(descriptor)

    def note(self, content: Mapping[str, Any]) -> None:
        """Notes what there is to remove from now on; it is on the disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        data = json.dumps(content).encode() + b"\n"
        try:
            if os.write(self._descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.is_needed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        os.close(self._descriptor)


def _unwritable(path: str, error: OSError) -> StorageError:
    return StorageError(
        f"the store cannot be written to: {error.strerror}",
        Where(object=path),
        "Make room, or give store= a folder that may be written to.",
    )


def folder_of(store: str) -> str:
    return os.path.join(store, "exports")


@contextlib.contextmanager
def taken(path: str) -> Iterator[dict[str, Any] | None]:
    """The last state in a journal of a run that is gone; None for one that lives."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            yield _last_state(file.read())
    except BlockingIOError:
        yield None
    finally:
        os.close(descriptor)


def _last_state(data: bytes) -> dict[str, Any]:
    for line in reversed(data.splitlines()):
        with contextlib.suppress(ValueError):
            state = json.loads(line)
            if isinstance(state, dict):
                return state
    return {}
