"""Passes HTTP calls on to a server, over connections that are kept."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping

from emulators.http_client import TIMEOUT_S
from emulators.http_service import Answer
from emulators.processes import HOST

_CHUNK = 64 * 1024
# Headers of one connection, which a proxy does not pass on; lengths are set anew.
_OWN_HEADERS = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "trailer"}
)


class Relay:
    """Kept connections to a server of 127.0.0.1, for any number of threads."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The server's answer; its body is a stream, whose end gives the connection back."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_S)
        try:
            # What the client did not ask for must not be asked for: encodings above all.
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in _OWN_HEADERS:
                    connection.putheader(name, value)
            if body or method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        kept = [
            (name, value)
            for name, value in response.getheaders()
            if name.lower() not in _OWN_HEADERS | {"date", "server"}
        ]
        length = response.getheader("Content-Length")
        return Answer(
            response.status,
            kept,
            self._stream(connection, response),
            int(length) if length is not None else None,
        )

    def _stream(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> Iterator[bytes]:
        is_whole = False
        try:
            while piece := response.read(_CHUNK):
                yield piece
            is_whole = True
        finally:
            if is_whole and not response.will_close:
                with self._lock:
                    self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()
