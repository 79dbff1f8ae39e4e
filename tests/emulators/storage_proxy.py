"""Cloud Storage with faults: a proxy in front of a store that knows what the store does not.

It honours generations and their preconditions, pages listings, checks tokens, takes batches apart,
records every call, and breaks what a test asks it to break.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from typing import Any

from emulators.http_service import Answer, Call, Service
from emulators.object_store import ObjectStore

_OBJECT = re.compile(r"^(?:/download)?/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)$")
_LISTING = re.compile(r"^/storage/v1/b/(?P<bucket>[^/]+)/o$")
_BUCKET = re.compile(r"^/storage/v1/b/(?P<bucket>[^/]+)$")
_PERMISSIONS = re.compile(r"^/storage/v1/b/(?P<bucket>[^/]+)/iam/testPermissions$")
_XML_OBJECT = re.compile(
    r"^/(?!storage/|download/|upload/|batch/)(?P<bucket>[a-z0-9][a-z0-9._-]+)/(?P<name>.+)$"
)
_PRECONDITIONS = ("generation", "ifGenerationMatch", "ifGenerationNotMatch")

Hook = Callable[[Call], None]


class StorageProxy(Service):
    """The proxy; a context manager that closes it.

    Attributes:
        backend: what is behind it.
        page_size: how many objects a listing has on a page at most, or None for the usual number.
        hidden: objects that listings leave out, as if they came late.
        bucket_extra: further members of a bucket's resource, as ``softDeletePolicy``.
        permissions: what testIamPermissions grants on a bucket; all where it is not named.
        before: called with every call before it is passed on, in the thread of its connection.
    """

    def __init__(self, backend: ObjectStore) -> None:
        self.backend = backend
        # A delete with a precondition is a look and a deletion, which nothing may come between.
        self._deleting = threading.Lock()
        self._restore()
        super().__init__()

    def _restore(self) -> None:
        self.page_size: int | None = None
        self.hidden: set[str] = set()
        self.bucket_extra: dict[str, dict[str, Any]] = {}
        self.permissions: dict[str, set[str]] = {}
        self.before: Hook | None = None

    def forget(self) -> None:
        super().forget()
        self._restore()

    def serve(self, call: Call) -> Answer:
        refused = self.authorize(call)
        if refused is not None:
            return refused
        if self.before is not None:
            self.before(call)
        if call.path.startswith("/batch/"):
            return self._batch(call)
        permissions = _PERMISSIONS.match(call.path)
        if permissions:
            return self._granted(call, permissions["bucket"])
        found = _OBJECT.match(call.path) or _XML_OBJECT.match(call.path)
        if found and call.method == "DELETE":
            return self._delete(call, found)
        answer = self._pass_on(call)
        if found and call.method in ("GET", "HEAD") and answer.status < 300:
            return self._checked(call, answer)
        if call.method == "GET" and answer.status == 200 and _BUCKET.match(call.path):
            return self._with_extra(call, answer)
        if call.method == "GET" and answer.status == 200 and _LISTING.match(call.path):
            return self._listing(answer)
        return answer

    def _pass_on(self, call: Call) -> Answer:
        target = call.target
        if self.page_size is not None and call.method == "GET" and _LISTING.match(call.path):
            query = call.query
            asked = int(query.get("maxResults") or self.page_size)
            query["maxResults"] = str(min(asked, self.page_size))
            target = f"{call.path}?{urllib.parse.urlencode(query)}"
        elif set(_PRECONDITIONS) & set(call.query) and call.method in ("GET", "HEAD"):
            # The backend knows no generation but the last one; they are checked in its answer.
            kept = {name: v for name, v in call.query.items() if name not in _PRECONDITIONS}
            target = f"{call.path}?{urllib.parse.urlencode(kept)}"
        headers = dict(call.headers.items())
        answer = self.backend.answer(call.method, target, headers, call.body)
        return self._with_own_address(call, answer)

    def _with_own_address(self, call: Call, answer: Answer) -> Answer:
        """The answer without the backend's address, by which clients would pass us by."""
        theirs, ours = self.backend.endpoint, self.endpoint
        headers = [(name, value.replace(theirs, ours)) for name, value in answer.headers]
        kind = next((v for name, v in headers if name.lower() == "content-type"), "")
        is_metadata = "alt" not in call.query and call.path.startswith(("/storage/", "/upload/"))
        if is_metadata and kind.startswith("application/json") and call.method != "HEAD":
            body = _whole(answer).replace(theirs.encode(), ours.encode())
            return Answer(answer.status, headers, body)
        return Answer(answer.status, headers, answer.body, answer.length)

    def _checked(self, call: Call, answer: Answer) -> Answer:
        """The answer to a GET, if it is of the generation that was asked for."""
        generation = next(
            (value for name, value in answer.headers if name.lower() == "x-goog-generation"), ""
        )
        if not generation:  # Metadata: the generation is in the body.
            body = _whole(answer)
            answer = Answer(answer.status, answer.headers, body)
            if call.method == "HEAD" or not body.startswith(b"{"):
                return answer
            generation = str(json.loads(body).get("generation", ""))
        refused = _refusal(call, generation)
        if refused is None:
            return answer
        _whole(answer)  # The connection is used again.
        return refused

    def _delete(self, call: Call, found: re.Match[str]) -> Answer:
        if not set(_PRECONDITIONS) & set(call.query):
            return self._pass_on(call)
        with self._deleting:
            bucket, name = (urllib.parse.unquote(found[part]) for part in ("bucket", "name"))
            named = [one for one in self.backend.objects(bucket, name) if one.name == name]
            if named:
                refused = _refusal(call, str(named[0].generation))
                if refused is not None:
                    return refused
            return self._pass_on(call)

    def _granted(self, call: Call, bucket: str) -> Answer:
        if not self.backend.has_bucket(urllib.parse.unquote(bucket)):
            return Answer.of_error(404, "notFound", "The specified bucket does not exist.")
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(call.target).query)
        wanted = asked.get("permissions", [])
        granted = self.permissions.get(bucket)
        listed = [one for one in wanted if granted is None or one in granted]
        kind = "storage#testIamPermissionsResponse"
        return Answer.of_json({"kind": kind, "permissions": listed})

    def _with_extra(self, call: Call, answer: Answer) -> Answer:
        bucket = urllib.parse.unquote(call.path.rsplit("/", 1)[-1])
        found = json.loads(_whole(answer))
        return Answer.of_json({**found, **self.bucket_extra.get(bucket, {})})

    def _listing(self, answer: Answer) -> Answer:
        page = json.loads(_whole(answer))
        page["items"] = [one for one in page.get("items", ()) if one["name"] not in self.hidden]
        return Answer.of_json(page)

    def _batch(self, call: Call) -> Answer:
        """Serves the calls of a batch, each for itself, with its own faults."""
        kind = call.headers.get("Content-Type", "")
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + call.body).get_payload()
        boundary = f"batch_{uuid.uuid4().hex}"
        pieces: list[bytes] = []
        for part in parts if isinstance(parts, list) else []:
            assert isinstance(part, Message)
            answer = self._serve_part(part, call)
            pieces.append(_batch_part(boundary, part.get("Content-ID", ""), answer))
        body = b"".join(pieces) + f"--{boundary}--\r\n".encode()
        return Answer(200, [("Content-Type", f"multipart/mixed; boundary={boundary}")], body)

    def _serve_part(self, part: Message, call: Call) -> Answer:
        payload = part.get_payload(decode=True)
        text = payload if isinstance(payload, bytes) else b""
        first, _, rest = text.lstrip().partition(b"\r\n")
        method, target = first.decode().split(" ")[:2]
        headers = BytesParser().parsebytes(rest)
        del headers["Authorization"]
        if "Authorization" in call.headers:
            headers["Authorization"] = call.headers["Authorization"]
        inner = urllib.parse.urlsplit(target)
        target = f"{inner.path}?{inner.query}" if inner.query else inner.path
        body = headers.get_payload(decode=True)
        one = Call(method, target, headers, body if isinstance(body, bytes) else b"")
        self.record(one)
        fault = self.faults.take(one.method, one.target)
        if fault is not None and fault.status:
            answer = Answer(fault.status, list(fault.headers.items()), fault.body)
        else:
            answer = self.serve(one)
        one.status, one.fault = answer.status, fault
        return answer


def _refusal(call: Call, generation: str) -> Answer | None:
    """The refusal of a call whose preconditions a generation does not meet."""
    query = call.query
    wanted = query.get("generation", generation)
    if wanted != generation:
        return Answer.of_error(404, "notFound", "No such object with that generation")
    header = call.headers.get("x-goog-if-generation-match")
    match = query.get("ifGenerationMatch", header)
    mismatch = query.get("ifGenerationNotMatch")
    if (match is not None and match != generation) or mismatch == generation:
        message = "At least one of the pre-conditions you specified did not hold."
        return Answer.of_error(412, "conditionNotMet", message)
    return None


def _whole(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


def _batch_part(boundary: str, content_id: str, answer: Answer) -> bytes:
    """An answer as a part of the answer to a batch."""
    body = _whole(answer)
    reason = http.client.responses.get(answer.status, "")
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    reply_to = content_id.replace("<", "<response-", 1)
    head = (
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {reply_to}\r\n\r\n"
        f"HTTP/1.1 {answer.status} {reason}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n"
