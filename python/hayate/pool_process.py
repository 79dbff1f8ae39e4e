"""The workers behind hy.map: one ``hayate pool`` an interpreter, kept until it ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
from typing import Any

from hayate.command import environment, program, say
from hayate.errors import InternalError, Where, WorkerDiedError, from_json
from hayate.ownership import is_project_module
from hayate.protocol import FD_VARIABLE, Channel, ProtocolError

_LEAVE_TIMEOUT_S = 10.0


class PoolProcess:
    """A running ``hayate pool``. One task at a time; whatever interrupts one ends the pool."""

    def __init__(self) -> None:
        path = program()
        ours, theirs = socket.socketpair()
        with theirs:
            self._path = _search_path()
            env = {**environment(), FD_VARIABLE: str(theirs.fileno()), "PYTHONPATH": self._path}
            # A notebook or a test replaces sys.stderr; what workers print goes where it goes.
            is_plain = sys.stderr is not None and sys.stderr is sys.__stderr__
            try:
                self._process = subprocess.Popen(
                    [path, "pool"],
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=None if is_plain else subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                ours.close()
                raise InternalError(
                    f"the hayate program cannot be started: {error.strerror}",
                    Where(object=path),
                ) from error
        self.pid = os.getpid()
        self._sources = _project_sources()
        self._channel = Channel(ours)
        self._tasks = 0
        self._log = threading.Thread(target=self._forward, name="hayate-log", daemon=True)
        self._log.start()
        self._next("hello")

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """The result of a task (docs/formats/protocol.md, ``map``).

        Raises:
            HayateError: what made it fail; with the user's traceback if that was the user's code.
        """
        self._tasks += 1
        try:
            self._channel.send({"type": "task", "id": self._tasks, **task})
            while True:
                answer = self._next("progress", "done", "failed")
                if answer["type"] != "progress" and answer.get("task") == self._tasks:
                    break
        except BaseException:
            self.close()
            raise
        if answer["type"] == "failed":
            raise from_json(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def is_stale(self) -> bool:
        """Whether workers would import something else than this interpreter has.

        They hold the user's modules as they were before an edit, and the search path of the start.
        """
        now = _project_sources()
        is_edited = any(self._sources.get(path, state) != state for path, state in now.items())
        self._sources |= now
        return is_edited or self._path != _search_path()

    def close(self) -> None:
        """Ends the pool and its workers; waits for it, and kills it if that takes too long."""
        self._channel.close()
        try:
            self._process.wait(_LEAVE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # The end of the pipe comes when the last worker is gone.
        self._log.join(_LEAVE_TIMEOUT_S)
        if self._process.stderr is not None and not self._log.is_alive():
            self._process.stderr.close()

    def _next(self, *expected: str) -> dict[str, Any]:
        try:
            message = self._channel.receive()
        except ProtocolError as error:
            raise self._died() from error
        if message is None:
            raise self._died()
        if message["type"] not in expected:
            raise InternalError(f"the pool sent an unexpected message {message['type']!r}")
        return message

    def _died(self) -> WorkerDiedError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_TIMEOUT_S)
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code and code < 0 else f"ended with code {code}"
        return WorkerDiedError(
            f"the process that runs hy.map's workers {how}",
            fix="Look at what it wrote to standard error; call hy.map again to start a new one.",
        )

    def _forward(self) -> None:
        for line in self._process.stderr or ():
            say(line)


def _search_path() -> str:
    """What this interpreter imports from: modules beside the script are found by workers too."""
    entries = [entry or os.getcwd() for entry in sys.path]
    return os.pathsep.join(dict.fromkeys(entry for entry in entries if os.path.exists(entry)))


def _project_sources() -> dict[str, tuple[int, ...]]:
    """The files of the user's own modules that this interpreter has imported, and their states."""
    found: dict[str, tuple[int, ...]] = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(path, str) and is_project_module(module):
            with contextlib.suppress(OSError):
                state = os.stat(path)
                found[path] = (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)
    return found


class SharedPool:
    """Starts the pool when it is first needed, and again after it was ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: PoolProcess | None = None

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """See PoolProcess.run; calls from several threads wait for each other."""
        with self._lock:
            pool = self._pool
            # A process that was forked from this one may not talk to its parent's pool.
            if pool is not None and pool.pid != os.getpid():
                pool = None
            if pool is not None and pool.is_alive and pool.is_stale():
                pool.close()
            if pool is None or not pool.is_alive:
                pool = self._pool = PoolProcess()
                atexit.register(self._close, pool)
            return pool.run(task)

    def _close(self, pool: PoolProcess) -> None:
        if pool.pid == os.getpid():
            pool.close()


SHARED = SharedPool()
