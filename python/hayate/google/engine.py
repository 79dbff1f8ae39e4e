"""What the control needs of the engine, so that tests can put something else in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import pyarrow as pa

from hayate import _core

Resource = dict[str, Any]
Listing = list[dict[str, Any]]
Names = list[str]
Objects = list[tuple[str, int]]


class Storage(Protocol):
    """Objects of Cloud Storage; retries are within, and each is reported."""

    def list(self, uri_prefix: str) -> Listing:
        """The objects whose URI begins so, by name: `uri`, `size_bytes`, `generation`, `crc32c`,
        `updated_ns`."""

    def bucket(self, name: str) -> Resource:
        """The bucket's resource."""

    def permissions(self, bucket: str, wanted: Names) -> Names:
        """Those of the permissions that we have."""

    def read(self, uri: str) -> bytes:
        """A small object's content."""

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> Resource:
        """Writes a small object; its metadata, as in `list`. BusyError if it must not be there."""

    def stop(self) -> None:
        """Ends all calls, those of other threads and those to come, until resume()."""

    def resume(self) -> None:
        """Lets calls through again."""

    def delete(self, objects: Objects) -> int:
        """Deletes objects of a URI and a generation (0: any); how many there were."""


Progress = Callable[[int, int, int, int, int], None]
Token = Callable[[bool], str]


class Engine(Protocol):
    """The functions of `hayate._core` that read an export."""

    def CloudStorage(
        self, endpoint: str, token: Token | None, on_retry: Callable[[str], None] | None
    ) -> Storage:
        """A connection to an endpoint."""

    def ingest_export(
        self,
        storage: Storage,
        prefix: str,
        dir: str,
        format: str,
        schema: pa.Schema,
        empty_mark: str,
        threads: int,
        state: Callable[[], Resource],
        progress: Progress | None,
    ) -> Resource:
        """Reads all objects of a prefix into parts of a frame while the export still writes:
        `files`, `rows`, `bytes`, and `waited_share`, of the threads' time."""


def engine() -> Engine:
    """The engine itself."""
    return cast(Engine, _core)
