"""What stands behind the Cloud Storage interface: objects in buckets, and answers to HTTP calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from emulators.http_service import Answer


@dataclass(frozen=True)
class StoredObject:
    """An object in a listing."""

    bucket: str
    name: str
    generation: int
    size: int
    crc32c: str


class ObjectStore(ABC):
    """One of the stand-ins for Cloud Storage: fake-gcs-server, or a dictionary.

    Attributes:
        endpoint: the address that stands in its answers.
    """

    endpoint: str

    @abstractmethod
    def make_bucket(self, bucket: str) -> None:
        """Makes a bucket (names have at least three characters); one that is there stays."""

    @abstractmethod
    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket."""

    @abstractmethod
    def put(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        content_encoding: str = "",
    ) -> StoredObject:
        """Writes an object; one of that name is replaced, with a new generation."""

    @abstractmethod
    def read(self, bucket: str, name: str) -> bytes:
        """All bytes of an object, as they are stored."""

    @abstractmethod
    def delete(self, bucket: str, name: str) -> None:
        """Deletes an object; that it is not there is no error."""

    @abstractmethod
    def objects(self, bucket: str, prefix: str = "") -> list[StoredObject]:
        """The objects whose name starts with `prefix`, by name."""

    @abstractmethod
    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to a call of the HTTP interface."""

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        """The names of the objects below a prefix, in order."""
        return [one.name for one in self.objects(bucket, prefix)]

    def empty(self, bucket: str, prefix: str = "") -> None:
        """Deletes every object below a prefix."""
        for name in self.names(bucket, prefix):
            self.delete(bucket, name)
