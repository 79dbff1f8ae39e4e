"""hy.output to a table of BigQuery: a frame goes through Cloud Storage into one load job.

The job is atomic: the table has all rows of the frame or is as before. What makes a second run
after a kill harmless is the job's name. One that replaces rows may run twice. One that appends has
a name made of the table and the frame's key, which BigQuery takes once: the second run finds the
job, and appends nothing.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from hayate.digest import digest_text
from hayate.errors import HayateError, InputError, UsageError, Where
from hayate.google.cleanup import ExportFolder, sweep_bucket, sweep_store
from hayate.google.client import JobReference, Resource
from hayate.google.dry_run import check_bucket
from hayate.google.engine import Progress
from hayate.google.export import (
    JobWatch,
    Written,
    job_id,
    job_labels,
    new_run_id,
    stop_quietly,
)
from hayate.google.journal import Journal
from hayate.google.load_client import (
    Connection,
    Place,
    find_place,
    has_succeeded,
    name_of,
    output_rows,
    sources,
    state_of_job,
    state_of_table,
)
from hayate.google.load_parts import SUFFIX, FrameRows, Upload, Uploaded, check_frame
from hayate.google.load_target import Target, parse_table, parse_target
from hayate.google.load_types import (
    has_decimals,
    has_plain_names,
    plan_columns,
    table_schema,
)
from hayate.google.redaction import without_secrets
from hayate.google.retries import Retries
from hayate.google.reuse import Results
from hayate.google.statement import folder_uri
from hayate.google.summary import size
from hayate.manifest import Manifest
from hayate.row_labels import has_row_labels

__all__ = ["Load", "load_frame", "parse_target", "table_state"]

Say = Callable[[str], None]

#: Attempts at a job that fails by the service's fault.
_ATTEMPTS = 3
#: Jobs that append the same frame to the same table and fail, until somebody has to look.
_MOST_APPENDS = 1000
#: URIs that a load job takes one by one.
_MOST_URIS = 10_000
#: GoogleSQL's decimals that Parquet's become, the first that holds them.
_DECIMALS = ["NUMERIC", "BIGNUMERIC"]
#: What a table keeps where its rows and its schema are replaced; the job has to say it again.
_KEPT = ("timePartitioning", "rangePartitioning", "clustering")
_DISPOSITIONS = {"truncate": "WRITE_TRUNCATE", "append": "WRITE_APPEND"}


@dataclass(frozen=True)
class Load:
    """What hy.output was told of a table.

    Attributes:
        table: "project.dataset.table" or "dataset.table" (of the default project), with
            "$20261124" for one partition.
        staging: gs://bucket/folder, for the Parquet files on their way; each run has a folder of
            its own in it.
        write: "truncate": the rows replace those of the table or partition, and of a whole table
            the schema; "append": they come to them, once for a frame of one key.
        project: that the job runs in; by default that of the credentials.
        location: of the dataset; by default BigQuery says it.
        labels: of the job, for the bill.

    Raises:
        UsageError: one of them is wrong.
    """

    table: str
    staging: str
    write: Literal["truncate", "append"] = "truncate"
    project: str | None = None
    location: str | None = None
    labels: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        parse_table(self.table)
        folder_uri(self.staging, "staging=")
        if self.write not in _DISPOSITIONS:
            raise UsageError(
                f"write={self.write!r} is not known",
                Where(object=self.table),
                'Use "truncate" to replace the rows, or "append".',
            )
        job_labels("", self.labels)

    @property
    def target(self) -> Target:
        """The table's name in its parts."""
        return parse_table(self.table)

    def to_json(self) -> dict[str, Any]:
        """All members by name."""
        return {
            "table": self.table,
            "staging": self.staging,
            "write": self.write,
            "project": self.project,
            "location": self.location,
            "labels": None if self.labels is None else dict(self.labels),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Load:
        return cls(**data)


def _print(text: str) -> None:
    print(f"hayate: {without_secrets(text)}", file=sys.stderr, flush=True)


def load_frame(
    directory: str,
    what: Load,
    *,
    store: str,
    key: str,
    threads: int,
    progress: Progress | None = None,
    say: Say = _print,
) -> dict[str, Any]:
    """Writes a frame into a table.

    Args:
        directory: of a committed frame.
        what: where to, and how.
        store: where it is noted what a killed run leaves.
        key: of the frame: two of one key have the same rows.
        threads: that encode and upload, at most.
        progress: is told how far the upload is.
        say: is told what went wrong and is dealt with, and what is good to know.

    Returns:
        `rows`, `bytes` and `files` as written; `job`: its name; `state`: what table_state gives for
        the table now, None where somebody else has changed it since; `was_there`: whether the rows
        had been appended before, so that nothing was done.

    Raises:
        UsageError: the frame or the table does not allow it; the table is as before.
        InputError: the service does not answer, or the job failed; the table is as before. Or the
            counts do not agree, and says so.
    """
    retries = Retries(say)
    with Connection(what.target, what.project, retries, say) as connection:
        _sweep(connection, store, say)
        return _Loading(connection, directory, what, store, key, threads, progress, say).run()


def table_state(what: Load, say: Say = _print) -> str | None:
    """What identifies the table as it is now: it is another text after each change.

    Returns:
        None if there is no such table.

    Raises:
        HayateError: BigQuery cannot be asked.
    """
    with Connection(what.target, what.project, Retries(say), say) as connection:
        found = connection.bigquery.table(connection.target.path)
        return None if found is None else state_of_table(found)


def _sweep(connection: Connection, store: str, say: Say) -> None:
    """Removes what earlier runs of this store have left, and ends their jobs: one that was to
    replace rows must not do so after this run's."""
    lines = sweep_store(
        store,
        connection.endpoint,
        connection.storage,
        connection.stop,
        Results(store).discard_unfinished,
    )
    for line in lines:
        say(line)


@dataclass
class _Loading:
    """One call of load_frame."""

    connection: Connection
    directory: str
    what: Load
    store: str
    key: str
    threads: int
    progress: Progress | None
    say: Say
    _watches: list[JobWatch] = field(default_factory=list, init=False)

    def run(self) -> dict[str, Any]:
        columns_of = _written_schema(self.directory)
        self._target = self.connection.target
        self._run = new_run_id()
        self._base = folder_uri(self.what.staging, "staging=")
        self._place = find_place(self.connection, self.what.location)
        self._rows = FrameRows(self.directory, columns_of.names)
        # Before the columns are compared: the table may have others by now.
        if (job := self._earlier_append()) is not None:
            return self._was_there(job)
        self._columns = plan_columns(
            columns_of,
            self._place.fields,
            is_replaced=self._replaces_all,
            table=self._target.uri,
        )
        check_frame(self._rows, self._columns, self._target.uri, self.threads)
        self._check_bucket()
        with (
            Journal(self.store, self._run) as journal,
            ExportFolder(
                self.connection.storage(),
                journal,
                self._base,
                self.connection.endpoint,
                self._run,
                "",
                self.say,
            ) as folder,
        ):
            self._sweep_bucket(folder)
            try:
                uploaded = self._upload(folder)
                job = self._load(folder, uploaded)
            except BaseException:
                # A job that still reads would fail of what the cleaning up takes away.
                stopped = [stop_quietly(watch, self.say) for watch in self._watches]
                folder.can_be_removed = all(stopped)
                raise
        self._verify(job)
        return self._result(job, uploaded)

    @property
    def _replaces_all(self) -> bool:
        """Whether the table has these rows and this schema afterwards, and no other."""
        return self.what.write == "truncate" and not self._target.partition

    def _check_bucket(self) -> None:
        location = self._place.location
        bucket = check_bucket(self.connection.storage(), self._base, location)
        if bucket.relation == "far":
            self.say(
                f"gs://{bucket.name} is in {bucket.location} and the dataset in {location}: what "
                "is loaded goes from one region to the other, which is slower, and is paid for; "
                "take a bucket where the dataset is"
            )
        if bucket.soft_delete_s:
            self.say(
                f"gs://{bucket.name} has Soft Delete: the files on their way are paid for "
                f"{bucket.soft_delete_s // 86400} days more after they are removed"
            )

    def _sweep_bucket(self, folder: ExportFolder) -> None:
        """Removes what runs on other machines have left; of no matter for this one."""
        try:
            lines = sweep_bucket(
                self.connection.storage(), self._base, folder.now_ns, self.connection.stop
            )
        except HayateError as error:
            lines = [f"what other runs have left could not be removed: {error.what}"]
        for line in lines:
            self.say(line)

    def _upload(self, folder: ExportFolder) -> list[Uploaded]:
        return Upload(
            self._rows,
            self._columns,
            self.connection.storage(),
            folder.prefix,
            self.threads,
            self.progress or (lambda *counts: None),
            folder.renew,
        ).run()

    # The names of jobs.

    def _reference(self, number: int) -> JobReference:
        """The name of an attempt. One that appends is the same for every run, so that BigQuery
        itself refuses the second."""
        name = job_id(self._run, f"load_{number}")
        if self.what.write == "append":
            name = f"hayate_append_{digest_text(str(self._target), self.key)}_{number}"
        return JobReference(self.connection.bigquery.project, self._place.location, name)

    def _earlier_append(self) -> Resource | None:
        """The job that has appended this frame already; None if none has. What follows gets the
        first number that is free.

        Raises:
            InputError: there are always new ones that fail.
        """
        self._number = 1
        if self.what.write != "append":
            return None
        while self._number <= _MOST_APPENDS:
            reference = self._reference(self._number)
            job = self.connection.bigquery.find_job(reference)
            if job is None:
                return None
            if state_of_job(job) != "DONE":
                self.say(f"the job {reference} of an earlier run still appends this frame")
                job = self._wait(reference)
            if has_succeeded(job) and self._has_its_rows(job):
                return job
            self._number += 1
        raise InputError(
            f"{_MOST_APPENDS:,} jobs that append this frame have failed",
            Where(object=self._target.uri),
            "See why in the console (BigQuery, Job history).",
        )

    def _wait(self, reference: JobReference) -> Resource:
        """Waits for another run's job; its resource, whether it succeeds or not."""
        watch = self._watch(reference, lambda: None)
        try:
            return dict(watch.wait())
        except HayateError:
            if not watch.is_over:
                raise
            return dict(watch.job)

    def _has_its_rows(self, job: Resource) -> bool:
        """Whether the table is still the one that the job wrote to, not one that was made since."""
        if self._place.resource is None:
            # Where the job was still running at the start, it may have made the table.
            found = self.connection.bigquery.table(self._target.path)
            self._place = Place(found, self._place.location)
        resource = self._place.resource
        if resource is None:
            return False
        ended = (job.get("statistics") or {}).get("endTime")
        created = resource.get("creationTime")
        return not ended or not created or int(created) <= int(ended)

    # The job.

    def _load(self, folder: ExportFolder, uploaded: Sequence[Uploaded]) -> Resource:
        """Runs the job to its end; its resource."""
        uris = [one.uri for one in uploaded]
        if len(uris) > _MOST_URIS:
            uris = [f"{folder.prefix}*{SUFFIX}"]
        for attempt in range(1, _ATTEMPTS + 1):
            reference = self._reference(self._number)
            folder.announce(reference)
            watch = self._watch(reference, folder.renew)
            self._watches.append(watch)
            try:
                watch.start(
                    lambda named=reference: self.connection.bigquery.insert_load(  # type: ignore[misc]
                        uris, self._target.destination, self._configuration(), named
                    )
                )
                return dict(watch.wait())
            except HayateError as error:
                # Two runs that append the same frame share a job, which reads the files of one.
                is_ours = sources(watch.job) in ([], uris)
                if attempt == _ATTEMPTS or (is_ours and not watch.may_be_repeated):
                    raise
                self.connection.retries.count += 1
                self.say(f"{error.what}; attempt {attempt + 1} of {_ATTEMPTS}")
                self._number += 1
                self.connection.retries.sleep(2.0**attempt)
        raise AssertionError("a loop over attempts ends by return or raise")

    def _watch(self, reference: JobReference, beside: Callable[[], None]) -> JobWatch:
        return JobWatch(
            self.connection.bigquery,
            reference,
            self.say,
            lambda job: Written(0, 0),
            beside=beside,
            clock=self.connection.retries.clock,
            sleep=self.connection.retries.sleep,
        )

    def _configuration(self) -> Resource:
        load: Resource = {
            "sourceFormat": "PARQUET",
            "writeDisposition": _DISPOSITIONS[self.what.write],
            # A missing table would become one that is partitioned by the time of loading.
            "createDisposition": "CREATE_NEVER" if self._target.partition else "CREATE_IF_NEEDED",
            "schema": table_schema(self._columns),
            "parquetOptions": {"enableListInference": True},
        }
        if self._replaces_all:
            before = self._place.resource or {}
            load |= {name: before[name] for name in _KEPT if before.get(name)}
        if has_decimals(self._columns):
            load["decimalTargetTypes"] = list(_DECIMALS)
        if not has_plain_names(self._columns):
            load["columnNameCharacterMap"] = "STRICT"
        return {"load": load, "labels": job_labels(self._run, self.what.labels)}

    # What has become of it.

    def _verify(self, job: Resource) -> None:
        """Compares the rows.

        Raises:
            InputError: they are not as many.
        """
        loaded = output_rows(job)
        if loaded is None and self._rows.rows == 0:
            return
        if loaded != self._rows.rows:
            count = "no number of" if loaded is None else f"{loaded:,}"
            raise InputError(
                f"BigQuery says that it has loaded {count} rows, and the frame has "
                f"{self._rows.rows:,}",
                Where(object=f"{self._target.uri} (job {name_of(job)})"),
                "Do not use the table as it is: write it again with "
                'write="truncate", and report this.',
            )

    def _was_there(self, job: Resource) -> dict[str, Any]:
        self._verify(job)
        ended = int((job.get("statistics") or {}).get("endTime") or 0)
        day = dt.datetime.fromtimestamp(ended / 1000, dt.UTC).isoformat(" ", "seconds")
        self.say(
            f"{self._target} has these {self._rows.rows:,} rows already, by the job "
            f"{name_of(job)} of {day}; they are not appended again"
        )
        statistics = (job.get("statistics") or {}).get("load") or {}
        return {
            "rows": self._rows.rows,
            "bytes": int(statistics.get("inputFileBytes") or 0),
            "files": int(statistics.get("inputFiles") or 0),
            "job": name_of(job),
            "state": self._current_state(),
            "was_there": True,
        }

    def _result(self, job: Resource, uploaded: Sequence[Uploaded]) -> dict[str, Any]:
        written = sum(one.bytes for one in uploaded)
        self.say(
            f"{self._rows.rows:,} rows in {self._target}, by {len(uploaded):,} objects "
            f"({size(written)})"
        )
        return {
            "rows": self._rows.rows,
            "bytes": written,
            "files": len(uploaded),
            "job": name_of(job),
            "state": self._current_state(),
            "was_there": False,
        }

    def _current_state(self) -> str | None:
        found = self.connection.bigquery.table(self._target.path)
        if found is None:
            return None
        if self._replaces_all and str(found.get("numRows")) != str(self._rows.rows):
            self.say(f"{self._target} was changed by somebody else just after it was written")
            return None
        return state_of_table(found)


def _written_schema(directory: str) -> pa.Schema:
    """The columns of a frame that a table gets: row labels are pandas' alone.

    Raises:
        UsageError: it holds values.
    """
    schema = Manifest(directory).schema
    if schema is None:
        raise UsageError(
            "only a table can be written to BigQuery; this holds values",
            Where(object=directory),
            "Return a data frame from the stage.",
        )
    if not has_row_labels(schema):
        return schema
    return schema.remove(schema.get_field_index("__index_level_0__"))
