"""Where a job's rows come from: CSV and Parquet files, queries of BigQuery."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

from hayate.csv_options import CsvOptions, engine_options, texts
from hayate.errors import UsageError
from hayate.location import Location, caller
from hayate.registry import register

PathLike = str | os.PathLike[str]


@dataclass(eq=False)
class Source:
    """Files that stages read; bind it to a module variable, which gives it its name."""

    format: str
    paths: tuple[str, ...]
    options: dict[str, Any]
    allow_empty: bool
    min_rows: int
    name: str
    location: Location

    def __repr__(self) -> str:
        return f"<{self.format} source {self.name or '?'}: {', '.join(self.paths)}>"


@dataclass(eq=False)
class Query(Source):
    """The rows of a query of BigQuery.

    Attributes:
        sql: one SELECT.
        params: values of its parameters, or hy.param objects: by name, or by place.
    """

    sql: str
    params: Mapping[str, Any] | Sequence[Any]

    def __repr__(self) -> str:
        return f"<{self.format} source {self.name or '?'}: {' '.join(self.sql.split())[:60]}>"


def csv(
    paths: PathLike | Iterable[PathLike],
    *,
    allow_empty: bool = False,
    min_rows: int = 0,
    name: str = "",
    **options: Unpack[CsvOptions],
) -> Any:
    """CSV files, plain or compressed by gzip, zstd or bzip2, as a source of a job.

    Args:
        paths: files or globs; relative ones are relative to the job file; ``{day}`` and
            ``{day:%Y%m%d}`` are filled in from the parameters.
        allow_empty: whether no rows at all are no error.
        min_rows: fewer rows than this are an error.
        name: instead of the variable's name, for sources that are made in a loop.
        options: how the files are written and read: `schema`, `columns`, `delimiter`, … see
            `hayate.csv_options.CsvOptions`. Rows that ``on_error="quarantine"`` puts aside are the
            frame `quarantine` of the source's frame.

    Raises:
        UsageError: an argument is not of its type.
    """
    location = caller()
    engine = engine_options(options, location)
    return _source("csv", paths, engine, allow_empty, min_rows, name, location)


def parquet(
    paths: PathLike | Iterable[PathLike],
    *,
    columns: Iterable[str] | None = None,
    allow_empty: bool = False,
    min_rows: int = 0,
    name: str = "",
) -> Any:
    """Parquet files as a source of a job; the arguments are those of `csv`.

    Raises:
        UsageError: an argument is not of its type.
    """
    location = caller()
    options = {} if columns is None else {"columns": texts("columns", columns, location)}
    return _source("parquet", paths, options, allow_empty, min_rows, name, location)


def bigquery(
    sql: str,
    *,
    export: str | None = None,
    params: Mapping[str, Any] | Sequence[Any] | None = None,
    project: str | None = None,
    location: str | None = None,
    columns: Iterable[str] | None = None,
    max_bytes_billed: int | None = None,
    labels: Mapping[str, str] | None = None,
    format: Literal["auto", "csv", "parquet"] = "auto",
    keep_export: bool = False,
    priority: Literal["INTERACTIVE", "BATCH"] = "INTERACTIVE",
    allow_empty: bool = False,
    min_rows: int = 0,
    name: str = "",
) -> Any:
    """The rows of a query of BigQuery as a source of a job.

    Args:
        sql: one SELECT. ``@day`` is the value of `params`, or of the job's parameter ``day``.
        params: values of the SQL's parameters, or `hy.param` objects: a dict for ``@name``, a list
            for ``?``.
        allow_empty: whether no rows at all are no error.
        min_rows: fewer rows than this are an error.
        name: instead of the variable's name, for sources that are made in a loop.
        export, project, location, columns, max_bytes_billed, labels, format, keep_export, priority:
            as of `hayate.read_bigquery`.

    Raises:
        UsageError: an argument is not of its type.
    """
    location_of_call = caller()
    if not isinstance(sql, str) or not sql.strip():
        raise UsageError("hy.bigquery was given no SQL", location_of_call.where())
    by_name = isinstance(params, Mapping) and all(isinstance(one, str) for one in params)
    by_place = isinstance(params, Sequence) and not isinstance(params, str)
    if params is not None and not (by_name or by_place):
        raise UsageError(
            f"params={params!r} is neither a dict by name nor a list",
            location_of_call.where(),
            'Write params={"day": day}.',
        )
    check_min_rows(min_rows, location_of_call)
    options = {
        "export": export,
        "project": project,
        "location": location,
        "columns": None if columns is None else texts("columns", columns, location_of_call),
        "max_bytes_billed": max_bytes_billed,
        "labels": None if labels is None else dict(labels),
        "format": format,
        "keep_export": bool(keep_export),
        "priority": priority,
    }
    return register(
        Query(
            format="bigquery",
            paths=(),
            options=options,
            allow_empty=bool(allow_empty),
            min_rows=min_rows,
            name=name,
            location=location_of_call,
            sql=sql,
            params={} if params is None else params,
        )
    )


def check_min_rows(min_rows: int, location: Location) -> None:
    """Raises UsageError for what is no number of rows."""
    if type(min_rows) is not int or min_rows < 0:
        raise UsageError(
            f"min_rows={min_rows!r} is not a number of rows", location.where(), "Give 0 or more."
        )


def _source(
    format_name: str,
    paths: PathLike | Iterable[PathLike],
    options: dict[str, Any],
    allow_empty: bool,
    min_rows: int,
    name: str,
    location: Location,
) -> Source:
    several = (paths,) if isinstance(paths, (str, os.PathLike)) else tuple(paths)
    listed = tuple(os.fspath(one) if isinstance(one, (str, os.PathLike)) else "" for one in several)
    if not listed or not all(isinstance(one, str) and one for one in listed):
        raise UsageError(
            f"hy.{format_name} was given {paths!r} as paths",
            location.where(),
            "Give a path, a glob, or a list of them.",
        )
    for path in listed:
        check_local(path, location)
    check_min_rows(min_rows, location)
    return register(
        Source(format_name, listed, options, bool(allow_empty), min_rows, name, location)
    )


def check_local(path: str, location: Location) -> None:
    """Raises UsageError for a URI: this version reads and writes local files."""
    if "://" in path:
        raise UsageError(
            f'"{path}" is not a local file, and this version reads and writes local files only',
            location.where(),
            "Copy the files to a local or mounted folder and give that path.",
        )
