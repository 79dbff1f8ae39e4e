"""Where a job's rows come from: CSV and Parquet files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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


def csv(
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
    min_rows: int = 0,
    name: str = "",
) -> Any:
    """CSV files, plain or gzip, as a source of a job.

    Args:
        paths: files or globs; relative ones are relative to the job file; ``{day}`` and
            ``{day:%Y%m%d}`` are filled in from the parameters.
        schema: type by column, in BigQuery's names ("INT64", "TIMESTAMP", …) or Arrow's; the types
            of columns left out are inferred.
        columns: only these, in this order.
        null_values: unquoted spellings of null; by default the empty field.
        true_values, false_values: spellings of booleans.
        delimiter, quote_char: one ASCII character each.
        header: whether the first record of each file names the columns.
        column_names: the names where there is no header.
        allow_empty: whether no rows at all are no error.
        min_rows: fewer rows than this are an error.
        name: instead of the variable's name, for sources that are made in a loop.

    Raises:
        UsageError: an argument is not of its type.
    """
    location = caller()
    if column_names is not None and header:
        raise UsageError(
            "column_names= goes with header=False only", location.where(), "Say header=False."
        )
    for label, character in (("delimiter", delimiter), ("quote_char", quote_char)):
        if not (isinstance(character, str) and len(character) == 1 and character.isascii()):
            raise UsageError(
                f"{label}={character!r} is not one ASCII character", location.where(), "Give one."
            )
    if delimiter == quote_char:
        raise UsageError(
            "delimiter and quote_char are the same", location.where(), "Give two characters."
        )
    options: dict[str, Any] = {}
    if schema is not None:
        options["schema"] = _schema(schema, location)
    for label, values in (
        ("columns", columns),
        ("null_values", [null_values] if isinstance(null_values, str) else null_values),
        ("true_values", true_values),
        ("false_values", false_values),
        ("column_names", column_names),
    ):
        if values is not None:
            options[label] = _texts(label, values, location)
    if delimiter != ",":
        options["delimiter"] = delimiter
    if quote_char != '"':
        options["quote_char"] = quote_char
    if not header:
        options["header"] = False
    return _source("csv", paths, options, allow_empty, min_rows, name, location)


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
    options = {} if columns is None else {"columns": _texts("columns", columns, location)}
    return _source("parquet", paths, options, allow_empty, min_rows, name, location)


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
    if type(min_rows) is not int or min_rows < 0:
        raise UsageError(
            f"min_rows={min_rows!r} is not a number of rows", location.where(), "Give 0 or more."
        )
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


def _texts(label: str, values: Iterable[str], location: Location) -> list[str]:
    listed = [] if isinstance(values, str) else list(values)
    if isinstance(values, str) or not all(isinstance(one, str) for one in listed):
        raise UsageError(
            f"{label}={values!r} is not a list of strings",
            location.where(),
            f'Write {label}=["…", "…"].',
        )
    repeated = sorted({one for one in listed if listed.count(one) > 1})
    if repeated and label in ("columns", "column_names"):
        raise UsageError(
            f"{label}= names {', '.join(repeated)} more than once",
            location.where(),
            "Name it once.",
        )
    return listed


def _schema(schema: Mapping[str, str], location: Location) -> dict[str, str]:
    if not isinstance(schema, Mapping):
        raise UsageError(
            f"schema={schema!r} is not a dict of column name to type name",
            location.where(),
            'Write schema={"user_id": "INT64", …}.',
        )
    for column, type_name in schema.items():
        if not isinstance(column, str) or not isinstance(type_name, str):
            raise UsageError(
                f"schema= has {column!r}: {type_name!r}, which is not a pair of names",
                location.where(),
                'Write the type as a name: "INT64", "STRING", "TIMESTAMP", …',
            )
    return dict(schema)
