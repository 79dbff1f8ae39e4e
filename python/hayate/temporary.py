"""Folders for data that nobody has named: removed when they are no longer needed."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref


class TemporaryFolder:
    """A folder that lives as long as this object, at the longest until the interpreter ends.

    It lies under HAYATE_TMP, else TMPDIR, else /tmp. What was mapped from its files stays readable.

    Attributes:
        path: of the folder.
    """

    def __init__(self, prefix: str) -> None:
        self.path = tempfile.mkdtemp(prefix=prefix, dir=os.environ.get("HAYATE_TMP"))
        self._removal = weakref.finalize(self, _remove, self.path, os.getpid())

    def remove(self) -> None:
        self._removal()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """As its path: a worker that gets a frame in a pickle does not own the folder."""
        return str, (self.path,)


def _remove(path: str, creator: int) -> None:
    # A process that was forked from the creator leaves the folder to it.
    if os.getpid() == creator:
        shutil.rmtree(path, ignore_errors=True)
