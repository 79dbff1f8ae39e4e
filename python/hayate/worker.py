"""A Python worker: ``python -m hayate.worker`` runs the tasks that the supervisor sends.

It holds no state that a task needs: any worker may run any task, and a killed one is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import inspect
import io
import logging
import os
import pickle
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hayate import arguments as inputs
from hayate import errors
from hayate.errors import HayateError, InternalError, StageError, StorageError, Where
from hayate.protocol import Channel, ProtocolError, hello
from hayate.results import Results

if TYPE_CHECKING:
    from hayate.planned_code import PlannedCode

#: Kinds of tasks in which nothing of the user's is called, and the modules that do them.
_SERVICES = {"query": "hayate.google.job_query", "load": "hayate.google.job_load"}
_LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"


def main(channel: Channel | None = None) -> int:
    """Says hello and runs tasks until it is told to leave or the other side is gone.

    Args:
        channel: the socket to the supervisor; by default that of ``HAYATE_FD``.

    Returns:
        The process's exit code.
    """
    channel = channel or Channel.from_environment()
    _configure_log()
    channel.send(hello("python"))
    worker = Worker(channel)
    while True:
        message = channel.receive()
        if message is None or message["type"] == "exit":
            return 0
        if message["type"] == "prepare":
            worker.prepare(message)
        elif message["type"] == "task":
            channel.send(worker.run(message))
        else:
            raise ProtocolError(f"a worker cannot do {message['type']!r}")


def _configure_log() -> None:
    """Every line that is printed or logged reaches the supervisor's pipe when it is complete."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr)
    logging.captureWarnings(True)
    _leave_configuring_to_the_job()


def _leave_configuring_to_the_job() -> None:
    """Lets the job's own logging.basicConfig() count, which does nothing where a handler is."""
    ours, configure = logging.root.handlers[:], logging.basicConfig

    @functools.wraps(configure)
    def basic_config(**options: Any) -> None:
        if logging.root.handlers == ours:
            logging.root.handlers.clear()
        configure(**options)

    logging.basicConfig = basic_config


class UserFunction:
    """The function of a task, called with arguments by name; measures the time inside it.

    Attributes:
        line: where the function stands, for errors.
        cpu_s, wall_s: spent inside the function so far, all its threads together.
        has_raised: whether a call ended by an exception.
    """

    def __init__(self, function: Callable[..., Any], run: Callable[[dict[str, Any]], Any]) -> None:
        self._run = run
        self.line = _line_of(function)
        self.cpu_s = 0.0
        self.wall_s = 0.0
        self.has_raised = False

    def __call__(self, arguments: dict[str, Any]) -> Any:
        cpu, wall = time.process_time(), time.monotonic()
        self.has_raised = True
        try:
            result = self._run(arguments)
            self.has_raised = False
            return result
        except SystemExit as error:
            raise StageError(
                f"the function called sys.exit({error.code!r})",
                replace(self.line, **_last_line(error)),
                "Raise an exception, or return.",
                errors.format_user_traceback(error),
            ) from error
        finally:
            self.cpu_s += time.process_time() - cpu
            self.wall_s += time.monotonic() - wall


class Worker:
    """Runs tasks of kinds "stage", "query" and "load", one at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._whole = inputs.WholeInputs()
        self._job: tuple[str, Any] | None = None
        self._planned: tuple[str, PlannedCode] | None = None
        self._pickled: tuple[str, Any] | None = None

    def prepare(self, message: Mapping[str, Any]) -> None:
        """Imports what a coming task needs, while its inputs are still being made.

        What goes wrong here is not told: it goes wrong again in the task, which tells it.
        """
        with contextlib.suppress(Exception, SystemExit):
            _limit_threads(int(message.get("threads") or 1))
            for name in message.get("modules") or ():
                with contextlib.suppress(Exception, SystemExit):
                    importlib.import_module(name)
            self._loaded_job(message["job"], message.get("set") or {})

    def run(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, ``done`` or ``failed``; nothing that the user's code does is raised."""
        cpu, wall = time.process_time(), time.monotonic()
        function: UserFunction | None = None
        answer: dict[str, Any]
        try:
            if task["kind"] in _SERVICES:
                result = self._use_service(task)
                answer = {"type": "done", "task": task["id"], "result": result, "warnings": []}
                return self._with_usage(answer, cpu, wall, None)
            if task["kind"] != "stage":
                raise InternalError(f"a Python worker cannot do a task of kind {task['kind']!r}")
            self._whole.for_stage(f"{task.get('job', '')}:{task['stage']}")
            _limit_threads(int(task.get("threads") or 1))
            function, value_of = self._function(task)
            parts = self._call(task, function, value_of)
            answer = {
                "type": "done",
                "task": task["id"],
                "result": {"parts": parts},
                "warnings": [],
            }
        except BaseException as error:  # also a CancelledError or KeyboardInterrupt of the user's
            is_users = function is None or function.has_raised
            report = _report(error if is_users else _own_error(error), task)
            answer = {"type": "failed", "task": task["id"], "error": report}
        return self._with_usage(answer, cpu, wall, function)

    def _use_service(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """A task that a service does most of: only what runs one imports its client."""
        module = importlib.import_module(_SERVICES[task["kind"]])
        result: dict[str, Any] = module.run(task, self._channel.send)
        return result

    def _with_usage(
        self, answer: dict[str, Any], cpu: float, wall: float, function: UserFunction | None
    ) -> dict[str, Any]:
        sys.stdout.flush()
        sys.stderr.flush()
        answer["usage"] = {
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.monotonic() - wall,
            "user_cpu_s": function.cpu_s if function else 0.0,
            "user_wall_s": function.wall_s if function else 0.0,
            "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        return answer

    def _function(
        self, task: Mapping[str, Any]
    ) -> tuple[UserFunction, Callable[[Mapping[str, Any]], Any]]:
        if task.get("function"):
            function = self._unpickled(task["function"]["cloudpickle"])
            return UserFunction(function, lambda found: _call(function, found)), _plain_value
        planned = self._planned_code(task)
        stage = planned.stage(task["stage"])

        def run(found: dict[str, Any]) -> Any:
            result = stage.run(found)
            planned.check(stage)  # it may have imported modules
            return result

        def value_of(spec: Mapping[str, Any]) -> Any:
            planned.check_constant(stage, spec)
            return stage.value(spec["param"], spec)

        return UserFunction(stage.function, run), value_of

    def _planned_code(self, task: Mapping[str, Any]) -> PlannedCode:
        if self._planned is None or self._planned[0] != task["code"]:
            from hayate.planned_code import PlannedCode

            job = self._loaded_job(task["job"], task.get("set") or {})
            self._planned = (task["code"], PlannedCode(task["code"], job))
        return self._planned[1]

    def _loaded_job(self, path: str, texts: Mapping[str, str]) -> Any:
        if self._job is None or self._job[0] != path:
            from hayate.job import load_job

            self._job = (path, load_job(path, texts))
        return self._job[1]

    def _unpickled(self, path: str) -> Any:
        if self._pickled is None or self._pickled[0] != path:
            with open(path, "rb") as file:
                self._pickled = (path, pickle.load(file))
        return self._pickled[1]

    def _call(
        self,
        task: Mapping[str, Any],
        function: UserFunction,
        value_of: Callable[[Mapping[str, Any]], Any],
    ) -> list[dict[str, Any]]:
        partition = task.get("partition") if task["mode"] != "once" else None
        results = Results(task["stage"], partition, function.line, task["mode"], task["outputs"])
        if inputs.is_empty_partition(task):
            return results.write_nothing()
        if task["mode"] == "group":
            return self._call_by_group(task, function, results, value_of)
        found = inputs.arguments(task, self._whole, value_of)
        if task["mode"] == "items":
            (items,) = found.values()
            return results.write_items([function({"": item}) for item in items])
        return results.write(function(found))

    def _call_by_group(
        self,
        task: Mapping[str, Any],
        function: UserFunction,
        results: Results,
        value_of: Callable[[Mapping[str, Any]], Any],
    ) -> list[dict[str, Any]]:
        names = [spec["param"] for spec in inputs.split_specs(task)]
        others = {**task, "inputs": [one for one in task["inputs"] if one["param"] not in names]}
        groups = inputs.grouped_arguments(task)
        if not len(groups):
            whole = inputs.arguments(others, self._whole, value_of)
            return results.write_no_groups(
                function({**dict(zip(names, inputs.empty_arguments(task), strict=True)), **whole})
            )
        returned = []
        for rows in groups:
            whole = inputs.arguments(others, self._whole, value_of)
            returned.append(function({**dict(zip(names, rows, strict=True)), **whole}))
        return results.write_groups(returned, groups.first_rows)


def _call(function: Callable[..., Any], found: dict[str, Any]) -> Any:
    """Calls with arguments by name; the name "" stands for the first by position."""
    positional = [found[""]] if "" in found else []
    result = function(*positional, **{name: value for name, value in found.items() if name})
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def _plain_value(spec: Mapping[str, Any]) -> Any:
    return spec["value"]


def _limit_threads(threads: int) -> None:
    """Arrow's own threads; those of OpenMP and Polars come with the environment."""
    if pa.cpu_count() != threads:
        pa.set_cpu_count(threads)


def _line_of(function: Any) -> Where:
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    if code is None:
        return Where()
    return Where(object=os.path.abspath(code.co_filename), line=code.co_firstlineno)


def _last_line(error: BaseException) -> dict[str, Any]:
    found = errors.last_user_frame(error.__traceback__)
    return {"object": found[0], "line": found[1]} if found else {}


def _own_error(error: BaseException) -> BaseException:
    """An error outside of the user's code, as hayate's own."""
    if isinstance(error, HayateError):
        return error
    if isinstance(error, OSError):
        return StorageError(
            f"the results cannot be stored: {error.strerror or error}",
            Where(object=str(error.filename or "")),
            "Check that the disk has space and can be written to, then run again.",
        )
    if isinstance(error, MemoryError):
        return StageError(
            "there is not enough memory for the inputs or the results",
            fix="Give the job more memory, or split the stage into smaller parts.",
        )
    said = "".join(traceback.format_exception(error))
    return InternalError(f"{type(error).__name__}: {error}", user_traceback=said)


def _report(error: BaseException, task: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol's error object, with the stage and the partition filled in."""
    report = errors.to_json(error)
    where = {"stage": task.get("stage", ""), **report.get("where", {})}
    if task.get("mode") != "once" and task.get("partition") is not None:
        where.setdefault("partition", task["partition"])
    report["where"] = where
    raised_inside = errors.last_user_frame(error.__traceback__) is not None
    if isinstance(error, HayateError) and raised_inside and not report["traceback"]:
        report["traceback"] = errors.format_user_traceback(error)
    return report


if __name__ == "__main__":
    sys.exit(main())
