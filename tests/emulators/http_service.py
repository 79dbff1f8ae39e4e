"""The base of our own HTTP/1.1 servers: threads, keep-alive, a log of calls, faults on demand."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from emulators.faults import Fault, Faults, Kind, error_body
from emulators.processes import HOST

# A stalled body lets go on its own in the end, so that nothing can hang on it for ever.
STALL_LIMIT_S = 300.0
_CHUNK = 256 * 1024


@dataclass
class Call:
    """One request, and how it was answered.

    Attributes:
        method: the HTTP method.
        target: path and query as they came.
        headers: as they came; looked up without regard to case.
        body: all of it.
        status: what was answered; 0 until then, and where no answer was sent.
        answer: the body of the answer, where it was small JSON.
        fault: the fault that the call met.
    """

    method: str
    target: str
    headers: Message
    body: bytes
    status: int = 0
    answer: bytes = b""
    fault: Fault | None = None

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The last value of every parameter."""
        parsed = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[-1] for name, values in parsed.items()}

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty where there is none."""
        value = json.loads(self.body) if self.body.strip() else {}
        return value if isinstance(value, dict) else {}


@dataclass
class Answer:
    """What is sent back; with a stream of bytes, `length` is how many come."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterator[bytes] = b""
    length: int | None = None

    @classmethod
    def of_json(
        cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        fields = [("Content-Type", "application/json; charset=UTF-8"), *(headers or {}).items()]
        return cls(status, fields, json.dumps(value).encode())

    @classmethod
    def of_error(cls, status: int, reason: str, message: str) -> Answer:
        return cls.of_json(error_body(status, reason, message), status)


class Service:
    """A server in threads of this process; a context manager that closes it.

    A subclass overrides `serve`. Tests read `calls` and add to `faults`.

    Attributes:
        faults: what goes wrong.
        good_tokens: the access tokens that are taken, or None where none is asked for.
        endpoint: the address.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.good_tokens: set[str] | None = None
        self._calls: list[Call] = []
        self._calls_changed = threading.Condition()
        self._closing = threading.Event()
        service = self

        class Handler(_Handler):
            pass

        Handler.service = service
        self._server = _Server((HOST, 0), Handler)
        self.port: int = self._server.server_address[1]
        self.endpoint = f"http://{HOST}:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def serve(self, call: Call) -> Answer:
        """The answer to a call; runs in a thread of the call's connection."""
        raise NotImplementedError

    def authorize(self, call: Call) -> Answer | None:
        """The refusal of a call without a good token."""
        token = call.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.good_tokens is None or token in self.good_tokens:
            return None
        answer = Answer.of_error(401, "authError", "Invalid Credentials")
        answer.headers.append(("WWW-Authenticate", 'Bearer realm="https://accounts.google.com/"'))
        return answer

    def calls(self, method: str = "", path: str = "") -> list[Call]:
        """The calls so far whose method is `method` and whose target holds `path`."""
        with self._calls_changed:
            return [
                call for call in self._calls if method in ("", call.method) and path in call.target
            ]

    def wait_for_calls(
        self, count: int, method: str = "", path: str = "", timeout_s: float = 30.0
    ) -> bool:
        """Waits until as many of such calls have come."""
        with self._calls_changed:
            return self._calls_changed.wait_for(
                lambda: (
                    sum(method in ("", call.method) and path in call.target for call in self._calls)
                    >= count
                ),
                timeout_s,
            )

    def forget(self) -> None:
        """Forgets the calls so far and all faults: for the next test."""
        self.faults.clear()
        self.good_tokens = None
        with self._calls_changed:
            self._calls.clear()

    def close(self) -> None:
        self._closing.set()
        self.faults.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def record(self, call: Call) -> None:
        with self._calls_changed:
            self._calls.append(call)
            self._calls_changed.notify_all()

    def stall(self, fault: Fault) -> None:
        """Waits until the fault is released or the server is closed."""
        waited = 0.0
        while waited < STALL_LIMIT_S and not self._closing.is_set():
            if fault.released.wait(0.05):
                return
            waited += 0.05

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Close does not wait for connections that clients keep open.
    block_on_close = False
    # Many connections may be opened at once.
    request_queue_size = 512

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Dropped(Exception):
    """The connection was cut on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small answers must not wait for the acknowledgement of the ones before.
    disable_nagle_algorithm = True
    wbufsize = -1
    service: Service

    def log_message(self, format: str, *args: object) -> None:
        """Calls are kept in the service, not printed."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except _Dropped:
            self.close_connection = True

    def _serve(self) -> None:
        call = Call(self.command, self.path, self.headers, self._read_body())
        self.service.record(call)
        call.fault = fault = self.service.faults.take(call.method, call.target)
        if fault is not None and fault.kind is Kind.REFUSE:
            self._reset()
        if fault is not None and fault.kind is Kind.ANSWER:
            answer = Answer(fault.status, list(fault.headers.items()), fault.body)
        else:
            answer = self.service.serve(call)
        if fault is not None and fault.kind is Kind.DROP:
            self._reset()
        if isinstance(answer.body, bytes) and len(answer.body) <= 1 << 20:
            call.answer = answer.body
        call.status = answer.status
        self._send(answer, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._read_chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        body = answer.body
        length = len(body) if isinstance(body, bytes) else answer.length
        has_body = self.command != "HEAD" and answer.status not in (204, 304)
        is_chunked = has_body and length is None
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif answer.status != 204:
            self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        if has_body:
            pieces: Iterable[bytes] = [body] if isinstance(body, bytes) else body
            for piece in self._spoil(pieces, fault):
                if is_chunked and piece:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                else:
                    self.wfile.write(piece)
            if is_chunked:
                self.wfile.write(b"0\r\n\r\n")
        elif not isinstance(body, bytes):
            for _ in body:  # What is behind it waits for its end.
                pass
        self.wfile.flush()

    def _spoil(self, pieces: Iterable[bytes], fault: Fault | None) -> Iterator[bytes]:
        """The body as the fault wants it."""
        in_body = (Kind.RESET, Kind.SHORT, Kind.STALL, Kind.FLIP)
        if fault is None or fault.kind not in in_body:
            yield from pieces
            return
        sent = 0
        is_due = True
        for piece in pieces:
            at = fault.after_bytes - sent
            if is_due and 0 <= at < len(piece):
                is_due = False
                if fault.kind is Kind.FLIP:
                    yield piece[:at] + bytes([piece[at] ^ 0x10]) + piece[at + 1 :]
                else:
                    yield piece[:at]
                    self.wfile.flush()
                    self._break(fault)
                    yield piece[at:]
            else:
                yield piece
            sent += len(piece)

    def _break(self, fault: Fault) -> None:
        if fault.kind is Kind.RESET:
            self._reset()
        if fault.kind is Kind.SHORT:
            self.connection.shutdown(socket.SHUT_WR)
            raise _Dropped
        self.service.stall(fault)

    def _reset(self) -> None:
        """Ends the connection with a reset; what is still under way may be lost with it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Taken away from the server, which would end it in order.
        os.close(self.connection.detach())
        raise _Dropped
