"""hy.read_csv and hy.read_parquet: files into data frames, on every core, in this process."""

from __future__ import annotations

import json
import os
import warnings as python_warnings
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from hayate import _core
from hayate.convert import As, as_form, check_as
from hayate.frames import Frame
from hayate.registry import collecting
from hayate.sources import PathLike, Source, csv, parquet
from hayate.temporary import TemporaryFolder


def read_csv(
    paths: PathLike | Iterable[PathLike],
    *,
    schema: Mapping[str, str] | None = None,
    columns: Iterable[str] | None = None,
    null_values: str | Iterable[str] | None = None,
    true_values: Iterable[str] | None = None,
    false_values: Iterable[str] | None = None,
    delimiter: str = ",",
    quote_char: str = '"',
    header: bool = True,
    column_names: Iterable[str] | None = None,
    allow_empty: bool = False,
    as_: As | None = None,
    threads: int | None = None,
) -> Any:
    """Reads CSV files, plain or gzip, into one data frame: files by name, rows as in the file.

    Args:
        paths: files or globs, relative to the working directory.
        schema: type by column, in BigQuery's names ("INT64", "TIMESTAMP", …) or Arrow's. The types
            of columns left out are inferred from a sample and checked on every value; a column
            that turns out to hold something else is read again as text, with a warning that names
            both cells.
        columns: only these, in this order.
        null_values: unquoted spellings of null; by default the empty field. A quoted empty field
            is the empty string.
        true_values, false_values: spellings of booleans.
        delimiter, quote_char: one ASCII character each.
        header: whether the first record of each file names the columns.
        column_names: the names where there is no header.
        allow_empty: whether no rows at all are no error.
        as_: "pandas" (the default), "polars", "arrow" or "frame": a hy.Frame in a temporary folder
            (under HAYATE_TMP, else TMPDIR) that lives as long as it, read in bounded memory.
        threads: at most this many; by default one for each core that the process may use.

    Raises:
        InputError: a missing file, a ragged row, a value of another type than the schema's, text
            that is no UTF-8, a damaged gzip file; names file, row, line and column.
        UsageError: an argument is not of its type.
    """
    with collecting():
        source = csv(
            paths,
            schema=schema,
            columns=columns,
            null_values=null_values,
            true_values=true_values,
            false_values=false_values,
            delimiter=delimiter,
            quote_char=quote_char,
            header=header,
            column_names=column_names,
            allow_empty=allow_empty,
        )
    return _read(source, as_, threads)


def read_parquet(
    paths: PathLike | Iterable[PathLike],
    *,
    columns: Iterable[str] | None = None,
    allow_empty: bool = False,
    as_: As | None = None,
    threads: int | None = None,
) -> Any:
    """Reads Parquet files into one data frame; the arguments are those of `read_csv`.

    Raises:
        InputError: a missing or damaged file, or files whose columns do not go together.
        UsageError: an argument is not of its type.
    """
    with collecting():
        source = parquet(paths, columns=columns, allow_empty=allow_empty)
    return _read(source, as_, threads)


def _read(source: Source, as_: str | None, threads: int | None) -> Any:
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
    if form == "frame":
        folder = TemporaryFolder("hayate-frame-")
        directory = os.path.join(folder.path, "frame")
        warnings = _core.read_files_into(directory, *arguments)
        result = Frame(directory, folder=folder)
    else:
        rows, warnings = _core.read_files(*arguments)
        result = as_form(pa.RecordBatchReader.from_stream(rows).read_all(), form)
    for warning in warnings:
        python_warnings.warn(warning, stacklevel=3)
    return result
