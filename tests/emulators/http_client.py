"""HTTP calls as they are: no retries, no redirects to follow, errors as answers."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Reply:
    """An answer; `headers` are looked up without regard to case."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body or b"{}")
        return found


def ask(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Reply:
    """The answer to a call.

    Raises:
        OSError: there is none, or it breaks off.
    """
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.headers, error.read())


def raw(url: str, timeout_s: float = TIMEOUT_S) -> tuple[bytes, OSError | None]:
    """All bytes that come back for a GET, headers too, and the error that ended them."""
    parts = urllib.parse.urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    address = (parts.hostname or "", parts.port or 80)
    received = b""
    with socket.create_connection(address, timeout_s) as connection:
        head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        try:
            while piece := connection.recv(65536):
                received += piece
        except OSError as error:
            return received, error
    return received, None
