"""``python -m hayate.planner``: the child of the supervisor that imports the job file."""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any

from hayate.describe import describe, parse_as_of
from hayate.errors import InternalError, UsageError, to_json
from hayate.job import load_job
from hayate.protocol import Channel, hello


def serve(channel: Channel) -> None:
    """Answers tasks of kind ``describe`` until the supervisor says exit or is gone.

    Raises:
        ProtocolError: the supervisor broke the protocol.
    """
    channel.send(hello("planner"))
    while True:
        message = channel.receive()
        if message is None or message["type"] == "exit":
            return
        if message["type"] != "task":
            channel.send(_failed(None, InternalError(f'message "{message["type"]}" is not known')))
            return
        channel.send(_answer(message))


def _answer(message: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        if message.get("kind") != "describe":
            raise InternalError(f'the planner knows no task "{message.get("kind")}"')
        result = _describe(message)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The job file may raise anything, SystemExit included; the supervisor has to hear of it.
        return {**_failed(message.get("id"), error), "usage": _usage(started)}
    return {
        "type": "done",
        "task": message.get("id"),
        "result": result,
        "warnings": [],
        "usage": _usage(started),
    }


def _describe(message: dict[str, Any]) -> dict[str, Any]:
    path = message.get("job")
    given = message.get("set") or {}
    if not isinstance(path, str) or not isinstance(given, dict):
        raise UsageError("a describe task needs job (a path) and set (texts by name)")
    working_directory = os.getcwd()
    job = load_job(path, {str(name): str(text) for name, text in given.items()})
    return describe(job, parse_as_of(message.get("as_of")), working_directory)


def _failed(task: Any, error: BaseException) -> dict[str, Any]:
    return {"type": "failed", "task": task, "error": to_json(error)}


def _usage(started: float) -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "wall_s": time.monotonic() - started,
        "user_cpu_s": 0.0,
        "user_wall_s": 0.0,
        "max_rss_bytes": used.ru_maxrss * 1024,
    }


def main() -> int:
    """Serves the socket that HAYATE_FD names."""
    serve(Channel.from_environment())
    return 0


if __name__ == "__main__":
    sys.exit(main())
