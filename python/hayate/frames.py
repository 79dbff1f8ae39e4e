"""Frames: Arrow data in files, opened without reading it, and hy.save / hy.load."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from hayate import _core
from hayate.codecs import load_values
from hayate.convert import (
    ArrowStream,
    As,
    as_form,
    check_as,
    is_data_frame,
    one_chunk_per_column,
    to_table,
)
from hayate.errors import InputError, StorageError, UsageError, Where
from hayate.manifest import Manifest
from hayate.mapping import MappedFile
from hayate.temporary import TemporaryFolder

_FILE_SUFFIXES = (".arrow", ".feather")
_OUTPUT_SUFFIXES = (".parquet", ".csv", ".csv.gz")


class Frame:
    """A table in files: nothing is read until it is asked for.

    Takes the path of a frame's directory or of one Arrow IPC file. Anything that understands the
    Arrow C stream interface (pyarrow, Polars, DuckDB, pandas) reads it as it is.

    Attributes:
        path: the directory or file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        whole_file: str | None = None,
        folder: TemporaryFolder | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self._partition: int | None = None
        self._range: tuple[int, int] | None = None
        self._whole_file = whole_file
        self._folder = folder  # lives as long as this and what is made of it
        self._manifest = Manifest(self.path) if os.path.isdir(self.path) else None
        if self._manifest is not None and not self._manifest.is_table:
            raise UsageError(
                "this frame holds values, not a table",
                Where(object=self.path),
                "Read it by hy.load(path).",
            )
        if self._manifest is None:
            self._file_schema = MappedFile(self.path).record_batches().schema

    def partition(self, number: int) -> Frame:
        """The rows of one partition of a shuffled frame."""
        part = self._copy()
        part._partition = number
        return part

    def slice(self, start: int, stop: int) -> Frame:
        """Rows [start, stop) in frame order."""
        part = self._copy()
        part._range = (start, stop)
        return part

    def _copy(self) -> Frame:
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    @property
    def is_whole_directory(self) -> bool:
        """Whether this is all of a frame's directory, neither a file nor a part of one."""
        return self._manifest is not None and self._partition is None and self._range is None

    @property
    def quarantine(self) -> Frame | None:
        """The rows of CSV that ``on_error="quarantine"`` put aside while this frame was made: with
        the columns object, row, line, column, reason and text. None where nothing is put aside."""
        path = os.path.join(self.path, "quarantine")
        if not self.is_whole_directory or not os.path.exists(os.path.join(path, "frame.json")):
            return None
        return Frame(path, folder=self._folder)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns; the metadata holds pandas' own, if any."""
        if self._manifest is not None and self._manifest.schema is not None:
            return self._manifest.schema
        return self._file_schema

    @property
    def columns(self) -> list[str]:
        return list(self.schema.names)

    @property
    def rows(self) -> int:
        if self._range is not None:
            return self._range[1] - self._range[0]
        if self._manifest is not None and self._partition is None:
            return self._manifest.rows
        return sum(batch.num_rows for batch in self._mapped()[0])

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return f"<hy.Frame {self.path}: {self.rows:,} rows, {len(self.schema)} columns>"

    def to_pandas(self, columns: Sequence[str] | None = None) -> Any:
        """A pandas data frame that may be written to; the files stay as they are."""
        table, mappings = self._mapped_table(columns)
        return as_form(table, "pandas", mappings, sealed=self._manifest is not None)

    def to_polars(self, columns: Sequence[str] | None = None) -> Any:
        """A Polars data frame; the buffers are the mapped files where Polars can use them."""
        return as_form(self.stored(columns), "polars")

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """A pyarrow table over the mapped files, without a copy."""
        return as_form(self.stored(columns), "arrow")

    def stored(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Every column as it is stored, those of pandas' index too; no copy is made."""
        if self._manifest is None:
            table, _ = self._mapped_table(columns)
            return table
        reader = _core.FrameReader.open(self.path)
        if self._partition is not None:
            rows = reader.read_partition(self._partition)
        elif self._range is not None:
            rows = reader.read_rows(*self._range)
        else:
            rows = reader.read_all()
        table = pa.RecordBatchReader.from_stream(rows).read_all()
        return table if columns is None else table.select(self._selected(columns))

    def to(self, as_: As, columns: Sequence[str] | None = None) -> Any:
        """The rows in the form that `as_` names."""
        if as_ == "pandas":
            return self.to_pandas(columns)
        if as_ == "polars":
            return self.to_polars(columns)
        if as_ == "arrow":
            return self.to_arrow(columns)
        return self

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.stored().__arrow_c_stream__(requested_schema)

    def _selected(self, columns: Sequence[str]) -> list[str]:
        missing = [name for name in columns if name not in self.schema.names]
        if missing:
            raise UsageError(
                f'there is no column "{missing[0]}"',
                Where(object=self.path, column=missing[0]),
                f"The columns are {', '.join(self.schema.names)}.",
            )
        return list(columns)

    def _mapped_table(self, columns: Sequence[str] | None) -> tuple[pa.Table, list[MappedFile]]:
        batches, mappings = self._mapped()
        table = pa.Table.from_batches(batches, schema=batches[0].schema if batches else self.schema)
        if columns is not None:
            names = self._selected(columns)
            names += [name for name in _index_columns(self.schema) if name not in names]
            table = table.select(names)
        return table, mappings

    def _mapped(self) -> tuple[list[pa.RecordBatch], list[MappedFile]]:
        """The batches of the selection, each over a private mapping where it can be."""
        if self._manifest is None:
            mapping = MappedFile(self.path)
            return _sliced(_all_batches(mapping), self._range), [mapping]
        if self._partition is None and (whole := self._whole_file or _core.fresh_whole(self.path)):
            mapping = MappedFile(whole)
            batches = _all_batches(mapping)
            # Its texts are large ones; everything else is as in the frame.
            if batches and _same_types(batches[0].schema, _with_large_texts(self.schema)):
                schema = batches[0].schema.with_metadata(self.schema.metadata)
                batches = [_with_schema(batch, schema) for batch in batches]
                return _sliced(batches, self._range), [mapping]
        return self._mapped_parts(self._manifest)

    def _mapped_parts(self, manifest: Manifest) -> tuple[list[pa.RecordBatch], list[MappedFile]]:
        batches: list[pa.RecordBatch] = []
        mappings: list[MappedFile] = []
        reader: Any = None
        first_row = 0
        for at, part in enumerate(manifest.parts):
            inside = _overlap(self._range, first_row, part["rows"])
            first_row += part["rows"]
            if inside is None:
                continue
            mapping = MappedFile(manifest.part_path(part))
            file = mapping.record_batches()
            if not _same_types(file.schema, self.schema):
                # The part has another type or order of columns than all parts together.
                reader = reader or _core.FrameReader.open(self.path)
                rows = (
                    reader.read_part(at)
                    if self._partition is None
                    else reader.read_batch(at, self._partition)
                )
                found = pa.RecordBatchReader.from_stream(rows).read_all().to_batches()
            elif self._partition is not None:
                found = [file.get_batch(self._partition)]
            else:
                found = _all_batches(mapping)
            mappings.append(mapping)
            batches += [_with_schema(batch, self.schema) for batch in _sliced(found, inside)]
        return batches, mappings


def _all_batches(mapping: MappedFile) -> list[pa.RecordBatch]:
    file = mapping.record_batches()
    try:
        return [file.get_batch(at) for at in range(file.num_record_batches)]
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"the file is damaged: {error}", Where(object=mapping.path), "Write it again."
        ) from error


def _overlap(wanted: tuple[int, int] | None, first: int, rows: int) -> tuple[int, int] | None:
    """Which rows of a part (that starts at row `first`) are wanted; None if there are none."""
    if wanted is None:
        return (0, rows)
    start, stop = max(wanted[0] - first, 0), min(wanted[1] - first, rows)
    return (start, stop) if start < stop else None


def _sliced(batches: list[pa.RecordBatch], wanted: tuple[int, int] | None) -> list[pa.RecordBatch]:
    if wanted is None:
        return batches
    found, first = [], 0
    for batch in batches:
        inside = _overlap(wanted, first, batch.num_rows)
        first += batch.num_rows
        if inside is not None:
            found.append(batch.slice(inside[0], inside[1] - inside[0]))
    return found


def _same_types(one: pa.Schema, other: pa.Schema) -> bool:
    return bool(one.names == other.names and one.types == other.types)


def _with_large_texts(schema: pa.Schema) -> pa.Schema:
    large = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
    return pa.schema([field.with_type(large.get(field.type, field.type)) for field in schema])


def _with_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _index_columns(schema: pa.Schema) -> list[str]:
    described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    names = [name for name in described.get("index_columns", ()) if isinstance(name, str)]
    return [name for name in names if name in schema.names]


def write_table(table: ArrowStream, directory: str, number: int, **extra: Any) -> dict[str, Any]:
    """Writes a table as one part of a frame; returns its sidecar."""
    groups = extra.pop("groups", ())
    return json.loads(  # type: ignore[no-any-return]
        _core.write_part(directory, number, table, groups, json.dumps(extra))
    )


def save(data: Any, path: str | os.PathLike[str]) -> None:
    """Writes a data frame as one file, complete or not at all.

    Args:
        data: a pandas or Polars data frame, a pyarrow table, a hy.Frame, or anything with
            ``__arrow_c_stream__``.
        path: ends in .arrow or .feather (one Arrow IPC file, which hy.load maps without reading
            it), .parquet, .csv or .csv.gz. The folder must exist.

    Raises:
        UsageError: the data is no data frame, a column cannot be stored, or the extension is none
            of these.
        StorageError: the disk is full or the folder cannot be written to.
    """
    target = os.path.abspath(os.fspath(path))
    if not target.endswith(_FILE_SUFFIXES + _OUTPUT_SUFFIXES):
        raise UsageError(
            "hy.save chooses the format by the extension, and does not know this one",
            Where(object=target),
            f"Use {', '.join(_FILE_SUFFIXES + _OUTPUT_SUFFIXES)}.",
        )
    if not is_data_frame(data):
        raise UsageError(
            f"hy.save stores data frames, not {type(data).__name__}",
            Where(object=target),
            "Give it a pandas or Polars data frame or a pyarrow table; a Series by .to_frame().",
        )
    table = to_table(data)
    try:
        directory = tempfile.mkdtemp(
            prefix=f".{os.path.basename(target)}.", suffix=".tmp", dir=os.path.dirname(target)
        )
    except OSError as error:
        raise StorageError(
            f"the folder cannot be written to: {error.strerror}",
            Where(object=os.path.dirname(target)),
            "Make the folder, or choose another one.",
        ) from error
    try:
        if target.endswith(_FILE_SUFFIXES):
            part = write_table(one_chunk_per_column(table), directory, 0)
            _publish(os.path.join(directory, part["file"]), target)
        else:
            write_table(table, directory, 0)
            _core.commit(directory, os.path.basename(target), 1)
            _core.write_frame(directory, target)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _publish(source: str, target: str) -> None:
    """Gives a finished file its name: durable, with the permissions of a newly made file."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(source, target)
        folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(
            f"the file cannot be written: {error.strerror}",
            Where(object=target),
            "Check that the disk has space and that the path may be written to.",
        ) from error


def load(
    path: str | os.PathLike[str], *, as_: As = "pandas", columns: Sequence[str] | None = None
) -> Any:
    """Opens what hy.save wrote, any Arrow IPC file, or a frame of a stage.

    A file of hy.save is mapped, not read: a pandas frame of it costs some 0.3 ms a column, whatever
    its length, and may be written to without changing the file.

    Args:
        path: an Arrow IPC file, or a frame's directory.
        as_: "pandas", "polars", "arrow" (a pyarrow.Table) or "frame" (a hy.Frame).
        columns: only these, in this order; an index that was saved comes along in pandas.

    Returns:
        The data; for the directory of a stage that returned other values, the value, or the list
        of values by partition.

    Raises:
        InputError: there is no such file, or it is not complete; names the path.
        UsageError: a column that is not there; lists those that are.
    """
    form = check_as(as_)
    source = os.fspath(path)
    if not os.path.exists(source):
        raise InputError("there is no such file", Where(object=source), "Check the path.")
    if os.path.isdir(source):
        manifest = Manifest(source)
        if not manifest.is_table:
            return load_values(manifest)
    elif source.endswith(_OUTPUT_SUFFIXES):
        raise UsageError(
            "hy.load opens Arrow files and frames",
            Where(object=source),
            "Read it by hy.read_csv or hy.read_parquet.",
        )
    frame = Frame(source)
    if form == "frame" and columns is not None:
        raise UsageError(
            'columns= cannot be combined with as_="frame"',
            fix="Select them when you read the frame.",
        )
    return frame.to(form, columns)
