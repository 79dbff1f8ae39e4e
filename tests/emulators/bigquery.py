"""BigQuery: a server that speaks its REST interface, on bqemulator, as the real service would.

bqemulator runs the SQL. What it does otherwise than the service is undone here: jobs take polls,
an id is good for one job, exports go to the Cloud Storage server in the service's own spelling,
loads come from there, tables know when they were changed, dry runs know what they read.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any

from emulators.bqemulator import PREFIX, Bqemulator
from emulators.catalog import Catalog
from emulators.exports import Exporter, Results
from emulators.http_service import Answer, Call, Service
from emulators.job_runner import JobRunner
from emulators.jobs import Job, JobError, JobPlan, canonical_location
from emulators.loads import STAGING, Loader, storable
from emulators.object_store import ObjectStore
from emulators.queries import Queries
from emulators.settings import Settings
from emulators.sql import TableName
from emulators.uploads import Uploads

_Route = Callable[[Call, re.Match[str]], Answer]


class BigQuery(Service):
    """The stand-in; a context manager that ends it.

    Attributes:
        project: the project.
        storage: where exports go.
        storage_read_address: host and port of the Storage Read API (gRPC, without TLS).
        settings: what tests choose.
    """

    def __init__(self, storage: ObjectStore, project: str = "test-project") -> None:
        """Starts it.

        Raises:
            LookupError: bqemulator is not installed.
            StartError: it did not come up.
        """
        self.project = project
        self.storage = storage
        self.settings = Settings()
        self._emulator = Bqemulator(project)
        self.storage_read_address = self._emulator.storage_read_address
        self._catalog = Catalog(self._emulator, self.settings)
        results = Results(self._emulator, self._catalog, self.settings)
        self._own_storage = storage
        self._exporter = Exporter(storage, self.settings)
        self._loader = Loader(self._emulator, self._catalog, storage)
        self._queries = Queries(
            self._emulator, self._catalog, results, self._exporter, self.settings
        )
        self._runner = JobRunner(
            self._emulator,
            self._catalog,
            results,
            self._exporter,
            self._loader,
            self._queries,
            self.settings,
        )
        self._uploads = Uploads()
        self._emulator.ask(
            "POST", f"{project}/datasets", {"datasetReference": {"datasetId": STAGING}}
        )
        jobs = rf"^{PREFIX}/projects/(?P<project>[^/]+)/jobs"
        datasets = rf"^{PREFIX}/projects/(?P<project>[^/]+)/datasets"
        table = rf"{datasets}/(?P<dataset>[^/]+)/tables/(?P<table>[^/]+)"
        self._routes: list[tuple[str, str, _Route]] = [
            ("POST", rf"{jobs}$", self._insert_job),
            ("GET", rf"{jobs}$", self._list_jobs),
            ("GET", rf"{jobs}/(?P<job>[^/]+)$", self._get_job),
            ("POST", rf"{jobs}/(?P<job>[^/]+)/cancel$", self._cancel_job),
            ("DELETE", rf"{jobs}/(?P<job>[^/]+)(/delete)?$", self._delete_job),
            ("GET", rf"^{PREFIX}/projects/[^/]+/queries/(?P<job>[^/]+)$", self._get_results),
            ("POST", rf"^{PREFIX}/projects/(?P<project>[^/]+)/queries$", self._query),
            ("GET", rf"{datasets}$", self._list_datasets),
            ("POST", rf"{datasets}$", self._insert_dataset),
            ("POST", rf"{datasets}/(?P<dataset>[^/]+)/tables$", self._insert_table),
            ("GET", rf"{table}$", self._get_table),
            ("PATCH", rf"{table}$", self._change_table),
            ("PUT", rf"{table}$", self._change_table),
            ("POST", rf"{table}/insertAll$", self._insert_all),
            ("POST", rf"^/(?:resumable/)?upload{PREFIX}/projects/[^/]+/jobs$", self._upload),
            ("PUT", rf"^/(?:resumable/)?upload{PREFIX}/projects/[^/]+/jobs$", self._upload),
        ]
        super().__init__()

    # What tests control.

    def plan_next(self, *plans: JobPlan) -> None:
        """How the next jobs go that are inserted, in their order; dry runs do not count."""
        self.settings.plans += plans

    def use_storage(self, storage: ObjectStore) -> None:
        """Has exports go to another store, and loads come from there, until the next test."""
        self.storage = self._exporter.storage = self._loader.storage = storage

    def jobs(self) -> list[Job]:
        """The jobs that were inserted, in their order."""
        return self._runner.jobs()

    def job(self, job_id: str) -> Job:
        """A job.

        Raises:
            KeyError: there is none.
        """
        job = self._runner.find(job_id)
        if job is None:
            raise KeyError(job_id)
        return job

    def release(self, job_id: str) -> None:
        """Lets go of a job whose plan says that it stays."""
        self.job(job_id).release()

    def rewrite(self, job_id: str, number: int, data: bytes | None = None) -> None:
        """Writes a file of an export again: a new generation, with other bytes if given."""
        shard = self.job(job_id).shards[number]
        self.storage.put(shard.bucket, shard.name, shard.data if data is None else data)

    def forget(self) -> None:
        """Forgets calls, faults, jobs and what was chosen; tables stay."""
        super().forget()
        self._runner.forget()
        self.settings.reset()
        self.use_storage(self._own_storage)

    def close(self) -> None:
        super().close()
        self._runner.forget()
        self._emulator.close()

    # Routes.

    def serve(self, call: Call) -> Answer:
        refused = self.authorize(call)
        if refused is not None:
            return refused
        try:
            for method, pattern, route in self._routes:
                found = re.match(pattern, call.path)
                if method == call.method and found:
                    return route(call, found)
            return self._pass_on(call)
        except JobError as error:
            return error.answer()

    def _pass_on(self, call: Call) -> Answer:
        kind = call.headers.get("Content-Type", "application/json")
        status, body = self._emulator.call(call.method, call.target, call.body, kind)
        return Answer(status, [("Content-Type", "application/json; charset=UTF-8")], body)

    def _insert_job(self, call: Call, found: re.Match[str]) -> Answer:
        return Answer.of_json(self._insert(call.json(), found["project"]))

    def _insert(
        self, body: dict[str, Any], project: str, data: bytes | None = None
    ) -> dict[str, Any]:
        """A new job, or the answer to a dry run."""
        reference = body.get("jobReference") or {}
        configuration = body.get("configuration") or {}
        if configuration.get("dryRun"):
            return self._queries.dry_run(configuration, reference, project)
        location = reference.get("location")
        job = self._runner.add(
            project,
            reference.get("jobId") or f"job_{uuid.uuid4().hex}",
            canonical_location(location or self._queries.location_of(configuration, project)),
            configuration,
            data,
        )
        return job.resource()

    def _list_jobs(self, call: Call, found: re.Match[str]) -> Answer:
        wanted = call.query.get("stateFilter", "").upper()
        since = int(call.query.get("minCreationTime") or 0)
        resources = [job.resource() for job in reversed(self.jobs()) if job.created_ms >= since]
        listed = [
            {**one, "state": one["status"]["state"]}
            for one in resources
            if wanted in ("", one["status"]["state"]) and "parentJobId" not in call.query
        ]
        size = int(call.query.get("maxResults") or 1000)
        first = int(call.query.get("pageToken") or 0)
        page: dict[str, Any] = {"kind": "bigquery#jobList", "jobs": listed[first : first + size]}
        if first + size < len(listed):
            page["nextPageToken"] = str(first + size)
        return Answer.of_json(page)

    def _get_job(self, call: Call, found: re.Match[str]) -> Answer:
        job = self._find(found["job"], call)
        self._runner.advance(job)
        return Answer.of_json(job.resource())

    def _cancel_job(self, call: Call, found: re.Match[str]) -> Answer:
        job = self._find(found["job"], call)
        self._runner.cancel(job)
        return Answer.of_json({"kind": "bigquery#jobCancelResponse", "job": job.resource()})

    def _delete_job(self, call: Call, found: re.Match[str]) -> Answer:
        self._runner.delete(self._find(found["job"], call))
        return Answer(204)

    def _get_results(self, call: Call, found: re.Match[str]) -> Answer:
        job = self._find(found["job"], call)
        self._runner.advance(job)
        self._runner.finish(job)
        return self._results(job, call)

    def _results(self, job: Job, call: Call) -> Answer:
        """The answer of getQueryResults."""
        reference = job.resource()["jobReference"]
        kind = "bigquery#getQueryResultsResponse"
        if job.state != "DONE":
            pending = {"kind": kind, "jobReference": reference, "jobComplete": False}
            return Answer.of_json(pending)
        if job.error is not None:
            raise job.error
        size = job.statistics.get("totalBytesProcessed", "0")
        head = {"kind": kind, "jobReference": reference, "jobComplete": True}
        head |= {"totalBytesProcessed": size, "cacheHit": False}
        if job.statistics.get("query", {}).get("statementType") == "EXPORT_DATA":
            return Answer.of_json({**head, "schema": {"fields": []}, "totalRows": "0"})
        query = urllib.parse.urlsplit(call.target).query if call.method == "GET" else ""
        target = f"{PREFIX}/projects/{job.project}/queries/{job.job_id}?{query}"
        status, body = self._emulator.call("GET", target)
        if status != 200:
            raise JobError.of_answer(status, body)
        page = json.loads(body)
        fields = page.get("schema", {}).get("fields", [])
        page["schema"] = {
            "fields": self._catalog.with_declared_types(fields, job.reads, job.geography)
        }
        return Answer.of_json({**page, **head})

    def _query(self, call: Call, found: re.Match[str]) -> Answer:
        """jobs.query: a job that is waited for."""
        body = call.json()
        members = ("query", "queryParameters", "parameterMode", "defaultDataset", "useLegacySql")
        query = {name: body[name] for name in members if name in body}
        query |= {name: body[name] for name in ("maximumBytesBilled",) if name in body}
        configuration = {"query": query, "labels": body.get("labels", {})}
        reference = {"location": body.get("location")}
        if body.get("dryRun"):
            dry = self._queries.dry_run(
                {**configuration, "dryRun": True}, reference, found["project"]
            )
            statistics = dry["statistics"]
            return Answer.of_json(
                {
                    "kind": "bigquery#queryResponse",
                    "jobReference": {"projectId": found["project"]},
                    "jobComplete": True,
                    "schema": statistics["query"]["schema"],
                    "totalBytesProcessed": statistics["totalBytesProcessed"],
                }
            )
        resource = self._insert(
            {"configuration": configuration, "jobReference": reference}, found["project"]
        )
        job = self.job(resource["jobReference"]["jobId"])
        self._runner.finish(job)
        return self._results(job, call)

    def _list_datasets(self, call: Call, found: re.Match[str]) -> Answer:
        answer = self._pass_on(call)
        assert isinstance(answer.body, bytes)
        listing = json.loads(answer.body)
        listing["datasets"] = [
            one
            for one in listing.get("datasets", ())
            if not one["datasetReference"]["datasetId"].startswith("_")
        ]
        return Answer.of_json(listing, answer.status)

    def _insert_dataset(self, call: Call, found: re.Match[str]) -> Answer:
        body = {"location": self.settings.location, **call.json()}
        return Answer.of_json(self._emulator.ask("POST", f"{found['project']}/datasets", body))

    def _insert_table(self, call: Call, found: re.Match[str]) -> Answer:
        body = call.json()
        name = TableName.of(body["tableReference"], found["project"])
        fields = body.get("schema", {}).get("fields", [])
        path = f"{name.project}/datasets/{name.dataset}/tables"
        sent = {**body, "schema": {"fields": storable(fields)}} if fields else body
        self._emulator.ask("POST", path, sent)
        self._catalog.declare(name, fields)
        if body.get("view"):
            self._catalog.define(name, body["view"]["query"])
        self._catalog.touch(name)
        return Answer.of_json(self._catalog.resource(name))

    def _get_table(self, call: Call, found: re.Match[str]) -> Answer:
        return Answer.of_json(self._catalog.resource(_table_name(found)))

    def _change_table(self, call: Call, found: re.Match[str]) -> Answer:
        name = _table_name(found)
        body = call.json()
        path = f"{name.project}/datasets/{name.dataset}/tables/{name.table}"
        self._emulator.ask(call.method, path, body)
        if body.get("view"):
            self._catalog.define(name, body["view"]["query"])
        self._catalog.touch(name)
        return Answer.of_json(self._catalog.resource(name))

    def _insert_all(self, call: Call, found: re.Match[str]) -> Answer:
        answer = self._pass_on(call)
        self._catalog.touch(_table_name(found))
        return answer

    def _upload(self, call: Call, found: re.Match[str]) -> Answer:
        """A load job that brings its data with it."""
        uploaded = self._uploads.take(call, self.endpoint)
        if isinstance(uploaded, Answer):
            return uploaded
        body, data = uploaded
        return Answer.of_json(self._insert(body, self.project, data))

    def _find(self, job_id: str, call: Call) -> Job:
        """A job, where the call looks for it in the right place.

        Raises:
            JobError: there is none, or it is elsewhere.
        """
        job = self._runner.find(job_id)
        location = call.query.get("location", "")
        if job is not None and job.is_at(location):
            return job
        place = f"{canonical_location(location)}." if location else ""
        raise JobError("notFound", f"Not found: Job {self.project}:{place}{job_id}")


def _table_name(found: re.Match[str]) -> TableName:
    parts = (urllib.parse.unquote(found[name]) for name in ("project", "dataset", "table"))
    return TableName(*parts)
