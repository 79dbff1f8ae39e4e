"""The EXPORT DATA statement."""

from __future__ import annotations

from hayate.errors import UsageError, Where
from hayate.google.projection import Format
from hayate.google.tokens import quoted_string

#: Format → the end of the objects' names, and the compression that every BigQuery accepts.
SUFFIXES: dict[Format, str] = {"csv": ".csv.gz", "parquet": ".parquet"}
COMPRESSIONS: dict[Format, str] = {"csv": "GZIP", "parquet": "SNAPPY"}
_SCHEME = "gs://"
#: Of a bucket's name and of an object's, in bytes (Cloud Storage's own limits).
_MIN_BUCKET_LENGTH = 3
_MAX_OBJECT_BYTES = 1024


def folder_uri(uri: str, argument: str = "export=") -> str:
    """The folder that an argument names, as gs://bucket/a/b/ or gs://bucket/, ready for names
    behind it.

    Raises:
        UsageError: it is no such URI, or has what the service would change: ``//``, ``*``, ``..``.
    """
    where = Where(object=str(uri))
    remedy = f'Write {argument}"gs://bucket/folder".'
    if not isinstance(uri, str) or not uri.startswith(_SCHEME):
        raise UsageError(f"{argument} is no gs:// folder", where, remedy)
    bucket, _, path = uri[len(_SCHEME) :].partition("/")
    if len(bucket) < _MIN_BUCKET_LENGTH or not all(
        one.isascii() and (one.isalnum() or one in "-_.") for one in bucket
    ):
        raise UsageError(f'"{bucket}" is no name of a bucket', where, remedy)
    path = path.removesuffix("/")
    parts = path.split("/") if path else []
    if any(part in ("", ".", "..") for part in parts):
        raise UsageError(
            f"the path of {argument} has an empty or relative part, which is no folder there",
            where,
            remedy,
        )
    if any(one in "*?#[]" or one < " " for one in path):
        raise UsageError(f"the path of {argument} has a character that is no letter", where, remedy)
    if len(path.encode()) > _MAX_OBJECT_BYTES // 2:
        raise UsageError(f"the path of {argument} is too long", where, "Use a shorter one.")
    return f"{_SCHEME}{bucket}/" + "".join(f"{part}/" for part in parts)


def bucket_of(uri: str) -> str:
    """The bucket of a gs:// URI."""
    return uri[len(_SCHEME) :].partition("/")[0]


def export_statement(
    sql: str, object_prefix: str, format_name: Format, compression: str | None = None
) -> str:
    """The statement that writes the rows of a query to `object_prefix` + 12 digits + suffix.

    What has a default is set all the same where it matters: without `header` the files have no
    names, and without `overwrite` a statement that the service repeats of its own fails on what its
    first attempt left behind.

    Args:
        sql: one query, in which nothing is left open.
        object_prefix: gs://bucket/…/part-, of a folder that nothing else uses.
        format_name: "csv" or "parquet".
        compression: by default what every BigQuery accepts.
    """
    path = object_prefix.removeprefix(_SCHEME)
    if not object_prefix.startswith(_SCHEME) or "*" in path or "//" in path:
        raise ValueError(f"{object_prefix!r} cannot be the prefix of an export")
    options = {
        "uri": quoted_string(f"{object_prefix}*{SUFFIXES[format_name]}"),
        "format": quoted_string(format_name.upper()),
        "compression": quoted_string(compression or COMPRESSIONS[format_name]),
        "overwrite": "true",
    }
    if format_name == "csv":
        options["header"] = "true"
        options["field_delimiter"] = quoted_string(",")
    listed = ",\n  ".join(f"{name} = {value}" for name, value in options.items())
    # The query is on lines of its own: it may end with a comment.
    return f"EXPORT DATA OPTIONS (\n  {listed}\n) AS\n{sql}\n"
