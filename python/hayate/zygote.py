"""The zygote: imports the job's third-party packages once and forks a Python worker when asked.

Started by the supervisor as ``python -m hayate.zygote [MODULE…]``. It must stay a process of one
thread, because a fork copies only the thread that calls it: a module that leaves threads behind is
named in ``hello`` and not imported here (the workers that need it import it themselves). The user's
own modules are never imported here.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import importlib
import io
import os
import random
import signal
import sys

from hayate import errors, worker
from hayate.protocol import FD_VARIABLE, Channel, ProtocolError, count_threads, hello

_PR_SET_PDEATHSIG = 1
_GO = b"g"


class WorkerProcess(Exception):
    """Raised in a forked worker to leave the zygote's loop; never seen in the zygote itself."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the zygote; in a process forked by it, runs the worker. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="hayate.zygote")
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--without", action="append", default=[], metavar="MODULE=THREADS")
    options = parser.parse_args(arguments)
    threaded = {
        name: int(count) for name, _, count in (text.partition("=") for text in options.without)
    }
    failed = _preload([name for name in options.modules if name not in threaded], threaded)
    channel = Channel.from_environment()
    is_worker = False
    try:
        gc.collect()
        gc.freeze()
        channel.send(hello("zygote", threaded=threaded, failed=failed))
        _serve(channel, supervisor=os.getppid())
    except WorkerProcess:
        is_worker = True
    if is_worker:
        # Not in the handler: every exception of the user's would have WorkerProcess as its context.
        return worker.main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing was computed here: taking the imported libraries apart would only cost time and let
    # some of them complain.
    os._exit(0)


def _preload(modules: list[str], threaded: dict[str, int]) -> dict[str, str]:
    """Imports ``modules``; starts this program again without those that left threads.

    Returns:
        module → why it cannot be imported. The worker that needs it reports it in full.
    """
    failed: dict[str, str] = {}
    found: dict[str, int] = {}
    for name in modules:
        before = count_threads()
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            failed[name] = f"{type(error).__name__}: {error}"
        if count_threads() > before:
            found[name] = count_threads() - before
    if found:
        _start_again(modules, {**threaded, **found})
    return failed


def _start_again(modules: list[str], threaded: dict[str, int]) -> None:
    without = [f"--without={name}={count}" for name, count in threaded.items()]
    rest = [name for name in modules if name not in threaded]
    sys.stdout.flush()
    sys.stderr.flush()
    os.set_inheritable(int(os.environ[FD_VARIABLE]), True)
    command = [sys.executable, *_interpreter_flags(), "-m", "hayate.zygote", *without, *rest]
    os.execv(sys.executable, command)


def _interpreter_flags() -> list[str]:
    return ["-P"] * sys.flags.safe_path + ["-s"] * sys.flags.no_user_site


def _serve(channel: Channel, supervisor: int) -> None:
    """Answers ``fork`` tasks until it is told to exit or the supervisor is gone."""
    while True:
        message, fds = channel.receive_with_fds()
        if message is None or message["type"] == "exit":
            return
        if message["type"] != "task" or message.get("kind") != "fork":
            raise ProtocolError(f"a zygote cannot do {message.get('kind', message['type'])!r}")
        if len(fds) != 2:
            raise ProtocolError(f"a fork needs a socket and a log, {len(fds)} descriptors came")
        try:
            pid = _fork_worker(channel, fds[0], fds[1], supervisor)
        except OSError as error:
            report = errors.to_json(errors.InternalError(f"a worker cannot be forked: {error}"))
            channel.send({"type": "failed", "task": message["id"], "error": report})
        else:
            channel.send({"type": "done", "task": message["id"], "result": {"pid": pid}})
        finally:
            for fd in fds:
                os.close(fd)


def _fork_worker(channel: Channel, socket_fd: int, log_fd: int, supervisor: int) -> int:
    """Forks twice, so that the worker becomes the supervisor's child, and returns its pid.

    Raises:
        OSError: there is no room for another process.
        WorkerProcess: in the new worker.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        pid_pipe = tuple(stack.enter_context(io.FileIO(fd, mode)) for fd, mode in _pipe())
        go_pipe = tuple(stack.enter_context(io.FileIO(fd, mode)) for fd, mode in _pipe())
        middle = os.fork()
        if middle == 0:
            _run_middle(pid_pipe[1])
            # From here on this is the worker, which must not fall back into the zygote's loop.
            try:
                _wait_for_parent(go_pipe, supervisor)
                _become_worker(channel, socket_fd, log_fd)
            except OSError as error:
                os.write(2, f"hayate: a forked worker cannot start: {error}\n".encode())
                os._exit(1)
            raise WorkerProcess
        pid_pipe[1].close()
        text = pid_pipe[0].read(32)
        # After this wait the worker has its new parent, so it may ask to die with it.
        os.waitpid(middle, 0)
        if not text:
            raise OSError("the second fork failed")
        go_pipe[1].write(_GO)
        return int(text)


def _pipe() -> tuple[tuple[int, str], tuple[int, str]]:
    read, write = os.pipe()
    return (read, "r"), (write, "w")


def _run_middle(pid_write: io.FileIO) -> None:
    """The process between zygote and worker: forks, says the pid and leaves. The worker returns."""
    try:
        pid = os.fork()
    except OSError:
        os._exit(1)
    if pid:
        pid_write.write(str(pid).encode())
        os._exit(0)


def _wait_for_parent(go_pipe: tuple[io.FileIO, ...], supervisor: int) -> None:
    go_pipe[1].close()
    told = go_pipe[0].read(1)
    os.setpgid(0, 0)
    _die_with_parent()
    if told != _GO or os.getppid() != supervisor:
        os._exit(1)


def _die_with_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _become_worker(channel: Channel, socket_fd: int, log_fd: int) -> None:
    channel.close()
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    # The zygote's loop closes what it received on the way out.
    os.environ[FD_VARIABLE] = str(os.dup(socket_fd))
    # Each worker draws its own random numbers, as separately started programs do.
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


if __name__ == "__main__":
    sys.exit(main())
