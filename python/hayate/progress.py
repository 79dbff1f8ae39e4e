"""How far a long read is, on the terminal."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """One line on a terminal that says how far a read is, from its second second on; gone at the
    end of the ``with`` block.

    Args:
        wanted: None: only where stderr is a terminal.

    Attributes:
        FIRST_AFTER, BETWEEN: seconds before the first word, and from one to the next.
    """

    FIRST_AFTER = 1.0
    BETWEEN = 0.25

    def __init__(self, wanted: bool | None, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._wanted = self._stream.isatty() if wanted is None else wanted
        self._begun = time.monotonic()
        self._shown = 0.0
        self._width = 0

    def __call__(
        self, rows: int, bytes_read: int, bytes_total: int, files: int, files_total: int
    ) -> None:
        """Called some times a second by the reading."""
        seconds = time.monotonic() - self._begun
        if not self._wanted or seconds < self.FIRST_AFTER or seconds < self._shown + self.BETWEEN:
            return
        self._shown = seconds
        percent = f"{100 * bytes_read / bytes_total:.0f} % of " if bytes_total else ""
        total = f"{bytes_total / 1e9:.2f} GB" if bytes_total else f"{bytes_read / 1e9:.2f} GB"
        line = (
            f"hayate: reading: {percent}{total}, {files:,} of {files_total:,} files, "
            f"{rows:,} rows, {seconds:.0f} s"
        )
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._width > 0:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
