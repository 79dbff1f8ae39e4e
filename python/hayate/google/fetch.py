"""A query's result as a frame: from the store, through a bucket, or by the Storage Read API."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hayate import _core
from hayate.errors import HayateError, InputError, StorageError, UsageError, Where
from hayate.google import sql as googlesql
from hayate.google import stream_read
from hayate.google.bucket_read import BucketRead
from hayate.google.cleanup import sweep_store
from hayate.google.client import BigQuery, JobReference, query_configuration
from hayate.google.credentials import Credentials, find
from hayate.google.dialect import nulls_are_distinct
from hayate.google.dry_run import (
    DryRun,
    check_bucket,
    check_cost,
    check_locations,
    choose_format,
    dry_run,
    tables,
)
from hayate.google.engine import Engine, Storage, engine
from hayate.google.engine import Progress as Show
from hayate.google.export import (
    JobWatch,
    Written,
    bytes_billed,
    destination,
    job_id,
    job_labels,
    new_run_id,
    stop_job,
    stop_quietly,
)
from hayate.google.journal import Journal
from hayate.google.link import Link
from hayate.google.parameters import Params, check_given, digest, query_parameters
from hayate.google.projection import Format, project
from hayate.google.redaction import without_secrets
from hayate.google.retries import Retries
from hayate.google.reuse import TEMPORARY_PREFIX, Key, Results, key
from hayate.google.summary import Summary, size
from hayate.google.types import arrow_schema, selected
from hayate.temporary import TemporaryFolder

T = TypeVar("T")

#: A result from which on an export is the faster way.
_LARGE_BYTES = 1_000_000_000
#: Attempts at a job that fails by the service's fault, each a run of its own.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Request:
    """The arguments of read_bigquery, checked one by one."""

    sql: str
    export: str | None
    params: Params | None
    project: str | None
    location: str | None
    columns: list[str] | None
    max_bytes_billed: int | None
    labels: Mapping[str, str] | None
    format: str
    keep_export: bool
    store: str
    priority: str
    threads: int


@dataclass
class Speaker:
    """Says on stderr what happens.

    Attributes:
        is_quiet: whether only what went wrong is said.
    """

    is_quiet: bool = False

    def warn(self, text: str) -> None:
        """What went wrong, and is dealt with."""
        # Much of it is what a service has answered.
        print(f"hayate: {without_secrets(text)}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """What is good to know."""
        if not self.is_quiet:
            self.warn(text)


@dataclass(frozen=True)
class Fetched:
    """A result that lies in a frame.

    Attributes:
        directory: of the frame.
        folder: that goes with it, where it is not in the store.
        wanted_columns: to be chosen yet; None if the frame has what was asked for.
        summary: what it has cost; None if it was there already.
    """

    directory: str
    folder: TemporaryFolder | None
    wanted_columns: list[str] | None
    summary: Summary | None


class RefusedCompression(UsageError):
    """The service does not take the compression of an export: the next attempt has another."""


@dataclass(frozen=True)
class Examined:
    """A query that BigQuery has checked, and nothing was spent on.

    Attributes:
        found: of the dry run.
        parameters: the REST API's query parameters.
        key: what its result is known by.
    """

    found: DryRun
    parameters: list[dict[str, Any]]
    key: Key


@dataclass
class Fetch:
    """One query, without the form that its result gets.

    Attributes:
        request: what is wanted.
        speaker: says what happens.
        progress: makes what is told how far it is.
    """

    request: Request
    speaker: Speaker
    progress: Callable[[], AbstractContextManager[Show]]
    clock: Callable[[], float] = time.monotonic
    _storage: Storage | None = field(default=None, init=False)

    def run(self) -> Fetched:
        """The result, from the store or from BigQuery."""
        with self._connected():
            self._sweep()
            examined = self._examine()
            results = Results(self.request.store)
            if reused := self._reuse(results, examined.key):
                return reused
            check_cost(examined.found, self.request.max_bytes_billed)
            return self._again(lambda watches: self._stored(examined, results, watches))

    def examine(self) -> Examined:
        """Has the query checked, without leaving or removing anything."""
        with self._connected():
            examined = self._examine()
            check_cost(examined.found, self.request.max_bytes_billed)
            return examined

    def into(self, directory: str) -> Summary:
        """Runs the query and leaves its rows in `directory`, as the parts of a frame that has yet
        to be committed. A frame has just the columns that are wanted.

        Raises:
            UsageError: a column would have to be left out afterwards.
        """
        with self._connected():
            self._sweep()
            examined = self._examine()
            check_cost(examined.found, self.request.max_bytes_billed)
            columns, summary = self._again(
                lambda watches: self._noted(examined, directory, watches)
            )
            check_columns(columns)
            return summary

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        self._begun = self.clock()
        self.credentials: Credentials = find(self.request.project)
        self.endpoint = self.credentials.endpoints.storage_url
        self.retries = Retries(self.speaker.warn)
        self.bigquery = BigQuery(self.credentials, self.retries)
        try:
            yield
        except HayateError as error:
            # The engine takes out the token that it sent; what a service knows besides is taken
            # out here.
            what = without_secrets(error.what)
            if what == error.what:
                raise
            raise type(error)(what, error.where, error.fix, error.user_traceback) from None
        finally:
            self.bigquery.close()

    def _examine(self) -> Examined:
        request = self.request
        names, positional = googlesql.parameters(googlesql.check_query(request.sql))
        parameters = query_parameters(request.params)
        check_given(names, positional, request.params)
        job_labels("", request.labels)
        configuration = query_configuration(parameters, labels=request.labels)
        found = dry_run(self.bigquery, request.sql, configuration, request.location)
        selected(found.schema, request.columns)
        self._format(found)
        return Examined(found, parameters, self._key(found, digest(parameters)))

    def _configuration(self, parameters: list[dict[str, Any]], run: str) -> dict[str, Any]:
        request = self.request
        return query_configuration(
            parameters,
            max_bytes_billed=request.max_bytes_billed,
            labels=job_labels(run, request.labels),
            priority=request.priority,
        )

    def _format(self, found: DryRun) -> Format:
        """Of the export; without one it is of no matter, but must be known."""
        is_export = self.request.export is not None
        return choose_format(
            self.request.format, found.schema if is_export else (), self.request.columns
        )

    def storage(self) -> Storage:
        """Cloud Storage, connected once it is needed."""
        if self._storage is None:
            used: Engine = engine()
            self._storage = used.CloudStorage(
                self.endpoint, self.credentials.token, self._note_retry
            )
        return self._storage

    def _note_retry(self, text: str) -> None:
        """One of the engine's, whatever it was for: reading, or a call of ours."""
        self.retries.count += 1
        self.speaker.warn(text)

    def stop(self, job: JobReference) -> bool:
        """Ends a job of a run that is gone."""
        return stop_job(self.bigquery, job)

    def _sweep(self) -> None:
        """Removes what earlier runs of this store have left."""
        results = Results(self.request.store)
        lines = sweep_store(
            self.request.store,
            self.endpoint,
            self.storage,
            self.stop,
            results.discard_unfinished,
        )
        for line in lines:
            self.speaker.warn(line)

    def _key(self, found: DryRun, parameters_digest: str) -> Key:
        read = tables(self.bigquery, found, self.request.sql)
        check_locations(found, read)
        return key(
            self.request.sql,
            parameters_digest,
            found,
            read,
            self.request.columns,
            self.credentials.who,
            time.time_ns() // 1_000_000,
        )

    def _reuse(self, results: Results, wanted: Key) -> Fetched | None:
        if self.request.keep_export:
            return None
        if not wanted.is_reusable:
            self.speaker.note(f"the result is not kept: {'; '.join(wanted.reasons)}")
            return None
        stored = results.find(wanted)
        if stored is None:
            if changed := results.difference(wanted):
                self.speaker.note(f"the query runs again: {changed}")
            return None
        try:
            _core.FrameReader.open(stored.directory)
        except HayateError as error:
            self.speaker.warn(f"the kept result is damaged, so the query runs again: {error.what}")
            results.discard(stored)
            return None
        self.speaker.note(
            f"the result of {stored.record.get('created')} is used again: the same query over "
            "unchanged tables; nothing is billed"
        )
        return Fetched(stored.directory, None, stored.record.get("wanted_columns"), None)

    def _again(self, attempt: Callable[[list[JobWatch]], T]) -> T:
        """What an attempt gives; one that failed by the service's fault is made again."""
        for count in range(1, _ATTEMPTS + 1):
            watches: list[JobWatch] = []
            try:
                return attempt(watches)
            except HayateError as error:
                again = isinstance(error, RefusedCompression) or any(
                    watch.may_be_repeated for watch in watches
                )
                if not again or count == _ATTEMPTS:
                    raise
                self.retries.count += 1
                self.speaker.warn(f"{error.what}; attempt {count + 1} of {_ATTEMPTS}")
                self.retries.sleep(2.0**count)
        raise AssertionError("a loop over attempts ends by return or raise")

    def _stored(self, examined: Examined, results: Results, watches: list[JobWatch]) -> Fetched:
        """Runs the query in a folder of its own; the folder is gone where that fails."""
        run = new_run_id()
        folder = None if examined.key.is_reusable else TemporaryFolder(TEMPORARY_PREFIX)
        directory = results.unfinished_path(run)
        if folder is not None:
            directory = os.path.join(folder.path, "frame")
        with Journal(self.request.store, run) as journal:
            journal.note({"endpoint": self.endpoint, "directory": directory})
            try:
                columns, summary = self._into(directory, examined, run, journal, watches)
                _core.commit(directory, "bigquery")
                if folder is None:
                    record = {
                        "rows": summary.rows,
                        "bytes_billed": summary.bytes_billed,
                        "wanted_columns": columns,
                    }
                    directory = results.publish(directory, examined.key, record).directory
            except BaseException:
                results.discard_unfinished(directory)
                if folder is not None:
                    folder.remove()
                raise
        self.speaker.note(str(summary))
        return Fetched(directory, folder, columns, summary)

    def _noted(
        self, examined: Examined, directory: str, watches: list[JobWatch]
    ) -> tuple[list[str] | None, Summary]:
        """The same into a folder of somebody else's, who commits what is there."""
        run = new_run_id()
        with Journal(self.request.store, run) as journal:
            journal.note({"endpoint": self.endpoint})
            try:
                return self._into(directory, examined, run, journal, watches)
            except BaseException:
                # Parts of this attempt must not lie among those of the next.
                shutil.rmtree(directory, ignore_errors=True)
                raise

    def _into(
        self,
        directory: str,
        examined: Examined,
        run: str,
        journal: Journal,
        watches: list[JobWatch],
    ) -> tuple[list[str] | None, Summary]:
        """Reads into the parts of a frame; columns that are to be chosen yet, and the cost."""
        try:
            os.makedirs(directory, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"the result cannot be stored: {error.strerror}",
                Where(object=directory),
                "Make room, or give store= (or HAYATE_TMP) a folder that may be written to.",
            ) from error
        read = self._by_streams if self.request.export is None else self._by_export
        configuration = self._configuration(examined.parameters, run)
        with self.progress() as show:
            return read(directory, examined.found, configuration, run, journal, show, watches)

    def _by_export(
        self,
        directory: str,
        found: DryRun,
        configuration: dict[str, Any],
        run: str,
        journal: Journal,
        show: Show,
        watches: list[JobWatch],
    ) -> tuple[list[str] | None, Summary]:
        request = self.request
        assert request.export is not None
        bucket = check_bucket(self.storage(), request.export, found.location)
        if bucket.soft_delete_s:
            self.speaker.note(
                f"gs://{bucket.name} has Soft Delete: what the export writes is paid for "
                f"{bucket.soft_delete_s // 86400} days more after it is removed"
            )
        format_name = self._format(found)
        link = Link(request.store, bucket.name)
        compression = link.compression(format_name)
        reading = BucketRead(
            self.bigquery,
            engine(),
            self.storage(),
            journal,
            request.export,
            self.endpoint,
            run,
            self.speaker.warn,
            self.speaker.note,
            show,
            request.threads,
            request.keep_export,
            nulls_are_distinct(request.store, found.project),
            compression,
            watches,
        )
        try:
            done = reading.run(
                request.sql, found, configuration, format_name, request.columns, directory
            )
        except HayateError as error:
            if link.refused(error, compression):
                raise RefusedCompression(error.what, error.where, error.fix) from error
            raise
        link.measured(done.object_bytes, done.waited_share)
        summary = Summary(
            rows=done.rows,
            bytes_billed=done.bytes_billed,
            objects=done.objects,
            object_bytes=done.object_bytes,
            data_location=found.location,
            bucket_location=bucket.location,
            relation=bucket.relation,
            seconds=self.clock() - self._begun,
            retries=self.retries.count,
        )
        return done.wanted_columns, summary

    def _by_streams(
        self,
        directory: str,
        found: DryRun,
        configuration: dict[str, Any],
        run: str,
        journal: Journal,
        show: Show,
        watches: list[JobWatch],
    ) -> tuple[list[str] | None, Summary]:
        request = self.request
        made = project(request.sql, found.schema, "parquet", request.columns)
        fields = selected(found.schema, None if made.has_all_columns else request.columns)
        reference = JobReference(found.project, found.location, job_id(run, "query"))
        journal.note(
            {"endpoint": self.endpoint, "directory": directory, "jobs": [reference.to_json()]}
        )
        watch = JobWatch(
            self.bigquery, reference, self.speaker.warn, lambda job: Written(0, 0), request.sql
        )
        watches.append(watch)
        try:
            watch.start(
                lambda: self.bigquery.insert_query(made.sql, configuration, reference, made.sql)
            )
            job = watch.wait()
        except BaseException:
            stop_quietly(watch, self.speaker.warn)
            raise
        table = destination(job)
        described = self.bigquery.table(table) or {}
        total = int(described.get("numBytes") or 0)
        reading = stream_read.TableRead(
            stream_read.connect(self.credentials),
            table,
            found.project,
            arrow_schema(fields),
            directory,
            self.speaker.warn,
            show,
            keep_order=googlesql.ordering(request.sql).is_ordered,
            threads=request.threads,
            total_bytes=total,
        )
        rows = reading.run()
        check_rows(rows, described, reading.name)
        if total >= _LARGE_BYTES:
            self.speaker.note(
                f'{size(total)} came through the Storage Read API; with export="gs://…" they are '
                "read while they are exported, on every core, which is faster"
            )
        summary = Summary(
            rows=rows,
            bytes_billed=bytes_billed(job),
            seconds=self.clock() - self._begun,
            retries=self.retries.count + reading.retries,
        )
        return request.columns if made.has_all_columns else None, summary


def check_rows(rows: int, described: Mapping[str, Any], name: str) -> None:
    """Compares the rows that have come with those that the table has.

    Raises:
        InputError: they are not as many.
    """
    expected = described.get("numRows")
    if expected is not None and int(expected) != rows:
        raise InputError(
            f"{rows:,} rows have come, and the result has {int(expected):,}",
            Where(object=name),
            "Run it again.",
        )


def check_columns(wanted: list[str] | None) -> None:
    """Refuses a frame that has columns which were not asked for.

    Raises:
        UsageError: `wanted` are to be chosen yet.
    """
    if wanted is not None:
        raise UsageError(
            "columns= cannot be taken from a frame whose ORDER BY sorts by expressions",
            Where(object="the SQL"),
            "Name the columns in the SQL.",
        )
