"""Cloud Storage: fake-gcs-server, and the few calls that tests and the bridge make themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from emulators import http_client, install
from emulators.http_relay import Relay
from emulators.http_service import Answer
from emulators.object_store import ObjectStore, StoredObject
from emulators.processes import HOST, Child, accepts, free_port, start


class CloudStorage(ObjectStore):
    """A running server that keeps its objects in memory; a context manager that ends it.

    Attributes:
        endpoint: its address, as STORAGE_EMULATOR_HOST wants it.
    """

    def __init__(self) -> None:
        """Starts it.

        Raises:
            LookupError: it is not installed.
            StartError: it did not come up.
        """
        program = install.find("storage")
        if program is None:
            raise LookupError(
                "fake-gcs-server is not installed: tests/emulators/install.py storage"
            )

        def build() -> Child:
            self.port = free_port()
            self.endpoint = f"http://{HOST}:{self.port}"
            command = [
                str(program),
                *("-scheme", "http", "-host", HOST, "-port", str(self.port)),
                *("-public-host", f"{HOST}:{self.port}", "-external-url", self.endpoint),
                *("-backend", "memory", "-log-level", "error"),
            ]
            return Child(command, is_ready=lambda: accepts(self.port))

        self._child = start(build)
        self._relay = Relay(self.port)

    @property
    def pid(self) -> int:
        return self._child.pid

    def make_bucket(self, bucket: str) -> None:
        body = json.dumps({"name": bucket}).encode()
        status, answer = self._call("POST", "/storage/v1/b?project=test-project", body)
        if status not in (200, 409):
            raise OSError(f"making {bucket}: {status} {answer[:200]!r}")

    def has_bucket(self, bucket: str) -> bool:
        return self._call("GET", f"/storage/v1/b/{quote(bucket)}")[0] == 200

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        content_encoding: str = "",
    ) -> StoredObject:
        query = {"uploadType": "media", "name": name}
        if content_encoding:
            query["contentEncoding"] = content_encoding
        path = f"/upload/storage/v1/b/{quote(bucket)}/o?{urlencode(query)}"
        headers = {"Content-Type": content_type}
        return _stored(json.loads(self._must("POST", path, data, headers)))

    def read(self, bucket: str, name: str) -> bytes:
        path = f"{_object_path(bucket, name)}?alt=media"
        return self._must("GET", path, headers={"Accept-Encoding": "gzip"})

    def delete(self, bucket: str, name: str) -> None:
        status, answer = self._call("DELETE", _object_path(bucket, name))
        if status not in (200, 204, 404):
            raise OSError(f"deleting gs://{bucket}/{name}: {status} {answer[:200]!r}")

    def objects(self, bucket: str, prefix: str = "") -> list[StoredObject]:
        found: list[StoredObject] = []
        token = ""
        while True:
            query = urlencode({"prefix": prefix, "pageToken": token})
            page = json.loads(self._must("GET", f"/storage/v1/b/{quote(bucket)}/o?{query}"))
            found += [_stored(item) for item in page.get("items", ())]
            token = page.get("nextPageToken", "")
            if not token:
                return sorted(found, key=lambda one: one.name)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The server's own answer to a call; its body is a stream."""
        return self._relay.ask(method, target, headers, body)

    def close(self) -> None:
        self._relay.close()
        self._child.close()

    def _must(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> bytes:
        status, answer = self._call(method, path, body, headers)
        if status != 200:
            raise OSError(f"{method} {path}: {status} {answer[:200]!r}")
        return answer

    def _call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        reply = http_client.ask(
            method,
            self.endpoint + path,
            body if method in ("POST", "PUT") else None,
            {"Content-Type": "application/json", **(headers or {})},
        )
        return reply.status, reply.body

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _object_path(bucket: str, name: str) -> str:
    return f"/storage/v1/b/{quote(bucket)}/o/{quote(name, safe='')}"


def _stored(item: dict[str, Any]) -> StoredObject:
    return StoredObject(
        item["bucket"],
        item["name"],
        int(item["generation"]),
        int(item.get("size", 0)),
        item.get("crc32c", ""),
    )
