"""hy.iter_csv: CSV files as a stream of record batches, in bounded memory."""

from __future__ import annotations

import json
import os
import warnings as python_warnings
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Unpack

import pyarrow as pa

from hayate import _core
from hayate.csv_options import CsvOptions
from hayate.errors import UsageError
from hayate.registry import collecting
from hayate.sources import PathLike, csv


class CsvStream:
    """Record batches of CSV files, in order: files by name, rows as in the file.

    Can be gone through once: by iteration, or by anything that takes the Arrow C stream interface
    (Polars, DuckDB, pyarrow). Threads read and parse ahead, some 32 MiB of text each at most, from
    the first batch on; `close`, the end of a ``with`` block, and the last reference end them.

    Attributes:
        schema: the `pyarrow.Schema` of every batch.
    """

    def __init__(self, stream: _core.RecordStream, *, may_warn: bool) -> None:
        self._stream = stream
        self._may_warn = may_warn
        self._taken = False
        self.schema: pa.Schema = pa.schema(stream)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Raises InputError where the next row cannot be read, after the rows before it."""
        self._take()
        return self._batches()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with self:
            while (rows := self._stream.read_next()) is not None:
                yield from pa.RecordBatchReader.from_stream(rows)
            for warning in self.warnings:
                python_warnings.warn(warning, stacklevel=2)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        if self._may_warn:
            # Whoever takes the rows may keep nothing to ask for warnings: they come at the end.
            rows = pa.RecordBatchReader.from_batches(self.schema, iter(self))
            return rows.__arrow_c_stream__(requested_schema)
        self._take()
        return self._stream.__arrow_c_stream__(requested_schema)

    def _take(self) -> None:
        if self._taken:
            raise UsageError(
                "the rows of this stream have been asked for already",
                fix="Call hy.iter_csv again, or keep them by hy.read_csv.",
            )
        self._taken = True

    @property
    def put_aside(self) -> pa.Table:
        """The rows that ``on_error="quarantine"`` has put aside so far, with the columns object,
        row, line, column, reason and text."""
        return pa.RecordBatchReader.from_stream(self._stream.put_aside()).read_all()

    @property
    def warnings(self) -> list[str]:
        """What could not be read so far, counted, and the dialect that was found."""
        return self._stream.warnings()

    def close(self) -> None:
        """Ends the reading; what has not been taken is lost."""
        self._stream.close()

    def __enter__(self) -> CsvStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def iter_csv(
    paths: PathLike | Iterable[PathLike],
    *,
    allow_empty: bool = False,
    threads: int | None = None,
    **options: Unpack[CsvOptions],
) -> CsvStream:
    """Reads CSV files, plain or compressed, a record batch of some thousand rows at a time.

    The arguments are those of `read_csv`. The types of columns that `schema` leaves out are fixed
    by the start of up to eight files: a later value that does not fit is an error, as no row can
    be taken back; name the column in `schema`, or use `read_csv`, which widens.

    Raises:
        InputError: what `read_csv` raises, when the stream comes to it.
        UsageError: an argument is not of its type, or the stream is used a second time.
    """
    with collecting():
        source = csv(paths, allow_empty=allow_empty, **options)
    return CsvStream(
        _core.RecordStream(
            list(source.paths),
            os.getcwd(),
            json.dumps(source.options),
            threads or 0,
            source.allow_empty,
        ),
        may_warn="detect" in source.options or "on_error" in source.options,
    )
