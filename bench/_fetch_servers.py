"""What the fetch benchmark reads from: Cloud Storage, the query API, and iperf3."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from _fetch_data import Shards
from emulators import http_client, install
from emulators.bqemulator import PREFIX
from emulators.long_network import Loopback
from emulators.processes import Child, free_port, start

BUCKET = "bench-fetch"
PROJECT = "bench-fetch"
TABLE = "bench.rows"


class Server:
    """A child on the server's side of a network; a context manager that ends it.

    Attributes:
        address: host and port, for clients.
    """

    def __init__(self, network: Loopback) -> None:
        """Starts it.

        Raises:
            LookupError: it is not installed.
            StartError: it did not come up.
        """
        self._network = network
        with network.server_side():
            self._child = start(self._build)

    @property
    def address(self) -> str:
        return f"{self._network.address}:{self._port}"

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}"

    def close(self) -> None:
        self._child.close()

    def _build(self) -> Child:
        self._port = free_port()
        return Child(self._command(), is_ready=self._listens, environment=self._environment())

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        return {}

    def _listens(self) -> bool:
        """Seen without a connection, as iperf3 takes each for a client."""
        local, listening = f":{self._port:04X}", "0A"
        lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        return any(one[1].endswith(local) and one[3] == listening for one in fields)

    def _ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> dict[str, Any]:
        """The JSON of an answer, without the network between.

        Raises:
            OSError: it is an error.
        """
        headers = {"Content-Type": kind or "application/json"}
        with self._network.server_side():
            sent = body if method == "POST" else None
            reply = http_client.ask(method, self.endpoint + path, sent, headers)
        if reply.status >= 400:
            raise OSError(f"{method} {path}: {reply.status} {reply.body[:500]!r}")
        return reply.json()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Storage(Server):
    """fake-gcs-server, with one export in one bucket."""

    def __init__(self, network: Loopback, export: Shards) -> None:
        super().__init__(network)
        try:
            self._ask("POST", "/storage/v1/b", json.dumps({"name": BUCKET}).encode())
            for path in export.paths:
                query = urlencode({"uploadType": "media", "name": f"run/{path.name}"})
                target = f"/upload/storage/v1/b/{BUCKET}/o?{query}"
                self._ask("POST", target, path.read_bytes(), "application/octet-stream")
        except BaseException:
            self.close()
            raise

    def _command(self) -> list[str]:
        program = _program("storage")
        host = self._network.address
        return [
            *(program, "-scheme", "http", "-host", host, "-port", str(self._port)),
            *("-public-host", self.address, "-external-url", self.endpoint),
            *("-backend", "memory", "-log-level", "error"),
        ]


class QueryApi(Server):
    """bqemulator, with the rows of some CSV shards in one table."""

    def __init__(self, network: Loopback, export: Shards) -> None:
        self._files = Path(tempfile.mkdtemp(prefix="hayate-bench-"))
        try:
            super().__init__(network)
            try:
                self._load(export)
            except BaseException:
                self._child.close()
                raise
        except BaseException:
            shutil.rmtree(self._files, ignore_errors=True)
            raise

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._files, ignore_errors=True)

    def _load(self, export: Shards) -> None:
        bucket = self._files / BUCKET
        bucket.mkdir()
        for path in export.paths:
            shutil.copyfile(path, bucket / path.name)
        jobs = f"{PREFIX}/projects/{PROJECT}"
        dataset, table = TABLE.split(".")
        body: dict[str, Any] = {"datasetReference": {"projectId": PROJECT, "datasetId": dataset}}
        self._ask("POST", f"{jobs}/datasets", json.dumps(body).encode())
        load = {
            "sourceUris": [f"gs://{BUCKET}/{path.name}" for path in export.paths],
            "sourceFormat": "CSV",
            "skipLeadingRows": 1,
            "schema": {"fields": [{"name": n, "type": kind} for n, kind in export.schema.items()]},
            "destinationTable": {"projectId": PROJECT, "datasetId": dataset, "tableId": table},
            "writeDisposition": "WRITE_TRUNCATE",
        }
        body = {"configuration": {"load": load}}
        done = self._ask("POST", f"{jobs}/jobs", json.dumps(body).encode())
        error = done["status"].get("errorResult")
        rows = done["statistics"].get("load", {}).get("outputRows")
        if error or rows != str(export.rows):
            raise OSError(f"bqemulator loaded {rows} of {export.rows} rows: {error}")

    def _command(self) -> list[str]:
        host = self._network.address
        return [
            *(_program("bigquery"), "start", "--ephemeral", "--project", PROJECT),
            *("--rest-host", host, "--rest-port", str(self._port)),
            *("--grpc-host", host, "--grpc-port", str(free_port()), "--log-level", "warning"),
        ]

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(install.home("bigquery")),
            "BQEMU_ENABLE_FORMAT_EXTENSIONS": "0",
            "BQEMU_GCS_LOCAL_ROOT": str(self._files),
            "BQEMU_UPLOAD_STAGING_DIR": str(self._files / "uploads"),
            "PYTHONPATH": "",
        }


class Iperf(Server):
    """iperf3, which measures what the network itself can carry."""

    def _command(self) -> list[str]:
        program = shutil.which("iperf3")
        if program is None:
            raise LookupError("iperf3 is not installed: apt-get install iperf3")
        return [program, "--server", "--bind", self._network.address, "--port", str(self._port)]


def _program(name: str) -> str:
    found = install.find(name)
    if found is None:
        raise LookupError(f"not installed: python tests/emulators/install.py {name}")
    return os.fspath(found)
