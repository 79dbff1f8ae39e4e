"""A small BigQuery and Cloud Storage, by which the control of hayate.google is tested: the first at
the level of its REST API, the second as an object that stands in for the engine's connection."""

from __future__ import annotations

import copy
import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hayate.errors import BusyError, InputError, Where

Answer = tuple[int, dict[str, Any]]


def error(code: int, reason: str, message: str = "no") -> Answer:
    """A refusal as the service writes it."""
    described = {"message": message, "domain": "global", "reason": reason}
    return code, {"error": {"code": code, "message": message, "errors": [described]}}


class FakeBigQuery:
    """Jobs and tables in memory.

    Attributes:
        faults: answers to give instead of the next ones: (method, part of the path) → list of
            answers; "lost" does the work and breaks the connection.
        dry: the statistics of dry runs.
        tables: "p.d.t" → resource.
        states: of a job, one for each time that it is asked for; the last one stays.
        inserted: the jobs that were made, by id.
        requests: method and path of each request.
    """

    def __init__(self) -> None:
        self.faults: dict[tuple[str, str], list[Answer | str]] = {}
        self.dry: dict[str, Any] = {}
        self.tables: dict[str, dict[str, Any]] = {}
        self.states: list[dict[str, Any]] = [done()]
        self.inserted: dict[str, dict[str, Any]] = {}
        self.dry_runs: list[dict[str, Any]] = []
        self.looks: dict[str, int] = {}
        self.cancelled: list[str] = []
        self.ended: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.on_insert: Callable[[dict[str, Any]], None] = lambda job: None
        self.dry_answer: Callable[[str], Answer | None] = lambda sql: None
        self.insert_answer: Callable[[str], Answer | None] = lambda sql: None
        self.project = "test-project"
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer | str:
        """What to answer; "lost" for a broken connection."""
        with self.lock:
            self.requests.append(f"{method} {path}")
            fault: Answer | str | None = None
            for (wanted, part), answers in self.faults.items():
                if wanted == method and part in path and answers:
                    fault = answers.pop(0)
                    break
            if isinstance(fault, tuple):
                return fault
            result = self._answer(method, path, body)
            return result if fault is None else fault

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        parts = path.partition("?")[0].strip("/").split("/")
        parts = parts[parts.index("projects") :]
        if parts[2] == "jobs" and method == "POST" and parts[-1] == "cancel":
            if parts[3] not in self.inserted:
                return error(404, "notFound")
            self.cancelled.append(parts[3])
            self.ended[parts[3]] = failed("stopped", "cancelled")
            return 200, {"job": self._job(parts[3])}
        if parts[2] == "jobs" and method == "POST":
            return self._insert(body)
        if parts[2] == "jobs":
            return (
                (200, self._job(parts[3])) if parts[3] in self.inserted else error(404, "notFound")
            )
        name = ".".join((parts[1], parts[3], parts[5]))
        found = self.tables.get(name)
        return (200, found) if found is not None else error(404, "notFound", f"Not found: {name}")

    def _insert(self, body: dict[str, Any]) -> Answer:
        configuration = body["configuration"]
        if configuration.get("dryRun"):
            self.dry_runs.append(configuration)
            sql = configuration["query"]["query"]
            return self.dry_answer(sql) or (200, self._dry_job(body))
        refused = self.insert_answer(configuration.get("query", {}).get("query", ""))
        if refused is not None:
            return refused
        reference = body["jobReference"]
        if reference["jobId"] in self.inserted:
            return error(409, "duplicate", "Already Exists")
        self.inserted[reference["jobId"]] = copy.deepcopy(body)
        self.looks[reference["jobId"]] = 0
        self.on_insert(body)
        return 200, {**body, "status": {"state": "PENDING"}}

    def _dry_job(self, body: dict[str, Any]) -> dict[str, Any]:
        given = body.get("jobReference") or {}
        reference = {"location": given.get("location", "US"), "projectId": self.project}
        return {
            **body,
            "jobReference": {**reference, "jobId": given.get("jobId", "dry")},
            "status": {"state": "DONE"},
            "statistics": {"query": {"statementType": "SELECT", **self.dry}},
        }

    def _job(self, name: str) -> dict[str, Any]:
        look = self.looks[name]
        self.looks[name] = look + 1
        state = self.ended.get(name) or self.states[min(look, len(self.states) - 1)]
        return {**self.inserted[name], **state}


def done(files: int = 1, rows: int = 3, billed: int = 0) -> dict[str, Any]:
    """The end of an export."""
    counts = {"fileCount": str(files), "rowCount": str(rows)}
    query = {"exportDataStatistics": counts, "totalBytesBilled": str(billed)}
    return {"status": {"state": "DONE"}, "statistics": {"query": query}}


def pending() -> dict[str, Any]:
    """A job that waits."""
    return {"status": {"state": "PENDING"}}


def failed(reason: str, message: str = "no") -> dict[str, Any]:
    """A job that failed."""
    return {
        "status": {"state": "DONE", "errorResult": {"reason": reason, "message": message}},
        "statistics": {"query": {}},
    }


@contextmanager
def serving(service: FakeBigQuery) -> Iterator[str]:
    """The service at an address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._reply("POST")

        def do_GET(self) -> None:
            self._reply("GET")

        def _reply(self, method: str) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            answer = service.answer(method, self.path, body)
            if isinstance(answer, str):
                self.close_connection = True
                self.connection.close()
                return
            data = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class FakeStorage:
    """Objects in memory, with generations and the bucket's own clock.

    Attributes:
        objects: URI → (content, generation, time of the last change).
        held: the permissions that we have.
        resource: of the bucket; None if there is none.
        fails: names of methods that raise.
    """

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, int, dt.datetime]] = {}
        self.held: list[str] | None = None
        self.resource: dict[str, Any] | None = {"location": "US"}
        self.fails: set[str] = set()
        self.deleted: list[str] = []
        self.now = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)
        self.generation = 1000

    def _check(self, method: str) -> None:
        if method in self.fails:
            raise InputError(f"{method} does not work", Where(object="gs://bucket"))

    def list(self, uri_prefix: str) -> list[dict[str, Any]]:
        self._check("list")
        return [self._described(uri) for uri in sorted(self.objects) if uri.startswith(uri_prefix)]

    def bucket(self, name: str) -> dict[str, Any]:
        self._check("bucket")
        if self.resource is None:
            raise InputError("there is no such bucket", Where(object=f"gs://{name}"))
        return self.resource

    def permissions(self, bucket: str, wanted: list[str]) -> list[str]:  # type: ignore[valid-type]
        return wanted if self.held is None else [one for one in wanted if one in self.held]  # type: ignore[attr-defined]

    def read(self, uri: str) -> bytes:
        self._check("read")
        if uri not in self.objects:
            raise InputError("there is no such object", Where(object=uri))
        return self.objects[uri][0]

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> dict[str, Any]:
        self._check("write")
        if if_absent and uri in self.objects:
            raise BusyError("there is such an object already", Where(object=uri))
        self.generation += 1
        self.objects[uri] = (data, self.generation, self.now)
        return self._described(uri)

    def stop(self) -> None:
        """Nothing here takes any time."""

    def resume(self) -> None:
        """See stop()."""

    def delete(self, objects: list[tuple[str, int]]) -> int:  # type: ignore[valid-type]
        self._check("delete")
        count = 0
        for uri, generation in objects:  # type: ignore[attr-defined]
            if uri in self.objects and generation in (0, self.objects[uri][1]):
                del self.objects[uri]
                self.deleted.append(uri)
                count += 1
        return count

    def _described(self, uri: str) -> dict[str, Any]:
        data, generation, updated = self.objects[uri]
        return {
            "uri": uri,
            "size_bytes": len(data),
            "generation": generation,
            "crc32c": None,
            "updated_ns": int(updated.timestamp()) * 1_000_000_000,
        }
