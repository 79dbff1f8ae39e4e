"""The framed channel between a child and the supervisor."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayate import protocol
from hayate.protocol import Channel, ProtocolError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    pair = socket.socketpair()
    yield pair
    for end in pair:
        end.close()


def frame(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=4))
def test_messages_arrive_whole_and_in_order(messages: list[dict[str, Any]]) -> None:
    left, right = socket.socketpair()
    sent = [{**message, "type": "t"} for message in messages]
    with left, right:
        for message in sent:
            Channel(left).send(message)
        left.close()
        receiver = Channel(right)
        received = [receiver.receive() for _ in sent]
        # Lone surrogates have no UTF-8 form and become question marks.
        expected = json.loads(json.dumps(sent, ensure_ascii=False).encode("utf-8", "replace"))
        assert received == expected
        assert receiver.receive() is None


def test_a_large_message_passes(sockets: tuple[socket.socket, socket.socket]) -> None:
    text = "x" * 5_000_000
    sender = threading.Thread(target=Channel(sockets[0]).send, args=({"type": "t", "x": text},))
    sender.start()
    message = Channel(sockets[1]).receive()
    sender.join()
    assert message == {"type": "t", "x": text}


def test_numbers_that_json_lacks_become_null(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    Channel(sockets[0]).send({"type": "t", "x": [1.5, math.nan, {"y": math.inf}]})
    assert Channel(sockets[1]).receive() == {"type": "t", "x": [1.5, None, {"y": None}]}


@pytest.mark.parametrize("body", [b"{{{", b"[]", b"{}", b'{"type":1}', b"", b"\xff"])
def test_what_is_no_message_is_refused(
    sockets: tuple[socket.socket, socket.socket], body: bytes
) -> None:
    sockets[0].sendall(frame(body))
    with pytest.raises(ProtocolError):
        Channel(sockets[1]).receive()


def test_a_length_beyond_the_limit_is_refused_before_it_is_read(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    sockets[0].sendall(b"\xff\xff\xff\xff")
    with pytest.raises(ProtocolError, match="too large"):
        Channel(sockets[1]).receive()


def test_an_end_inside_a_message_is_an_error(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    sockets[0].sendall(frame(b'{"type":"exit"}')[:9])
    sockets[0].close()
    with pytest.raises(ProtocolError, match="inside a message"):
        Channel(sockets[1]).receive()


def test_a_message_beyond_the_limit_is_not_sent(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_MESSAGE_BYTES", 20)
    with pytest.raises(ProtocolError, match="exceeds"):
        Channel(sockets[0]).send({"type": "t", "x": "y" * 20})


def test_a_side_that_is_gone_is_an_error(sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[1].close()
    with pytest.raises(ProtocolError, match="cannot be reached"):
        Channel(sockets[0]).send({"type": "t"})


def test_descriptors_belong_to_the_message_they_came_with(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    read_end, write_end = os.pipe()
    sender, receiver = Channel(sockets[0]), Channel(sockets[1])
    sender.send({"type": "a"})
    sender.send({"type": "b"}, fds=(write_end, write_end))
    sender.send({"type": "c"})
    os.close(write_end)
    assert receiver.receive_with_fds() == ({"type": "a"}, [])
    message, fds = receiver.receive_with_fds()
    assert message == {"type": "b"}
    assert len(fds) == 2
    assert not any(os.get_inheritable(fd) for fd in fds)
    assert receiver.receive_with_fds() == ({"type": "c"}, [])
    os.write(fds[0], b"x")
    assert os.read(read_end, 1) == b"x"
    for fd in (*fds, read_end):
        os.close(fd)


def test_descriptors_that_nobody_wants_are_closed(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    read_end, write_end = os.pipe()
    Channel(sockets[0]).send({"type": "a"}, fds=(write_end,))
    os.close(write_end)
    assert Channel(sockets[1]).receive() == {"type": "a"}
    assert os.read(read_end, 1) == b""
    os.close(read_end)


def test_the_socket_of_the_environment_is_taken_out_of_it(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAYATE_FD", str(os.dup(sockets[0].fileno())))
    channel = Channel.from_environment()
    assert "HAYATE_FD" not in os.environ
    assert not os.get_inheritable(channel.fileno())
    channel.send(protocol.hello("python"))
    message = Channel(sockets[1]).receive()
    assert message is not None
    assert message["pid"] == os.getpid()
    assert message["threads"] >= 1
    channel.close()


@pytest.mark.parametrize("value", [None, "", "x", "9999"])
def test_a_missing_socket_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("HAYATE_FD", raising=False)
    else:
        monkeypatch.setenv("HAYATE_FD", value)
    with pytest.raises(ProtocolError, match="HAYATE_FD"):
        Channel.from_environment()
