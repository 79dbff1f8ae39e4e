"""The protocol between the supervisor and its children (docs/formats/protocol.md), Python's side.

A message is a 4-byte little-endian length and that many bytes of UTF-8 JSON: one object with a
member ``type``. File descriptors may travel along with a message (SCM_RIGHTS). The error objects of
``failed`` messages are those of :func:`hayate.errors.to_json`.
"""

from __future__ import annotations

import array
import contextlib
import json
import math
import os
import socket
import struct
from typing import Any

#: Largest message either side accepts, in bytes.
MAX_MESSAGE_BYTES = 64 << 20

#: The environment variable that holds the number of the inherited socket.
FD_VARIABLE = "HAYATE_FD"

_LENGTH = struct.Struct("<I")
_MAX_FDS = 8


class ProtocolError(RuntimeError):
    """The other side broke the protocol, or the socket failed. The child can only leave."""


class Channel:
    """One end of the protocol. For one thread at a time; blocking."""

    def __init__(self, sock: socket.socket) -> None:
        """Takes over ``sock``, a connected stream socket."""
        self._socket = sock
        sock.setblocking(True)

    @classmethod
    def from_environment(cls) -> Channel:
        """The socket named by ``HAYATE_FD``, which is taken out of the environment.

        Processes that the user's code starts inherit neither the variable nor the socket.

        Raises:
            ProtocolError: the variable is missing or names no open socket.
        """
        text = os.environ.pop(FD_VARIABLE, "")
        if not text.isdigit():
            raise ProtocolError(
                f"{FD_VARIABLE} is not set: this program is started by the hayate command only"
            )
        try:
            sock = socket.socket(fileno=int(text))
        except OSError as error:
            raise ProtocolError(f"{FD_VARIABLE}={text} is no open socket: {error}") from error
        sock.set_inheritable(False)
        return cls(sock)

    def fileno(self) -> int:
        """The socket's descriptor, for ``select``."""
        return self._socket.fileno()

    def close(self) -> None:
        """Closes the socket: the other side sees the end of the stream."""
        self._socket.close()

    def send(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        """Sends one message; blocks until all of it is with the kernel.

        Args:
            message: an object with a member ``type``; NaN and infinities are written as null.
            fds: descriptors that travel along; they stay open here.

        Raises:
            ProtocolError: the message is too large, or the other side is gone.
        """
        body = _encode(message)
        if len(body) > MAX_MESSAGE_BYTES:
            raise ProtocolError(
                f"a {message.get('type')} message of {len(body)} bytes exceeds "
                f"the {MAX_MESSAGE_BYTES} bytes that the protocol allows"
            )
        data = memoryview(_LENGTH.pack(len(body)) + body)
        try:
            if fds:
                sent = socket.send_fds(self._socket, [data], list(fds))
                data = data[sent:]
            self._socket.sendall(data)
        except OSError as error:
            raise ProtocolError(f"the supervisor cannot be reached: {error}") from error

    def receive(self) -> dict[str, Any] | None:
        """The next message, or ``None`` at the end of the stream. Descriptors are closed.

        Raises:
            ProtocolError: what arrived is no message, or the stream ended inside one.
        """
        message, fds = self.receive_with_fds()
        for fd in fds:
            os.close(fd)
        return message

    def receive_with_fds(self) -> tuple[dict[str, Any] | None, list[int]]:
        """As :meth:`receive`, with the descriptors that came along; the caller closes them."""
        # Reads end where a message ends, so descriptors belong to the message they came with.
        fds: list[int] = []
        try:
            header = self._read_exactly(_LENGTH.size, fds, may_end=True)
            if header is None:
                return None, fds
            (length,) = _LENGTH.unpack(header)
            if length > MAX_MESSAGE_BYTES:
                raise ProtocolError(f"a message of {length} bytes was announced: too large")
            body = self._read_exactly(length, fds, may_end=False)
            return _decode(body or b""), fds
        except BaseException:
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.close(fd)
            raise

    def _read_exactly(self, count: int, fds: list[int], *, may_end: bool) -> bytes | None:
        data = bytearray()
        ancillary_bytes = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)
        while len(data) < count:
            want = min(count - len(data), 1 << 20)
            try:
                chunk, ancillary, _, _ = self._socket.recvmsg(
                    want, ancillary_bytes, socket.MSG_CMSG_CLOEXEC
                )
            except ConnectionError:
                chunk, ancillary = b"", []
            except OSError as error:
                raise ProtocolError(f"the supervisor cannot be reached: {error}") from error
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    numbers = array.array("i")
                    numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
                    fds.extend(numbers)
            if not chunk:
                if may_end and not data:
                    return None
                raise ProtocolError("the stream ended inside a message")
            data += chunk
        return bytes(data)


def hello(role: str, **members: Any) -> dict[str, Any]:
    """The first message of a child: its role, pid and how many threads it has."""
    return {
        "type": "hello",
        "role": role,
        "pid": os.getpid(),
        "threads": count_threads(),
        **members,
    }


def count_threads() -> int:
    """Entries of /proc/self/task: threads of Python and of libraries alike."""
    return len(os.listdir("/proc/self/task"))


def _encode(message: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_without_nan(message), ensure_ascii=False, separators=(",", ":"))
    # Lone surrogates (undecodable file names) have no UTF-8 form.
    return text.encode("utf-8", errors="replace")


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


def _decode(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise ProtocolError(f"a message is no JSON: {error}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError('a message is no object with a member "type"')
    return message
