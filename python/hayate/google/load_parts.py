"""A frame as Parquet objects in a bucket: encoded and uploaded by many threads, in bounded memory.

Each thread takes a range of rows, writes one row group after the other into memory, and uploads
what it has when the next group might not fit: it holds one object and one group.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hayate import _core
from hayate.errors import InputError, Where
from hayate.google.engine import Progress, Storage
from hayate.google.load_types import Column, check_values, convert, parquet_schema
from hayate.manifest import Manifest

SUFFIX = ".parquet"
#: Bytes of an object, at most, unless one row alone is larger.
OBJECT_BYTES = 32 << 20
#: Bytes of values in a row group. BigQuery reads groups of 16 MiB and more at its best.
GROUP_BYTES = 16 << 20
#: Bytes of values that a thread takes at once; less where there would be too few for all threads.
_RANGE_BYTES = 64 << 20
_LEAST_RANGE_BYTES = 4 << 20
#: With many columns BigQuery wants smaller pages than usual.
_MANY_COLUMNS = 100
_PAGE_BYTES = 1 << 20
_SMALL_PAGE_BYTES = 128 << 10
_BETWEEN_LOOKS_S = 0.25


@dataclass(frozen=True)
class Uploaded:
    """An object with rows of the frame."""

    uri: str
    rows: int
    bytes: int


class FrameRows:
    """A committed frame, whose rows are read by ranges.

    Args:
        directory: of the frame.
        names: the columns that are read.
    """

    def __init__(self, directory: str, names: Sequence[str]) -> None:
        manifest = Manifest(directory)
        self._reader = _core.FrameReader.open(directory)
        self._names = list(names)
        self._parts = manifest.parts
        self.directory = directory
        self.rows = manifest.rows

    def read(self, start: int, stop: int) -> pa.Table:
        """Rows [start, stop), over the mapped files."""
        rows = self._reader.read_rows(start, stop)
        return pa.RecordBatchReader.from_stream(rows).read_all().select(self._names)

    def ranges(self, threads: int) -> list[tuple[int, int]]:
        """Rows [start, stop) of about as many bytes each, all together every row."""
        total = sum(int(part["bytes"]) for part in self._parts)
        goal = min(_RANGE_BYTES, max(_LEAST_RANGE_BYTES, total // (2 * threads)))
        found: list[tuple[int, int]] = []
        start = end = taken = 0
        for part in self._parts:
            rows, size = int(part["rows"]), int(part["bytes"])
            pieces = max(1, min(rows, -(-size // goal)))
            for piece in range(pieces):
                if taken and taken + size // pieces > goal:
                    found.append((start, end))
                    start, taken = end, 0
                end += rows * (piece + 1) // pieces - rows * piece // pieces
                taken += size // pieces
        if end > start:
            found.append((start, end))
        return found


def check_frame(
    rows: FrameRows,
    columns: Sequence[Column],
    target: str,
    threads: int,
    beside: Callable[[], None] = lambda: None,
) -> None:
    """Looks at every value that might not fit.

    Raises:
        UsageError: one does not; the first one's row is named.
    """
    doubtful = [one for one in columns if one.is_checked or one.is_required]
    if not doubtful:
        return

    def check(start: int, stop: int) -> None:
        check_values(rows.read(start, stop), doubtful, start, target)

    _on_threads(check, rows.ranges(threads), threads, beside, threading.Event())


class Upload:
    """The writing of a frame's objects.

    Args:
        rows: the frame's.
        columns: as they are written.
        storage: the connection; used by all threads.
        prefix: gs://bucket/…/part-, of a folder that nothing else uses.
        threads: at most.
        show: is told how far it is, in this thread.
        beside: is called now and then, in this thread; keeps a lease alive.
    """

    def __init__(
        self,
        rows: FrameRows,
        columns: Sequence[Column],
        storage: Storage,
        prefix: str,
        threads: int,
        show: Progress,
        beside: Callable[[], None],
    ) -> None:
        self._rows = rows
        self._columns = columns
        self._storage = storage
        self._prefix = prefix
        self._threads = threads
        self._show = show
        self._beside = beside
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._uploaded: list[Uploaded] = []

    def run(self) -> list[Uploaded]:
        """Writes all rows; a frame without rows is one object without rows.

        Raises:
            HayateError: the bucket cannot be written, or rows are missing.
        """
        ranges = self._rows.ranges(self._threads) or [(0, 0)]
        try:
            _on_threads(
                self._write, ranges, self._threads, self._look, self._stopped, self._storage.stop
            )
        finally:
            self._storage.resume()
        written = sum(one.rows for one in self._uploaded)
        if written != self._rows.rows:
            raise InputError(
                f"{written:,} rows were encoded, and the frame has {self._rows.rows:,}",
                Where(object=self._rows.directory),
                "Run it again; the frame may be damaged: hayate verify says so.",
            )
        return sorted(self._uploaded, key=lambda one: one.uri)

    def _look(self) -> None:
        with self._lock:
            rows = sum(one.rows for one in self._uploaded)
            size = sum(one.bytes for one in self._uploaded)
            count = len(self._uploaded)
        self._show(rows, size, 0, count, count)
        self._beside()

    def _write(self, start: int, stop: int) -> None:
        """Encodes a range of rows into objects, and uploads them."""
        encoder = _Encoder(parquet_schema(self._columns))
        for piece in _pieces(self._rows.read(start, stop)):
            if self._stopped.is_set():
                raise _StoppedError
            if encoder.is_full:
                self._put(encoder)
                encoder = _Encoder(parquet_schema(self._columns))
            encoder.write(convert(piece, self._columns))
        self._put(encoder)

    def _put(self, encoder: _Encoder) -> None:
        data, rows = encoder.finish()
        with self._lock:
            uri = f"{self._prefix}{next(self._numbers):012d}{SUFFIX}"
        written: Mapping[str, Any] = self._storage.write(uri, data)
        if int(written["size_bytes"]) != len(data):
            raise InputError(
                f"the object has {int(written['size_bytes']):,} bytes, and {len(data):,} were "
                "written",
                Where(object=uri),
                "Run it again; something else writes to the folder.",
            )
        with self._lock:
            self._uploaded.append(Uploaded(uri, rows, len(data)))


class _Encoder:
    """One Parquet file in memory."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._sink = pa.BufferOutputStream()
        is_wide = len(schema) > _MANY_COLUMNS
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            # The types are said by the job's schema; what Arrow would add is of no use there.
            store_schema=False,
            data_page_size=_SMALL_PAGE_BYTES if is_wide else _PAGE_BYTES,
        )
        self._rows = 0

    @property
    def is_full(self) -> bool:
        """Whether another row group might be too much."""
        return self._rows > 0 and self._sink.tell() + GROUP_BYTES > OBJECT_BYTES

    def write(self, table: pa.Table) -> None:
        """Adds a row group."""
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._rows += table.num_rows

    def finish(self) -> tuple[bytes, int]:
        """The file, and the rows that it says it has."""
        self._writer.close()
        buffer = self._sink.getvalue()
        rows = pq.read_metadata(pa.BufferReader(buffer)).num_rows
        if rows != self._rows:
            raise InputError(
                f"a Parquet file of {self._rows:,} rows says that it has {rows:,}",
                fix="Run it again, and report this if it stays so.",
            )
        return buffer.to_pybytes(), rows


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    """The rows in slices that make a row group each."""
    waiting = [table]
    while waiting:
        piece = waiting.pop()
        if piece.num_rows > 1 and _plain_bytes(piece) > GROUP_BYTES:
            half = piece.num_rows // 2
            waiting += [piece.slice(half), piece.slice(0, half)]
        elif piece.num_rows > 0:
            yield piece


def _plain_bytes(table: pa.Table) -> int:
    """The bytes of the values, those of dictionaries once a row."""
    return sum(
        _dictionary_bytes(chunk) if pa.types.is_dictionary(chunk.type) else chunk.nbytes
        for column in table.columns
        for chunk in column.chunks
    )


def _dictionary_bytes(array: pa.DictionaryArray) -> int:
    kind = array.type.value_type
    if not (
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    ):
        return int(array.indices.nbytes) * 8
    lengths = pc.binary_length(array.dictionary).take(array.indices)
    return int(pc.sum(lengths).as_py() or 0) + 4 * len(array)


class _StoppedError(Exception):
    """Another thread has failed, or the caller wants no more."""


def _on_threads(
    work: Callable[[int, int], None],
    ranges: Sequence[tuple[int, int]],
    threads: int,
    look: Callable[[], None],
    stopped: threading.Event,
    interrupt: Callable[[], None] = lambda: None,
) -> None:
    """Does the work for each range; raises the error of the first range that has one.

    Nothing runs any more when this returns or raises.

    Args:
        look: called now and then, in this thread.
        stopped: set once there is no use in going on.
        interrupt: ends what is under way, after ^C.
    """

    def one(start: int, stop: int) -> None:
        if stopped.is_set():
            raise _StoppedError
        try:
            work(start, stop)
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="hayate-load") as pool:
        futures: list[Future[None]] = [pool.submit(one, *rows) for rows in ranges]
        waiting = set(futures)
        try:
            while waiting and not stopped.is_set():
                look()
                _, waiting = wait(waiting, timeout=_BETWEEN_LOOKS_S, return_when=FIRST_EXCEPTION)
        except BaseException:
            interrupt()
            raise
        finally:
            # Also after ^C: what is under way has to end before the folder is emptied.
            stopped.set()
            for future in futures:
                future.cancel()
    for future in futures:
        error = None if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, _StoppedError):
            try:
                raise error
            finally:
                # They hold each other: the error its frames, and this one the error.
                del error, future
                futures.clear()
    look()
