"""Uploads to the REST interface: a JSON object and data, in one request or in several."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from emulators.http_service import Answer, Call


@dataclass
class _Session:
    """A resumable upload that is under way."""

    body: dict[str, Any]
    data: bytearray = field(default_factory=bytearray)


class Uploads:
    """The uploads of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def take(self, call: Call, endpoint: str) -> Answer | tuple[dict[str, Any], bytes]:
        """What was uploaded once it is whole; before that, the answer to this step."""
        if call.method == "PUT":
            return self._continue(call)
        if call.query.get("uploadType") == "multipart":
            return parse_related(call)
        session_id = uuid.uuid4().hex
        with self._lock:
            self._sessions[session_id] = _Session(call.json())
        location = f"{endpoint}{call.path}?uploadType=resumable&upload_id={session_id}"
        return Answer.of_json({}, headers={"Location": location})

    def _continue(self, call: Call) -> Answer | tuple[dict[str, Any], bytes]:
        session_id = call.query.get("upload_id", "")
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                return Answer.of_error(404, "notFound", "Upload session not found.")
            session.data += call.body
            total = call.headers.get("Content-Range", "/*").rsplit("/", 1)[-1]
            is_whole = "Content-Range" not in call.headers or total == str(len(session.data))
            if is_whole:
                del self._sessions[session_id]
                return session.body, bytes(session.data)
        last = len(session.data) - 1
        return Answer(308, [("Range", f"bytes=0-{last}")] if last >= 0 else [])


def parse_related(call: Call) -> tuple[dict[str, Any], bytes]:
    """The two parts of a multipart/related body: a JSON object, and data as it is."""
    kind = call.headers.get("Content-Type", "")
    boundary = b"--" + kind.split("boundary=", 1)[1].strip().strip('"').encode()
    # The parts are cut by hand: a parser of mails changes line ends of the data.
    first, second = (part for part in call.body.split(boundary)[1:3])
    head = message_from_bytes(first.lstrip(b"\r\n"))
    data = second.split(b"\r\n\r\n", 1)[1]
    payload = head.get_payload(decode=True)
    described = Call("POST", "", call.headers, payload if isinstance(payload, bytes) else b"")
    return described.json(), data.removesuffix(b"\r\n")
