"""hy.read_csv and hy.read_parquet: files into data frames, on every core, in this process."""

from __future__ import annotations

import json
import os
import warnings as python_warnings
from collections.abc import Iterable
from typing import Any, Unpack

import pyarrow as pa

from hayate import _core
from hayate.convert import As, as_form, check_as
from hayate.csv_options import CsvOptions
from hayate.frames import Frame
from hayate.progress import Progress
from hayate.registry import collecting
from hayate.sources import PathLike, Source, csv, parquet
from hayate.temporary import TemporaryFolder


def read_csv(
    paths: PathLike | Iterable[PathLike],
    *,
    allow_empty: bool = False,
    as_: As | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    **options: Unpack[CsvOptions],
) -> Any:
    """Reads CSV files, plain or compressed by gzip, zstd or bzip2, into one data frame: files by
    name, rows as in the file.

    Args:
        paths: files or globs, relative to the working directory.
        allow_empty: whether no rows at all are no error.
        as_: "pandas" (the default), "polars", "arrow" or "frame": a hy.Frame in a temporary folder
            (under HAYATE_TMP, else TMPDIR) that lives as long as it, read in bounded memory.
        threads: at most this many; by default one for each core that the process may use.
        progress: whether to say on stderr how far it is, if it takes long; by default where that
            is a terminal.
        options: how the files are written and read, all of them in `hayate.csv_options.CsvOptions`:
            `schema`, `columns`, `null_values`, `true_values`, `false_values`, `delimiter`,
            `quote_char`, `escape_char`, `skip_initial_space`, `comment_prefix`, `skip_rows`,
            `header`, `column_names`, `dialect`, `encoding`, `encoding_errors`, `decimal_point`,
            `thousands`, `on_error`.

    Returns:
        The rows. With ``on_error="quarantine"`` a pair: the rows, and those that were put aside,
        with the columns object, row, line, column, reason and text.

    Raises:
        InputError: a missing file, a ragged row, a value of another type than the schema's, text
            that is not of the encoding, a damaged file; names file, row, line and column.
        UsageError: an argument is not of its type.
    """
    with collecting():
        source = csv(paths, allow_empty=allow_empty, **options)
    return _read(source, as_, threads, progress)


def read_parquet(
    paths: PathLike | Iterable[PathLike],
    *,
    columns: Iterable[str] | None = None,
    allow_empty: bool = False,
    as_: As | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Any:
    """Reads Parquet files into one data frame; the arguments are those of `read_csv`.

    Raises:
        InputError: a missing or damaged file, or files whose columns do not go together.
        UsageError: an argument is not of its type.
    """
    with collecting():
        source = parquet(paths, columns=columns, allow_empty=allow_empty)
    return _read(source, as_, threads, progress)


def _read(source: Source, as_: str | None, threads: int | None, progress: bool | None) -> Any:
    form = check_as(as_)
    arguments = (
        list(source.paths),
        os.getcwd(),
        source.format,
        json.dumps(source.options),
        threads or 0,
        source.allow_empty,
    )
    result: Any
    aside: Any = None
    with Progress(progress) as show:
        if form == "frame":
            folder = TemporaryFolder("hayate-frame-")
            directory = os.path.join(folder.path, "frame")
            warnings = _core.read_files_into(directory, *arguments, show)
            result = Frame(directory, folder=folder)
            aside = result.quarantine
        else:
            rows, put_aside, warnings = _core.read_files(*arguments, show)
            result = as_form(pa.RecordBatchReader.from_stream(rows).read_all(), form)
            if put_aside is not None:
                aside = as_form(pa.RecordBatchReader.from_stream(put_aside).read_all(), form)
    for warning in warnings:
        python_warnings.warn(warning, stacklevel=3)
    return result if aside is None else (result, aside)
