"""The stand-in for Cloud Storage: what the proxy adds to fake-gcs-server, and what it breaks."""

from __future__ import annotations

import gzip
import http.client
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from emulators import faults
from emulators.cloud_storage import CloudStorage
from emulators.http_client import Reply, ask, raw
from emulators.http_service import Call
from emulators.memory_storage import MemoryStorage
from emulators.networks import Networks
from emulators.object_store import ObjectStore
from emulators.storage_proxy import StorageProxy

WAIT_S = 30
PACKED = {"Accept-Encoding": "gzip"}


@dataclass
class Stored:
    """One object, seen through the proxy."""

    proxy: StorageProxy
    bucket: str
    name: str
    data: bytes
    generation: int

    @property
    def path(self) -> str:
        return f"/storage/v1/b/{self.bucket}/o/{self.name}"

    @property
    def url(self) -> str:
        """Its bytes."""
        return f"{self.proxy.endpoint}/download{self.path}?alt=media"

    @property
    def metadata_url(self) -> str:
        return f"{self.proxy.endpoint}{self.path}"

    def get(self, parameters: str = "", headers: Mapping[str, str] = PACKED) -> Reply:
        return ask("GET", self.url + parameters, headers=headers)


@pytest.fixture
def stored(cloud_storage: CloudStorage, storage_proxy: StorageProxy, bucket: str) -> Stored:
    data = bytes(range(256)) * 2048
    made = cloud_storage.put(bucket, "object", data)
    return Stored(storage_proxy, bucket, "object", data, made.generation)


def test_bytes_ranges_and_headers_are_passed_on(stored: Stored) -> None:
    whole = stored.get()
    assert (whole.status, whole.body) == (200, stored.data)
    assert whole.headers["x-goog-generation"] == str(stored.generation)
    assert "crc32c=" in whole.headers["x-goog-hash"]
    part = stored.get(headers={"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, stored.data[1000:2000])
    sent = stored.proxy.calls("GET", "alt=media")[-1]
    assert sent.headers["range"] == "bytes=1000-1999"
    head = ask("HEAD", stored.url)
    assert head.body == b"" and head.headers["Content-Length"] == str(len(stored.data))
    assert stored.get().body == stored.data


def test_connection_serves_one_call_after_the_other(stored: Stored) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stored.proxy.port, timeout=WAIT_S)
    targets = [f"{stored.path}?alt=media&generation={stored.generation + i}" for i in (1, 0)]
    bodies = []
    sockets = set()
    for target in targets * 20:
        connection.request("GET", target)
        bodies.append(connection.getresponse().read())
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1 and None not in sockets
    assert all(body == stored.data for body in bodies[1::2])
    assert all(b"notFound" in body for body in bodies[::2])


def test_objects_with_a_content_encoding_are_unpacked_only_for_who_cannot(
    stored: Stored, cloud_storage: CloudStorage
) -> None:
    packed = gzip.compress(b"text " * 100)
    cloud_storage.put(stored.bucket, "object", packed, content_encoding="gzip")
    assert stored.get(headers=PACKED).body == packed
    assert stored.get(headers={"Accept-Encoding": "identity"}).body == b"text " * 100


def test_addresses_in_answers_are_the_proxys_own(
    stored: Stored, cloud_storage: CloudStorage
) -> None:
    found = ask("GET", stored.metadata_url).json()
    assert found["mediaLink"].startswith(stored.proxy.endpoint)
    assert cloud_storage.endpoint not in str(found)
    upload = f"{stored.proxy.endpoint}/upload/storage/v1/b/{stored.bucket}/o"
    started = ask("POST", f"{upload}?uploadType=resumable&name=new", b"{}")
    assert started.headers["Location"].startswith(stored.proxy.endpoint)
    done = ask("PUT", started.headers["Location"], b"data", {"Content-Range": "bytes 0-3/4"})
    assert done.status == 200 and cloud_storage.read(stored.bucket, "new") == b"data"


def test_generations_and_their_preconditions_are_honoured(
    stored: Stored, cloud_storage: CloudStorage
) -> None:
    old, url = stored.generation, stored.metadata_url
    new = cloud_storage.put(stored.bucket, stored.name, b"other").generation
    assert stored.get(f"&generation={new}").body == b"other"
    assert stored.get(f"&generation={old}").status == 404
    assert stored.get(f"&ifGenerationMatch={new}").status == 200
    assert stored.get(f"&ifGenerationMatch={old}").status == 412
    assert stored.get(headers={"x-goog-if-generation-match": str(old)}).status == 412
    assert ask("GET", f"{url}?ifGenerationMatch={new}").json()["size"] == "5"
    assert ask("GET", f"{url}?ifGenerationMatch={old}").status == 412
    assert ask("DELETE", f"{url}?ifGenerationMatch={old}").status == 412
    assert ask("DELETE", f"{url}?generation={old}").status == 404
    assert cloud_storage.names(stored.bucket) == ["object"]
    assert ask("DELETE", f"{url}?ifGenerationMatch={new}").status in (200, 204)
    assert cloud_storage.names(stored.bucket) == []
    assert ask("DELETE", f"{url}?ifGenerationMatch={new}").status == 404


def test_listings_come_in_pages_and_can_be_late(
    stored: Stored, cloud_storage: CloudStorage
) -> None:
    for i in range(6):
        cloud_storage.put(stored.bucket, f"p/{i}", b"x")
    stored.proxy.page_size = 2
    stored.proxy.hidden = {"p/3"}
    url = f"{stored.proxy.endpoint}/storage/v1/b/{stored.bucket}/o?prefix=p/&maxResults=1000"
    pages, token = [], ""
    while True:
        page = ask("GET", f"{url}&pageToken={token}").json()
        pages.append([one["name"] for one in page["items"]])
        if not (token := page.get("nextPageToken", "")):
            break
    assert pages == [["p/0", "p/1"], ["p/2"], ["p/4", "p/5"]]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503])
def test_status_comes_as_often_as_asked(stored: Stored, status: int) -> None:
    stored.proxy.faults.add(faults.answer("alt=media", status, times=2))
    assert [stored.get().status for _ in range(3)] == [status, status, 200]
    assert [call.status for call in stored.proxy.calls("GET")] == [status, status, 200]


def test_body_is_broken_in_the_middle(stored: Stored) -> None:
    stored.proxy.faults.add(
        faults.refuse("alt=media"),
        faults.reset("alt=media", 100_000),
        faults.short("alt=media", 100_000),
        faults.flip("alt=media", 100_000),
    )
    answer, ended = raw(stored.url)
    assert answer == b"" and isinstance(ended, ConnectionResetError)
    _, ended = raw(stored.url)
    assert isinstance(ended, ConnectionResetError)
    answer, ended = raw(stored.url)
    head, body = answer.split(b"\r\n\r\n", 1)
    assert ended is None and body == stored.data[:100_000]
    assert f"content-length: {len(stored.data)}".encode() in head.lower()
    wrong = stored.get().body
    differing = [i for i, (a, b) in enumerate(zip(wrong, stored.data, strict=True)) if a != b]
    assert differing == [100_000]
    assert stored.get().body == stored.data


def test_body_stalls_until_it_is_released(stored: Stored) -> None:
    fault = faults.stall("alt=media", 100_000)
    stored.proxy.faults.add(fault)
    with urllib.request.urlopen(stored.url, timeout=WAIT_S) as answer:
        assert fault.wait_until_reached(WAIT_S)
        first = answer.read(100_000)
        fault.released.set()
        assert first + answer.read() == stored.data


def test_hook_runs_before_a_call_is_passed_on(stored: Stored, cloud_storage: CloudStorage) -> None:
    def overwrite(call: Call) -> None:
        if "alt=media" in call.target:
            cloud_storage.put(stored.bucket, stored.name, b"later")

    stored.proxy.before = overwrite
    assert stored.get(f"&ifGenerationMatch={stored.generation}").status == 412
    assert stored.get().body == b"later"


def test_only_good_tokens_are_taken(stored: Stored) -> None:
    stored.proxy.good_tokens = {"good"}
    assert stored.get().status == 401
    assert stored.get(headers={"Authorization": "Bearer bad"}).status == 401
    assert stored.get(headers={"Authorization": "Bearer good"}).status == 200


def test_batch_deletes_each_object_for_itself(stored: Stored, cloud_storage: CloudStorage) -> None:
    for i in range(3):
        cloud_storage.put(stored.bucket, f"p{i}", b"x")
    stored.proxy.faults.add(faults.answer("/o/p1", 503, method="DELETE"))
    paths = [f"/storage/v1/b/{stored.bucket}/o/p{i}" for i in range(3)]
    paths.append(f"{stored.path}?ifGenerationMatch=1")
    parts = "".join(
        "--x\r\nContent-Type: application/http\r\nContent-ID: "
        f"<id+{i}>\r\n\r\nDELETE {path} HTTP/1.1\r\n\r\n\r\n"
        for i, path in enumerate(paths)
    )
    answer = ask(
        "POST",
        f"{stored.proxy.endpoint}/batch/storage/v1",
        f"{parts}--x--\r\n".encode(),
        {"Content-Type": "multipart/mixed; boundary=x"},
    )
    lines = answer.body.decode().split("\r\n")
    statuses = [int(line.split()[1]) for line in lines if line.startswith("HTTP/1.1")]
    assert [status // 100 for status in statuses] == [2, 5, 2, 4] and statuses[3] == 412
    assert "Content-ID: <response-id+0>" in lines
    assert cloud_storage.names(stored.bucket) == ["object", "p1"]


def test_bucket_tells_permissions_and_policies(stored: Stored) -> None:
    bucket = f"{stored.proxy.endpoint}/storage/v1/b/{stored.bucket}"
    stored.proxy.bucket_extra[stored.bucket] = {"softDeletePolicy": {"retentionDurationSeconds": 1}}
    stored.proxy.permissions[stored.bucket] = {"storage.objects.get"}
    assert "softDeletePolicy" in ask("GET", bucket).json()
    query = "permissions=storage.objects.get&permissions=storage.objects.delete"
    granted = ask("GET", f"{bucket}/iam/testPermissions?{query}").json()
    assert granted["permissions"] == ["storage.objects.get"]


def test_memory_answers_as_the_server_does(cloud_storage: CloudStorage, bucket: str) -> None:
    def seen(store: ObjectStore) -> list[object]:
        store.make_bucket(bucket)
        for name in ("a/1", "a/2", "a/3", "b/1"):
            store.put(bucket, name, name.encode() * 10)
        replaced = store.put(bucket, "a/2", b"0123456789", content_type="text/csv")
        found: list[object] = [store.names(bucket, "a/"), store.read(bucket, "a/2")]
        with StorageProxy(store) as proxy:
            base = f"{proxy.endpoint}/storage/v1/b/{bucket}"
            kept = ("name", "bucket", "size", "crc32c", "contentType", "kind")
            listing = ask("GET", f"{base}/o?prefix=a/&maxResults=2").json()
            token = listing["nextPageToken"]
            rest = ask("GET", f"{base}/o?prefix=a/&maxResults=2&pageToken={token}").json()
            items = [*listing["items"], *rest["items"]]
            found += [[item[member] for member in kept] for item in items]
            found.append("nextPageToken" in rest)
            url = f"{base}/o/a%2F2"
            found.append(ask("GET", url).json()["generation"] == str(replaced.generation))
            for ranged in ("", "bytes=2-5", "bytes=8-", "bytes=8-99", "bytes=10-"):
                headers = {"Range": ranged} if ranged else {}
                part = ask("GET", f"{url}?alt=media", headers=headers)
                is_whole = part.status < 300
                found.append((part.status, part.body if is_whole else b""))
                found.append(part.headers["Content-Range"] if is_whole else "")
                found.append("crc32c=" in str(part.headers["x-goog-hash"]) or not is_whole)
            found.append(ask("DELETE", f"{url}?ifGenerationMatch=1").status)
            found.append(ask("DELETE", url).status // 100)
            found += [ask(method, url).status for method in ("GET", "DELETE")]
            found.append(ask("GET", f"{proxy.endpoint}/storage/v1/b/none-such/o").status)
        found.append(store.names(bucket))
        return found

    assert seen(MemoryStorage()) == seen(cloud_storage)


def test_network_can_be_broken_and_mended(stored: Stored, networks: Networks) -> None:
    with networks.link(stored.proxy.port) as link:
        url = stored.url.replace(stored.proxy.endpoint, link.endpoint)
        assert ask("GET", url).body == stored.data
        toxic = link.add("limit_data", bytes=50_000)
        answer, _ = raw(url)
        assert 0 < len(answer) <= 50_000
        link.remove(toxic)
        toxic = link.add("reset_peer", timeout=0)
        assert isinstance(raw(url)[1], ConnectionResetError)
        link.remove(toxic)
        link.refuse()
        with pytest.raises(ConnectionRefusedError):
            raw(url)
        link.refuse(refuses=False)
        assert ask("GET", url).body == stored.data
