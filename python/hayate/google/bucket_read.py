"""A query's rows through a bucket: exported, read meanwhile, verified, and removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hayate.errors import HayateError, InputError, UsageError, Where
from hayate.google.cleanup import ExportFolder, sweep_bucket
from hayate.google.client import BigQuery, JobReference
from hayate.google.dry_run import DryRun, choose_plan, dry_run
from hayate.google.engine import Engine, Progress, Storage
from hayate.google.export import (
    JobWatch,
    Written,
    bytes_billed,
    destination,
    export_counts,
    extract_counts,
    job_id,
    stop_job,
    stop_quietly,
)
from hayate.google.journal import Journal
from hayate.google.projection import EMPTY_MARK, Format, Projection, from_table, project
from hayate.google.statement import SUFFIXES, export_statement
from hayate.google.types import arrow_schema, selected


@dataclass(frozen=True)
class Done:
    """What was read.

    Attributes:
        rows, objects, object_bytes: as counted while reading, and equal to what BigQuery says.
        bytes_billed: by all jobs.
        waited_share: of the reading threads' time, in which they waited for bytes.
        wanted_columns: to be chosen yet from those that were read; None if there is no need to.
    """

    rows: int
    objects: int
    object_bytes: int
    bytes_billed: int
    waited_share: float
    wanted_columns: list[str] | None


@dataclass
class BucketRead:
    """One export and its reading.

    Attributes:
        journal: of the run.
        base: gs://bucket/…/
        endpoint: of Cloud Storage.
        run_id: the run's name.
        warn, note: say what went wrong, and what is good to know.
        show: is told how far it is.
        keep: whether the objects stay.
        nulls_are_distinct: whether that is known of this project's CSV; see `project`.
        compression: of the objects.
        watches: gets those of the jobs.
    """

    bigquery: BigQuery
    engine: Engine
    storage: Storage
    journal: Journal
    base: str
    endpoint: str
    run_id: str
    warn: Callable[[str], None]
    note: Callable[[str], None]
    show: Progress
    threads: int
    keep: bool
    nulls_are_distinct: bool
    compression: str
    watches: list[JobWatch]

    def run(
        self,
        sql: str,
        found: DryRun,
        configuration: Mapping[str, Any],
        format_name: Format,
        columns: list[str] | None,
        directory: str,
    ) -> Done:
        """Exports the query and reads it into parts of a frame in `directory`.

        Raises:
            HayateError: the job fails, or what was read is not what it wrote.
        """
        plan, why = choose_plan(sql)
        made = self._project(sql, found, format_name, columns)
        self._check(made, sql, configuration, found)
        if plan == "table_then_export":
            from_table(sql, found.schema, "not.there.yet")
        if why:
            self.note(f"{why}: the result goes to a table of BigQuery's first")
        fields = selected(found.schema, None if made.has_all_columns else columns)
        jobs = _Jobs(self, found, configuration, format_name)
        with self._folder(directory) as folder:
            self._sweep(folder)
            try:
                if plan == "export":
                    watch = jobs.export(made.sql, folder, configuration)
                elif plan == "extract":
                    watch = jobs.extract(jobs.query(made.sql, folder), folder)
                else:
                    table = jobs.query(sql, folder).name
                    ordered = from_table(sql, found.schema, table)
                    made = self._project(ordered, found, format_name, columns)
                    watch = jobs.export(made.sql, folder, _without_parameters(configuration))
                counts = self.engine.ingest_export(
                    self.storage,
                    folder.prefix,
                    directory,
                    format_name,
                    arrow_schema(fields),
                    EMPTY_MARK if made.is_marked else "",
                    self.threads,
                    watch,
                    self.show,
                )
            except BaseException:
                # What is still being written would be left behind by the cleaning up.
                folder.can_be_removed = False
                stopped = [stop_quietly(watch, self.warn) for watch in self.watches]
                folder.can_be_removed = all(stopped)
                raise
            folder.keep = self.keep
        if self.keep:
            self.note(f"the export is kept in {folder.folder}")
        return Done(
            rows=counts["rows"],
            objects=counts["files"],
            object_bytes=counts["bytes"],
            bytes_billed=sum(bytes_billed(one.job) for one in self.watches),
            waited_share=counts["waited_share"],
            wanted_columns=columns if made.has_all_columns else None,
        )

    def _project(
        self, sql: str, found: DryRun, format_name: Format, columns: list[str] | None
    ) -> Projection:
        return project(
            sql,
            found.schema,
            format_name,
            columns,
            nulls_are_distinct=self.nulls_are_distinct,
        )

    def _folder(self, directory: str) -> ExportFolder:
        return ExportFolder(
            self.storage,
            self.journal,
            self.base,
            self.endpoint,
            self.run_id,
            directory,
            self.warn,
        )

    def _check(
        self, made: Projection, sql: str, configuration: Mapping[str, Any], found: DryRun
    ) -> None:
        """Has the SELECT around the query checked as well, where there is one."""
        if made.sql == sql:
            return
        try:
            dry_run(self.bigquery, made.sql, dict(configuration), found.location)
        except UsageError as error:
            raise UsageError(
                f"the query cannot be put into a SELECT that makes its columns safe: {error.what}",
                Where(object="the SQL"),
                "Give every column of the result a name by AS.",
            ) from None

    def _sweep(self, folder: ExportFolder) -> None:
        """Removes what runs on other machines have left; of no matter for this one."""
        try:
            lines = sweep_bucket(
                self.storage, self.base, folder.now_ns, lambda job: stop_job(self.bigquery, job)
            )
        except HayateError as error:
            lines = [f"what other runs have left could not be removed: {error.what}"]
        for line in lines:
            self.warn(line)


@dataclass(frozen=True)
class _Result:
    """The table that BigQuery keeps a query's result in, for a day."""

    table: Mapping[str, str]
    rows: int

    @property
    def name(self) -> str:
        return ".".join(self.table[part] for part in ("projectId", "datasetId", "tableId"))


@dataclass
class _Jobs:
    """The jobs of one reading: each is noted before it is there, and watched from then on."""

    read: BucketRead
    found: DryRun
    configuration: Mapping[str, Any]
    format_name: Format

    def export(self, sql: str, folder: ExportFolder, configuration: Mapping[str, Any]) -> JobWatch:
        statement = export_statement(sql, folder.prefix, self.format_name, self.read.compression)
        watch = self._watch("export", folder, export_counts, statement)
        watch.start(
            lambda: self.read.bigquery.insert_query(
                statement, dict(configuration), watch.reference, statement
            )
        )
        return watch

    def query(self, sql: str, folder: ExportFolder) -> _Result:
        """Runs a query to its end."""
        watch = self._watch("query", folder, lambda job: Written(0, 0), sql)
        watch.start(
            lambda: self.read.bigquery.insert_query(
                sql, dict(self.configuration), watch.reference, sql
            )
        )
        table = destination(watch.wait())
        described = self.read.bigquery.table(table)
        if described is None or "numRows" not in described:
            raise InputError(
                "BigQuery does not say how many rows the query's result has",
                Where(object=str(watch.reference)),
                "Run it again; a result that cannot be verified is not given out.",
            )
        return _Result(table, int(described["numRows"]))

    def extract(self, result: _Result, folder: ExportFolder) -> JobWatch:
        extract: dict[str, Any] = {
            "destinationFormat": self.format_name.upper(),
            "compression": self.read.compression,
        }
        if self.format_name == "csv":
            extract |= {"printHeader": True, "fieldDelimiter": ","}
        configuration = {"extract": extract, "labels": self.configuration.get("labels", {})}
        uri = f"{folder.prefix}*{SUFFIXES[self.format_name]}"
        watch = self._watch("extract", folder, lambda job: extract_counts(job, result.rows), "")
        watch.start(
            lambda: self.read.bigquery.insert_extract(
                result.table, uri, configuration, watch.reference
            )
        )
        return watch

    def _watch(
        self,
        step: str,
        folder: ExportFolder,
        counts: Callable[[Mapping[str, Any]], Written],
        shown: str,
    ) -> JobWatch:
        name = job_id(self.read.run_id, step)
        reference = JobReference(self.found.project, self.found.location, name)
        folder.announce(reference)
        watch = JobWatch(
            self.read.bigquery,
            reference,
            self.read.warn,
            counts,
            shown=shown,
            beside=folder.renew,
        )
        self.read.watches.append(watch)
        return watch


def _without_parameters(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """For a query over the result: the parameters are in it already."""
    query = {
        name: value for name, value in configuration["query"].items() if name != "queryParameters"
    }
    return {**configuration, "query": query}
