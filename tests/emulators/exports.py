"""EXPORT DATA and extract jobs: checked as the real service checks them, then made into files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emulators.bqemulator import Bqemulator
from emulators.catalog import Catalog
from emulators.exported_files import (
    COMPRESSIONS,
    Field,
    FileOptions,
    file_bytes,
    nested_field,
    split,
    typed,
)
from emulators.jobs import JobError, JobPlan, Shard
from emulators.object_store import ObjectStore
from emulators.settings import Settings
from emulators.sql import Statement, TableName

_EXPORT_OPTIONS = frozenset(
    {"uri", "format", "compression", "header", "field_delimiter", "overwrite"}
)
_CSV_OPTIONS = frozenset({"header", "field_delimiter"})
_TABS = {"\\t": "\t", "tab": "\t"}


@dataclass(frozen=True)
class Destination:
    """Where files go: a name with at most one star."""

    bucket: str
    name: str

    def file(self, number: int) -> str:
        return self.name.replace("*", f"{number:012d}")

    @property
    def prefix(self) -> str:
        return self.name.split("*", 1)[0]

    def holds(self, name: str) -> bool:
        before, _, after = self.name.partition("*")
        return name.startswith(before) and name.endswith(after)


@dataclass
class Results:
    """The results of queries, typed as the service types them."""

    emulator: Bqemulator
    catalog: Catalog
    settings: Settings

    def fields(
        self,
        query: str,
        statement: Statement | None,
        names: list[TableName],
        options: dict[str, Any],
    ) -> list[Field]:
        """The schema of a query's result.

        Raises:
            JobError: the query is wrong.
        """
        planted = self.settings.planted_for(query)
        if planted is not None:
            return planted[0]
        found = self.emulator.dry_run(query, options)
        geography = statement.geography if statement is not None else frozenset()
        return self.catalog.with_declared_types(found, names, geography)

    def table(
        self, query: str, fields: list[Field], options: dict[str, Any], *, as_text: bool
    ) -> pa.Table:
        """The rows of a query, in order.

        Args:
            query: a SELECT.
            fields: its schema.
            options: its parameters.
            as_text: whether GEOGRAPHY is wanted as text, and not as WKB.

        Raises:
            JobError: the query failed.
        """
        planted = self.settings.planted_for(query)
        if planted is not None:
            return planted[1]
        geography = [one["name"] for one in fields if one["type"] == "GEOGRAPHY"]
        if geography and as_text:
            texts = ", ".join(f"ST_ASTEXT(`{name}`) AS `{name}`" for name in geography)
            query = f"SELECT * REPLACE ({texts}) FROM (\n{query}\n)"
        folder = self.emulator.folder()
        try:
            target = self.emulator.uri(folder / "*.parquet")
            self.emulator.run(
                f"EXPORT DATA OPTIONS(uri='{target}', format='PARQUET') AS\n{query}", options
            )
            files = sorted(folder.iterdir())
            found = pa.concat_tables([pq.read_table(path) for path in files])
        finally:
            shutil.rmtree(folder)
        if geography and as_text:
            fields = [
                {**one, "type": "STRING"} if one["name"] in geography else one for one in fields
            ]
            for name in geography:
                # DuckDB writes a space where the service writes none: POINT (1 2).
                text = pc.replace_substring(found[name], " (", "(")
                found = found.set_column(found.schema.get_field_index(name), name, text)
        return typed(found, fields)


@dataclass
class Exporter:
    """What writes the files of exports."""

    storage: ObjectStore
    settings: Settings

    def check(self, statement: Statement) -> tuple[FileOptions, Destination]:
        """What EXPORT DATA is to write and where, as far as the statement's text says.

        Raises:
            JobError: the service would refuse the statement.
        """
        options = statement.options
        unknown = set(options) - _EXPORT_OPTIONS
        if unknown:
            raise _invalid(f"Unknown option: {min(unknown)}")
        for required in ("uri", "format"):
            if required not in options:
                raise _invalid(f"Option '{required}' is required for EXPORT DATA.")
        destination = destination_of(str(options["uri"]))
        if "*" not in destination.name.rsplit("/", 1)[-1] or destination.name.count("*") != 1:
            raise _invalid(
                "Option 'uri' value must be a wild card URI with exactly one '*' in its last part; "
                f"a URI as {options['uri']} is not supported for EXPORT DATA."
            )
        files = FileOptions(
            str(options["format"]).upper(),
            str(options.get("compression", "NONE")).upper(),
            bool(options.get("header", False)),
            _delimiter(str(options.get("field_delimiter", ","))),
        )
        self._check_files(files)
        misplaced = _CSV_OPTIONS & set(options) if files.format != "CSV" else set()
        if misplaced:
            raise _invalid(f"Option '{min(misplaced)}' is not allowed for format {files.format}.")
        if statement.wildcards:
            raise _invalid(
                "EXPORT DATA statement cannot reference wildcard tables: "
                f"{', '.join(statement.wildcards)}"
            )
        if statement.reads_information_schema:
            raise _invalid("EXPORT DATA statement cannot reference INFORMATION_SCHEMA.")
        return files, destination

    def check_schema(self, fields: list[Field], files: FileOptions) -> None:
        """That the format can hold the columns.

        Raises:
            JobError: it cannot.
        """
        nested = nested_field(fields) if files.format == "CSV" else None
        if nested is not None:
            raise _invalid(f"Operation cannot be performed on a nested schema. Field: {nested}")

    def check_destination(self, destination: Destination, *, overwrite: bool) -> None:
        """That the service can write there.

        Raises:
            JobError: there is no such bucket, it may not be written to, or objects are in the way.
        """
        bucket = destination.bucket
        if not self.storage.has_bucket(bucket):
            raise JobError("notFound", f"Not found: Bucket {bucket}")
        if bucket in self.settings.denied_buckets:
            raise JobError(
                "accessDenied",
                "Access Denied: BigQuery BigQuery: Permission denied while writing data to "
                f"{bucket}.",
            )
        present = self.storage.names(bucket, destination.prefix)
        if not overwrite and any(destination.holds(name) for name in present):
            raise _invalid(
                f"Destination gs://{bucket}/{destination.name} is not empty and overwrite is false."
            )

    def shards(
        self,
        table: pa.Table,
        fields: list[Field],
        files: FileOptions,
        destination: Destination,
        plan: JobPlan,
    ) -> list[Shard]:
        """The files of an export, in the order of their rows."""
        found = []
        for number, rows in enumerate(split(table, max(1, plan.shards))):
            data = file_bytes(rows, fields, files, self.settings.dialect)
            draft = None
            if number in plan.drafts:
                draft = file_bytes(
                    rows.slice(0, rows.num_rows // 2), fields, files, self.settings.dialect
                )
            found.append(Shard(destination.bucket, destination.file(number), data, draft))
        return found

    def write(self, shard: Shard, files: FileOptions, *, is_draft: bool) -> None:
        """Puts a file into its bucket, over what is there."""
        encoding = self.settings.content_encoding if files.compression == "GZIP" else ""
        data = shard.draft if is_draft and shard.draft is not None else shard.data
        self.storage.put(
            shard.bucket,
            shard.name,
            data,
            content_type=files.content_type,
            content_encoding=encoding if files.format == "CSV" else "",
        )

    def extract_files(self, extract: dict[str, Any]) -> tuple[FileOptions, Destination]:
        """What an extract job is to write and where.

        Raises:
            JobError: the service would refuse it.
        """
        uris = extract.get("destinationUris") or [extract.get("destinationUri", "")]
        if len(uris) != 1:
            raise _invalid("This stand-in extracts to one URI.")
        destination = destination_of(uris[0])
        if destination.name.count("*") > 1:
            raise _invalid(f"Invalid destination URI: {uris[0]}")
        files = FileOptions(
            str(extract.get("destinationFormat", "CSV")).upper(),
            str(extract.get("compression", "NONE")).upper(),
            bool(extract.get("printHeader", True)),
            _delimiter(str(extract.get("fieldDelimiter", ","))),
        )
        self._check_files(files)
        return files, destination

    def _check_files(self, files: FileOptions) -> None:
        if files.format not in COMPRESSIONS:
            raise _invalid(
                f"This stand-in writes {' and '.join(COMPRESSIONS)}, not {files.format}."
            )
        is_refused = files.compression == "ZSTD" and not self.settings.accepts_zstd
        if files.compression not in COMPRESSIONS[files.format] or is_refused:
            raise _invalid(
                f"Invalid value for option 'compression': {files.compression} is not supported "
                f"for format {files.format}."
            )


def destination_of(uri: str) -> Destination:
    """Bucket and name of a URI.

    Raises:
        JobError: it is none of Cloud Storage.
    """
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket or not name or "*" in bucket:
        raise _invalid(f"Invalid URI: {uri}. It must be gs://bucket/name.")
    while "//" in name:  # The service collapses them.
        name = name.replace("//", "/")
    return Destination(bucket, name)


def _delimiter(text: str) -> str:
    return _TABS.get(text, text)


def _invalid(message: str) -> JobError:
    return JobError("invalidQuery", message, "query")
