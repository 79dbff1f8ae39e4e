"""Cloud Storage in a dictionary: for tests with very many objects.

fake-gcs-server takes longer for an object the more there are; twenty thousand of them take minutes.
This knows only what a reader of exports needs: metadata, listings, whole and ranged reads, deletes.
Generations, preconditions, batches and faults come from the proxy in front of it, as always.
"""

from __future__ import annotations

import base64
import bisect
import itertools
import re
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import google_crc32c

from emulators.http_service import Answer
from emulators.object_store import ObjectStore, StoredObject

_PAGE = 1000
_BUCKET = re.compile(r"^/storage/v1/b/(?P<bucket>[^/]+)$")
_LISTING = re.compile(r"^/storage/v1/b/(?P<bucket>[^/]+)/o$")
_OBJECT = re.compile(r"^(?:/download)?/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)$")
_RANGE = re.compile(r"^bytes=(?P<first>\d+)-(?P<last>\d*)$")


@dataclass(frozen=True)
class _Object:
    data: bytes
    generation: int
    crc32c: str
    content_type: str
    updated_s: float


@dataclass
class _Bucket:
    objects: dict[str, _Object] = field(default_factory=dict)
    # In order, so that a page of a listing is a slice.
    names: list[str] = field(default_factory=list)


class MemoryStorage(ObjectStore):
    """The store; for any number of threads."""

    endpoint = "http://storage.invalid"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._generations = itertools.count(int(time.time() * 1e6))

    def make_bucket(self, bucket: str) -> None:
        with self._lock:
            self._buckets.setdefault(bucket, _Bucket())

    def has_bucket(self, bucket: str) -> bool:
        with self._lock:
            return bucket in self._buckets

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        content_encoding: str = "",
    ) -> StoredObject:
        if content_encoding:
            raise NotImplementedError("content encodings are left to fake-gcs-server")
        checksum = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
        with self._lock:
            kept = self._buckets[bucket]
            if name not in kept.objects:
                bisect.insort(kept.names, name)
            made = _Object(data, next(self._generations), checksum, content_type, time.time())
            kept.objects[name] = made
        return StoredObject(bucket, name, made.generation, len(data), checksum)

    def read(self, bucket: str, name: str) -> bytes:
        with self._lock:
            return self._buckets[bucket].objects[name].data

    def delete(self, bucket: str, name: str) -> None:
        self._remove(bucket, name)

    def objects(self, bucket: str, prefix: str = "") -> list[StoredObject]:
        with self._lock:
            kept = self._buckets[bucket]
            found = [(name, kept.objects[name]) for name in _with_prefix(kept.names, prefix)]
        return [
            StoredObject(bucket, name, one.generation, len(one.data), one.crc32c)
            for name, one in found
        ]

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(parts.query))
        found = _OBJECT.match(parts.path)
        if found:
            bucket, name = (urllib.parse.unquote(found[part]) for part in ("bucket", "name"))
            if method == "DELETE":
                return Answer(204) if self._remove(bucket, name) else _not_found(name)
            is_media = query.get("alt") == "media" or parts.path.startswith("/download/")
            return self._get(bucket, name, headers, is_media=is_media)
        found = _LISTING.match(parts.path)
        if found and method == "GET":
            return self._list(urllib.parse.unquote(found["bucket"]), query)
        found = _BUCKET.match(parts.path)
        if found and method == "GET":
            bucket = urllib.parse.unquote(found["bucket"])
            if not self.has_bucket(bucket):
                return _not_found(bucket)
            return Answer.of_json({"kind": "storage#bucket", "name": bucket, "location": "US"})
        return Answer.of_error(400, "invalid", f"this store does not know {method} {parts.path}")

    def _remove(self, bucket: str, name: str) -> bool:
        with self._lock:
            kept = self._buckets.get(bucket, _Bucket())
            if kept.objects.pop(name, None) is None:
                return False
            del kept.names[bisect.bisect_left(kept.names, name)]
            return True

    def _list(self, bucket: str, query: Mapping[str, str]) -> Answer:
        size = min(int(query.get("maxResults") or _PAGE), _PAGE)
        with self._lock:
            kept = self._buckets.get(bucket)
            if kept is None:
                return _not_found(bucket)
            matching = _with_prefix(kept.names, query.get("prefix", ""))
            first = bisect.bisect_right(matching, query.get("pageToken", ""))
            page = matching[first : first + size]
            items = [_resource(bucket, name, kept.objects[name]) for name in page]
        listing: dict[str, Any] = {"kind": "storage#objects", "items": items}
        if first + size < len(matching):
            listing["nextPageToken"] = page[-1]
        return Answer.of_json(listing)

    def _get(self, bucket: str, name: str, headers: Mapping[str, str], *, is_media: bool) -> Answer:
        with self._lock:
            one = self._buckets.get(bucket, _Bucket()).objects.get(name)
        if one is None:
            return _not_found(name)
        if not is_media:
            return Answer.of_json(_resource(bucket, name, one))
        sent = [
            ("Content-Type", one.content_type),
            ("Accept-Ranges", "bytes"),
            ("X-Goog-Generation", str(one.generation)),
            ("X-Goog-Hash", f"crc32c={one.crc32c}"),
            ("X-Goog-Stored-Content-Length", str(len(one.data))),
        ]
        wanted = next((v for key, v in headers.items() if key.lower() == "range"), "")
        asked = _RANGE.match(wanted)
        if asked is None:
            return Answer(200, sent, one.data)
        size = len(one.data)
        first = int(asked["first"])
        last = min(int(asked["last"] or size - 1), size - 1)
        if first > last:
            return Answer(416, [*sent, ("Content-Range", f"bytes */{size}")])
        sent.append(("Content-Range", f"bytes {first}-{last}/{size}"))
        return Answer(206, sent, one.data[first : last + 1])


def _with_prefix(names: list[str], prefix: str) -> list[str]:
    """The slice of sorted names that start with a prefix."""
    first = bisect.bisect_left(names, prefix)
    end = bisect.bisect_left(names, True, first, key=lambda name: not name.startswith(prefix))
    return names[first:end]


def _resource(bucket: str, name: str, one: _Object) -> dict[str, str]:
    updated = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.updated_s))
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "generation": str(one.generation),
        "metageneration": "1",
        "size": str(len(one.data)),
        "crc32c": one.crc32c,
        "contentType": one.content_type,
        "timeCreated": updated,
        "updated": updated,
    }


def _not_found(what: str) -> Answer:
    return Answer.of_error(404, "notFound", f"No such object or bucket: {what}")
