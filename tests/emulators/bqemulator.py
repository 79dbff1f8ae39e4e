"""bqemulator as a child process, and calls to it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from emulators import http_client, install
from emulators.jobs import JobError
from emulators.processes import HOST, Child, accepts, free_port, start
from emulators.sql import SqlReader

PREFIX = "/bigquery/v2"


class Bqemulator:
    """A running bqemulator with an empty catalog.

    Attributes:
        project: the project of what names none.
        storage_read_address: host and port of its Storage Read API (gRPC, without TLS).
        files: the folder that ``gs://`` stands for inside of it.
        sql: its parser.
    """

    def __init__(self, project: str) -> None:
        """Starts it.

        Raises:
            LookupError: it is not installed.
            StartError: it did not come up.
        """
        program = install.find("bigquery")
        if program is None:
            raise LookupError("bqemulator is not installed: tests/emulators/install.py bigquery")
        self.project = project
        self.files = Path(tempfile.mkdtemp(prefix="hayate-bigquery-"))

        def build() -> Child:
            self._port, grpc_port = free_port(), free_port()
            self.storage_read_address = f"{HOST}:{grpc_port}"
            command = [
                *(str(program), "start", "--ephemeral", "--project", project),
                *("--rest-host", HOST, "--rest-port", str(self._port)),
                *("--grpc-host", HOST, "--grpc-port", str(grpc_port)),
                *("--log-level", "warning"),
            ]
            environment = {
                "HOME": str(install.home("bigquery")),
                "BQEMU_ENABLE_FORMAT_EXTENSIONS": "0",
                "BQEMU_GCS_LOCAL_ROOT": str(self.files),
                "BQEMU_UPLOAD_STAGING_DIR": str(self.files / "uploads"),
                "PYTHONPATH": "",
            }
            return Child(
                command,
                is_ready=lambda: accepts(self._port) and accepts(grpc_port),
                environment=environment,
                # It would read a .bqemu.toml of ours.
                cwd=self.files,
            )

        try:
            self._child = start(build)
        except BaseException:
            shutil.rmtree(self.files, ignore_errors=True)
            raise
        self.sql = SqlReader(program.with_name("python"))

    def call(
        self, method: str, target: str, body: bytes = b"", content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """Status and body of its answer to a call as it stands."""
        sent = body if method in ("POST", "PUT", "PATCH") else None
        reply = http_client.ask(
            method, f"http://{HOST}:{self._port}{target}", sent, {"Content-Type": content_type}
        )
        return reply.status, reply.body

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON of its answer to a call below the project.

        Args:
            method: the HTTP method.
            path: what follows ``/bigquery/v2/projects/``.
            body: what is sent.

        Raises:
            JobError: it answered with an error.
        """
        status, answer = self.call(
            method, f"{PREFIX}/projects/{path}", json.dumps(body or {}).encode()
        )
        if status >= 400:
            raise JobError.of_answer(status, answer)
        found: dict[str, Any] = json.loads(answer or b"{}")
        return found

    def run(
        self, query: str, options: dict[str, Any] | None = None, job_id: str = ""
    ) -> dict[str, Any]:
        """Runs a statement as a job.

        Args:
            query: the statement.
            options: further members of ``configuration.query``, as parameters.
            job_id: the job's, or empty for a new one.

        Returns:
            The job that was done.

        Raises:
            JobError: it failed.
        """
        configuration = {**(options or {}), "query": query, "useLegacySql": False}
        reference = {"projectId": self.project, "jobId": job_id or f"bridge-{uuid.uuid4().hex}"}
        job = self.ask(
            "POST",
            f"{self.project}/jobs",
            {"jobReference": reference, "configuration": {"query": configuration}},
        )
        error = job["status"].get("errorResult")
        if error:
            raise JobError(error["reason"], error["message"], error.get("location", ""))
        return job

    def dry_run(self, query: str, options: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """The fields of a query's result.

        Raises:
            JobError: it cannot be run.
        """
        configuration = {**(options or {}), "query": query, "useLegacySql": False}
        job = self.ask(
            "POST",
            f"{self.project}/jobs",
            {"configuration": {"dryRun": True, "query": configuration}},
        )
        fields: list[dict[str, Any]] = job["statistics"]["query"]["schema"]["fields"]
        return fields

    def rows(self, query: str, options: dict[str, Any] | None = None) -> list[list[Any]]:
        """The rows of a small result, every value as text.

        Raises:
            JobError: it failed.
        """
        job_id = f"bridge-{uuid.uuid4().hex}"
        self.run(query, options, job_id)
        answer = self.ask("GET", f"{self.project}/queries/{job_id}")
        self.ask("DELETE", f"{self.project}/jobs/{job_id}")
        return [[cell["v"] for cell in row["f"]] for row in answer.get("rows", ())]

    def folder(self) -> Path:
        """A new folder below `files`; whoever asks for it removes it."""
        path = self.files / uuid.uuid4().hex
        path.mkdir()
        return path

    def uri(self, path: Path) -> str:
        """How a statement names a file below `files`."""
        return f"gs://{os.path.relpath(path, self.files)}"

    def log(self) -> str:
        return self._child.log()

    def close(self) -> None:
        self.sql.close()
        self._child.close()
        shutil.rmtree(self.files, ignore_errors=True)
