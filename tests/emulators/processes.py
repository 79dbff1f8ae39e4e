"""Servers in child processes: on a free port of 127.0.0.1, and never alive for longer than we."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
# Another process may take a port between our look and the server's bind.
ATTEMPTS = 3
_POLL_S = 0.02
# Asks the kernel to kill it when its parent dies (PR_SET_PDEATHSIG), then becomes the server. The
# parent may have died before that.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


class StartError(Exception):
    """A server that did not come up, with the end of what it wrote."""


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on right now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


class Child:
    """A running server: a context manager that ends it.

    The kernel kills the child when the thread that started it ends, so start it in the main thread.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        is_ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Starts the server and waits until it answers.

        Args:
            command: the program and its arguments.
            is_ready: whether it answers.
            environment: variables beside our own.
            cwd: its working directory.

        Raises:
            StartError: it ended, or it did not answer in time.
        """
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close().
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _LAUNCHER, str(os.getpid()), *command],
            env=os.environ | dict(environment or {}),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self._wait(is_ready)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """What the server has written so far."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def close(self) -> None:
        """Ends the server, by force when it does not leave."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()

    def _wait(self, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        ended = os.pidfd_open(self._process.pid)
        try:
            while not is_ready():
                if select.select([ended], [], [], _POLL_S)[0]:
                    raise StartError(f"the server ended at once:\n{self.log()[-2000:]}")
                if time.monotonic() > deadline:
                    raise StartError(
                        f"no answer within {START_TIMEOUT_S:g} s:\n{self.log()[-2000:]}"
                    )
        finally:
            os.close(ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def start(build: Callable[[], Child]) -> Child:
    """A server by `build`, which picks ports afresh; again where one of them was taken meanwhile.

    Raises:
        StartError: it came up at none of the attempts.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return build()
        except StartError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")
