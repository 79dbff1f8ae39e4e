"""A long fat network: rattan, between a server and its clients on this machine.

rattan delays, limits and drops packets in user space between two network namespaces, and what runs
in them speaks the kernel's own TCP. It needs root.
"""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from emulators import install
from emulators.processes import HOST, Child

_CLONE_NEWNET = 0x40000000
_OWN_NAMESPACE = "/proc/thread-self/ns/net"
# What runs behind the link: writes where it is into a file, then waits for rattan's end.
_HOLDER = """
import os, select, sys
with open(sys.argv[1] + ".new", "w") as file:
    print(os.getpid(), os.environ["RATTAN_BASE"], file=file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
select.select([os.pidfd_open(os.getppid())], [], [])
"""


@dataclass(frozen=True)
class Shape:
    """What a network is like.

    Attributes:
        round_trip_ms: both ways together, half of it each way.
        megabits_per_s: each way.
        loss: the share of the packets to the client that are dropped.
        queue_bytes: what waits for the way to the client at most; what comes then is dropped.
        congestion_control: of all senders.
    """

    round_trip_ms: int = 150
    megabits_per_s: int = 200
    loss: float = 0.0
    queue_bytes: int = 4_000_000
    congestion_control: str = "cubic"

    def arguments(self) -> list[str]:
        """Of ``rattan link``, whose "left" are the clients."""
        delay, rate = f"{self.round_trip_ms / 2:g}ms", f"{self.megabits_per_s}Mbps"
        words = ["--uplink-delay", delay, "--downlink-delay", delay]
        words += ["--uplink-bandwidth", rate, "--downlink-bandwidth", rate]
        words += ["--downlink-queue", "droptail"]
        words += ["--downlink-queue-args", json.dumps({"byte_limit": self.queue_bytes})]
        if self.loss:
            words += ["--downlink-loss", f"{self.loss:g}"]
        return words


class Loopback:
    """No network at all, with the interface of `LongNetwork`: both sides are this machine's own.

    Attributes:
        address: where servers listen, and clients find them.
    """

    address = HOST

    @contextmanager
    def server_side(self) -> Iterator[None]:
        yield

    @contextmanager
    def client_side(self) -> Iterator[None]:
        yield

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class LongNetwork(Loopback):
    """A running rattan; a context manager that ends it, and both namespaces with it."""

    def __init__(self, shape: Shape) -> None:
        """Starts it.

        Raises:
            LookupError: it is not installed.
            PermissionError: we are not root.
            StartError: it did not come up.
        """
        program = install.find("rattan")
        if program is None:
            raise LookupError("rattan is not installed: python tests/emulators/install.py rattan")
        if os.geteuid() != 0:
            raise PermissionError("network namespaces need root: run it as root")
        with ExitStack() as stack:
            self._server = _new_namespace()
            stack.callback(os.close, self._server)
            with _allowed(shape.congestion_control), self.server_side():
                _set("net/ipv4/tcp_congestion_control", shape.congestion_control)
                # Else a connection would begin with what the one before has found out.
                _set("net/ipv4/tcp_no_metrics_save", "1")
                child, held, self.address = self._start(program, shape)
                stack.enter_context(child)
            self._client = os.open(f"/proc/{held}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, self._client)
            with _allowed(shape.congestion_control), self.client_side():
                _set("net/ipv4/tcp_congestion_control", shape.congestion_control)
            self._stack = stack.pop_all()

    def _start(self, program: Path, shape: Shape) -> tuple[Child, int, str]:
        """Its process, that of what runs behind the link, and the server's address from there."""
        with tempfile.TemporaryDirectory(prefix="hayate-network-") as folder:
            told = Path(folder) / "told"
            holder = [sys.executable, "-S", "-c", _HOLDER, str(told)]
            link = shlex.join([str(program), "link", *shape.arguments(), "--", *holder])
            # It leaves names of namespaces and files of locks behind when it is killed: mounts of
            # its own go with it.
            mounts = (
                "mount -t tmpfs own /run && mkdir -p /tmp/rattan && mount -t tmpfs own /tmp/rattan"
            )
            script = f"ip link set lo up && {mounts} && exec {link}"
            command = ["unshare", "--mount", "sh", "-c", script]
            child = Child(command, is_ready=told.exists)
            held, address = told.read_text().split()
        return child, int(held), address

    @contextmanager
    def server_side(self) -> Iterator[None]:
        """Sockets and processes that this thread makes meanwhile are the server's."""
        with _inside(self._server):
            yield

    @contextmanager
    def client_side(self) -> Iterator[None]:
        """Sockets and processes that this thread makes meanwhile are the clients'."""
        with _inside(self._client):
            yield

    def close(self) -> None:
        self._stack.close()


def congestion_control() -> str:
    """What this thread's namespace sends by."""
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


@contextmanager
def _allowed(control: str) -> Iterator[None]:
    """Namespaces may be told to send so. What uses it then goes on with it afterwards."""
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
    before = allowed.read_text()
    if control in before.split():
        yield
        return
    allowed.write_text(f"{before.strip()} {control}")
    try:
        yield
    finally:
        allowed.write_text(before)


def _set(name: str, value: str) -> None:
    Path("/proc/sys", name).write_text(value)


def _new_namespace() -> int:
    """A file descriptor of one that has nothing but a loopback, which is down."""
    with _inside(None):
        return os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def _inside(namespace: int | None) -> Iterator[None]:
    """This thread is in a network namespace, in a new one for None, and then where it was."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if namespace is None:
            _check(libc.unshare(_CLONE_NEWNET))
        else:
            _check(libc.setns(namespace, _CLONE_NEWNET))
        try:
            yield
        finally:
            _check(libc.setns(before, _CLONE_NEWNET))
    finally:
        os.close(before)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")
