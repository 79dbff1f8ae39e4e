"""The work behind jobs, and how it shows from poll to poll."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from emulators.bqemulator import PREFIX, Bqemulator
from emulators.catalog import Catalog, billed, statement_of
from emulators.exported_files import FileOptions
from emulators.exports import Exporter, Results
from emulators.jobs import KINDS, Job, JobError, JobPlan
from emulators.loads import Loader
from emulators.queries import READS, Queries, default_dataset, options_of
from emulators.settings import Settings
from emulators.sql import Statement, TableName

# A poll waits for the work behind a job, as the service does, but no longer than a client would.
WORK_TIMEOUT_S = 20.0
_ANONYMOUS = "_bqemu_anonymous"


@dataclass
class JobRunner:
    """The jobs of a server; for any number of threads."""

    emulator: Bqemulator
    catalog: Catalog
    results: Results
    exporter: Exporter
    loader: Loader
    queries: Queries
    settings: Settings
    lock: threading.RLock = field(default_factory=threading.RLock)
    _jobs: dict[str, Job] = field(default_factory=dict)

    def jobs(self) -> list[Job]:
        """All jobs, in the order in which they were inserted."""
        with self.lock:
            return list(self._jobs.values())

    def find(self, job_id: str) -> Job | None:
        with self.lock:
            return self._jobs.get(job_id)

    def add(
        self,
        project: str,
        job_id: str,
        location: str,
        configuration: dict[str, Any],
        data: bytes | None,
    ) -> Job:
        """A new job.

        Args:
            project: the project that it is billed to.
            job_id: its name.
            location: where it runs.
            configuration: what it does.
            data: what was uploaded with it.

        Raises:
            JobError: there is a job of that id, or the configuration names no work.
        """
        with self.lock:
            if job_id in self._jobs:
                raise JobError("duplicate", f"Already Exists: Job {self._jobs[job_id].name}")
            job = Job(project, job_id, location, configuration, self.settings.plan, data)
            if job.kind not in KINDS:
                raise JobError("invalid", f"Required parameter is missing: {' or '.join(KINDS)}")
            if self.settings.plans:
                job.plan = self.settings.plans.popleft()
            self._jobs[job_id] = job
            return job

    def cancel(self, job: Job) -> None:
        with self.lock:
            if job.state != "DONE":
                job.is_cancelled = True
                job.release()
                message = "Job execution was cancelled: User requested cancellation"
                self._end(job, JobError("stopped", message))

    def delete(self, job: Job) -> None:
        with self.lock:
            del self._jobs[job.job_id]

    def forget(self) -> None:
        """Ends all jobs and forgets them, here and in bqemulator."""
        with self.lock:
            ended = self.jobs()
            self._jobs.clear()
            for job in ended:
                job.is_cancelled = True
        for job in ended:
            if job.has_begun:
                job.finished.wait(WORK_TIMEOUT_S)
                self.emulator.call("DELETE", f"{PREFIX}/projects/{job.project}/jobs/{job.job_id}")

    def advance(self, job: Job) -> bool:
        """One poll: moves a job on by one step at most.

        Returns:
            Whether it moved.
        """
        with self.lock:
            plan = job.plan
            if job.state == "DONE" or plan.stays == "PENDING":
                return False
            job.polls += 1
            if job.polls <= plan.pending_polls:
                return True
            if job.state == "PENDING":
                job.state = "RUNNING"
                job.started_ms = int(time.time() * 1000)
            is_last = job.polls > plan.pending_polls + plan.running_polls and not plan.stays
            # Files show while a job runs. Anything else is there at once, at its end.
            if is_last or job.writes_files:
                self._begin(job)
            elif plan.stays:
                return False
        if not is_last and job.visible() is None and not plan.drafts:
            return not plan.stays
        if not job.finished.wait(WORK_TIMEOUT_S):
            return False
        with self.lock:
            if job.state != "DONE":
                if job.error is None:
                    self._publish(job, is_last=is_last)
                if is_last or job.error is not None:
                    self._end(job, job.error or plan.error)
        return True

    def finish(self, job: Job) -> None:
        """A long poll: lasts until the job is done, unless its plan says what is between."""
        while not job.plan.is_stepwise and job.state != "DONE" and self.advance(job):
            pass

    def _begin(self, job: Job) -> None:
        """Starts the work, once."""
        if not job.has_begun:
            job.has_begun = True
            name = f"{job.kind}-{job.job_id}"
            threading.Thread(target=self._work, args=(job,), name=name, daemon=True).start()

    def _work(self, job: Job) -> None:
        try:
            if job.plan.error is not None and not job.plan.visible_shards:
                return  # It will fail, and does nothing before.
            if job.kind == "query":
                self._run_query(job)
            elif job.kind == "load":
                load = self.loader.run(job.configuration["load"], job.project, job.data)
                job.statistics["load"] = load
            elif job.kind == "extract":
                self._run_extract(job)
            else:
                self._run_copy(job)
        except JobError as error:
            job.error = job.error or error
        except Exception as error:  # Whatever it is: the job has to end.
            job.error = JobError("internalError", f"{type(error).__name__}: {error}")
        finally:
            job.finished.set()

    def _run_copy(self, job: Job) -> None:
        body = {"configuration": job.configuration}
        self.emulator.ask("POST", f"{job.project}/jobs", body)
        destination = job.configuration["copy"]["destinationTable"]
        self.catalog.touch(TableName.of(destination, job.project))
        job.statistics["copy"] = {}

    def _run_query(self, job: Job) -> None:
        query = job.configuration["query"]
        text = query["query"]
        statement = self.queries.statement(query)
        names, views = self.queries.references(statement, query)
        self._check_locations(job, [*names, *views])
        job.reads = names
        job.geography = statement.geography if statement is not None else frozenset()
        size = self.queries.bytes_of(names)
        cost = billed(size, len(names))
        limit = query.get("maximumBytesBilled")
        if limit is not None and int(limit) < cost:
            raise JobError(
                "bytesBilledLimitExceeded",
                f"Query exceeded limit for bytes billed: {limit}. {cost} or higher required.",
            )
        options = options_of(query)
        if statement is not None and statement.kind == "EXPORT_DATA":
            statistics = self._run_export(job, statement, names, options)
        elif query.get("destinationTable") and (statement is None or statement.kind in READS):
            statistics = self._run_into_table(query, options, job)
        else:
            done = self.emulator.run(text, options, job.job_id)
            statistics = done["statistics"]["query"]
            configured = done["configuration"]["query"].get("destinationTable")
            if configured:
                query.setdefault("destinationTable", configured)
            if statement is not None:
                self.catalog.note(statement, default_dataset(query))
        statistics |= {
            "totalBytesProcessed": str(size),
            "totalBytesBilled": str(cost),
            "billingTier": 1,
            "cacheHit": False,
            "totalSlotMs": "1",
            "referencedTables": [one.reference() for one in self.queries.named(names, views)],
            "timeline": [
                {"elapsedMs": "1", "pendingUnits": "0", "completedUnits": "1", "activeUnits": "0"}
            ],
        }
        job.statistics |= {"query": statistics, "totalBytesProcessed": str(size)}
        job.statistics["totalSlotMs"] = "1"

    def _run_export(
        self, job: Job, statement: Statement, names: list[TableName], options: dict[str, Any]
    ) -> dict[str, Any]:
        files, destination = self.exporter.check(statement)
        fields = self.results.fields(statement.query, statement, names, options)
        self.exporter.check_schema(fields, files)
        overwrite = bool(statement.options.get("overwrite", False))
        self.exporter.check_destination(destination, overwrite=overwrite)
        table = self.results.table(statement.query, fields, options, as_text=files.format == "CSV")
        job.files = files
        job.shards = self.exporter.shards(table, fields, files, destination, job.plan)
        self._publish_freely(job, files)
        counts = {"fileCount": str(len(job.shards)), "rowCount": str(table.num_rows)}
        return {
            "statementType": "EXPORT_DATA",
            "exportDataStatistics": counts,
            "totalPartitionsProcessed": "0",
            "transferredBytes": "0",
        }

    def _run_extract(self, job: Job) -> None:
        extract = job.configuration["extract"]
        source = TableName.of(extract["sourceTable"], job.project)
        files, destination = self.exporter.extract_files(extract)
        query, options, names = f"SELECT * FROM {source.quoted}", {}, [source]
        origin = self._anonymous_origin(source)
        if origin is not None:
            query = origin.configuration["query"]["query"]
            options = options_of(origin.configuration["query"])
            names = []
        else:
            self.catalog.resource(source)
        fields = self.results.fields(query, statement_of(self.emulator, query), names, options)
        self.exporter.check_schema(fields, files)
        self.exporter.check_destination(destination, overwrite=True)
        table = self.results.table(query, fields, options, as_text=files.format == "CSV")
        plan = job.plan if "*" in destination.name else JobPlan()
        job.files = files
        job.shards = self.exporter.shards(table, fields, files, destination, plan)
        self._publish_freely(job, files)
        job.statistics["extract"] = {
            "destinationUriFileCounts": [str(len(job.shards))],
            "inputBytes": str(table.nbytes),
        }

    def _anonymous_origin(self, name: TableName) -> Job | None:
        """The job whose result an anonymous table is."""
        if name.dataset != _ANONYMOUS:
            return None
        for job in self.jobs():
            destination = job.configuration.get("query", {}).get("destinationTable", {})
            if destination.get("tableId") == name.table:
                return job
        raise JobError("notFound", f"Not found: Table {name}")

    def _run_into_table(
        self, query: dict[str, Any], options: dict[str, Any], job: Job
    ) -> dict[str, Any]:
        """A query with a destination table, which bqemulator does not write."""
        target = TableName.of(query["destinationTable"], job.project)
        disposition = query.get("writeDisposition") or "WRITE_EMPTY"
        self.catalog.dataset_location(target.project, target.dataset)
        try:
            rows = int(self.catalog.resource(target)["numRows"])
        except JobError:
            if query.get("createDisposition") == "CREATE_NEVER":
                raise
            rows = -1
        if disposition == "WRITE_EMPTY" and rows > 0:
            raise JobError("duplicate", f"Already Exists: Table {target}")
        text = query["query"].rstrip().rstrip(";")
        if disposition == "WRITE_APPEND" and rows >= 0:
            statement = f"INSERT INTO {target.quoted}\n{text}"
        else:
            statement = f"CREATE OR REPLACE TABLE {target.quoted} AS\n{text}"
        self.emulator.run(statement, options)
        self.catalog.note(self.emulator.sql.read(statement), default_dataset(query))
        # What getQueryResults pages through.
        self.emulator.run(f"SELECT * FROM {target.quoted}", job_id=job.job_id)
        return {"statementType": "SELECT"}

    def _check_locations(self, job: Job, names: list[TableName]) -> None:
        for name in names:
            if self.catalog.dataset_location(name.project, name.dataset) != job.location:
                raise JobError(
                    "notFound",
                    f"Not found: Dataset {name.project}:{name.dataset} was not found in location "
                    f"{job.location}",
                )

    def _publish(self, job: Job, *, is_last: bool) -> None:
        """Writes the files that are to be seen from this poll on."""
        files = job.files
        if files is None:
            return
        is_failing = is_last and job.plan.error is not None
        visible = job.visible()
        count = len(job.shards) if visible is None or (is_last and not is_failing) else visible
        while job.published < count:
            shard = job.shards[job.published]
            self.exporter.write(shard, files, is_draft=not is_last and shard.draft is not None)
            if is_last:
                shard.draft = None
            job.published += 1
        if is_last and not is_failing:
            for shard in job.shards:
                if shard.draft is not None:
                    self.exporter.write(shard, files, is_draft=False)

    def _publish_freely(self, job: Job, files: FileOptions) -> None:
        """Writes all files at once, where the plan does not say which is to be seen when."""
        if job.plan.visible_shards or job.plan.drafts:
            return
        for shard in job.shards:
            if job.is_cancelled:
                return
            self.exporter.write(shard, files, is_draft=False)
            job.published += 1

    def _end(self, job: Job, error: JobError | None) -> None:
        job.state = "DONE"
        job.error = error
        job.started_ms = job.started_ms or int(time.time() * 1000)
        job.ended_ms = int(time.time() * 1000)
        if job.plan.after_done is not None:
            job.plan.after_done(job)
