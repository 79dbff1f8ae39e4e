"""hy.run and hy.result: a job from a test, a notebook or a scheduler."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hayate.command import environment, program, say
from hayate.errors import HayateError, InputError, InternalError, UsageError, Where, from_json
from hayate.loading import import_job
from hayate.registry import collecting
from hayate.resolve import suggestion
from hayate.values import to_text

#: Lines of the command's own words that an error without a record keeps.
_TAIL_LINES = 40


@dataclass(frozen=True)
class Run:
    """A run that has ended well.

    Attributes:
        id: its name in the store.
        frames: directory of each source's and stage's result, by name.
        job: path of the job file.
    """

    id: str
    frames: dict[str, str]
    job: str

    def result(self, name: str, as_: str | None = None) -> Any:
        """What a stage made; see hy.result."""
        return _load(self.job, self.frames, name, as_)


def run(
    job: str | os.PathLike[str],
    /,
    *targets: str,
    set: Mapping[str, Any] | None = None,
    store: str | os.PathLike[str] | None = None,
    cores: int | None = None,
    fresh: bool = False,
    wait: bool = True,
    **parameters: Any,
) -> Run:
    """Runs a job as ``hayate run`` does, in processes of its own.

    What the command and its workers say goes to sys.stderr.

    Args:
        job: the job file.
        targets: stages that are wanted; by default all.
        set: parameters whose names are taken by the arguments here.
        store: where frames are kept; by default `.hayate` beside the job file.
        cores: at most this many; by default all that the process may use.
        fresh: whether everything runs, also what has not changed.
        wait: whether to wait for another run of the same store; else that is a BusyError.
        parameters: the job's parameters: ``hy.run("job.py", day=dt.date(2026, 11, 24))``.

    Raises:
        UsageError: the call or the job file is wrong.
        InputError: the data is not what was promised.
        StageError: a stage raised; it carries the user's own traceback.
        HayateError: what else can end a run, by class.
    """
    command = [program(), "run", os.fspath(job), *targets]
    for name, value in {**(set or {}), **parameters}.items():
        if value is not None:
            command += ["--set", f"{name}={to_text(value)}"]
    if store is not None:
        command += ["--store", os.fspath(store)]
    if cores is not None:
        command += ["-j", str(cores)]
    command += ["--fresh"] if fresh else []
    command += [] if wait else ["--no-wait"]
    with tempfile.TemporaryDirectory(prefix="hayate-") as folder:
        record_path = os.path.join(folder, "run.json")
        code, said = _start({**environment(), "HAYATE_RESULT": record_path}, command)
        record = _read_record(record_path)
    if record is None:
        raise _without_record(code, said)
    if record.get("error"):
        raise from_json(record["error"])
    if code != 0:
        raise _without_record(code, said)
    return Run(str(record.get("id") or ""), _frames(record), os.path.abspath(job))


def result(
    job: str | os.PathLike[str],
    name: str,
    as_: str | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
) -> Any:
    """What a stage or source made in the newest run of a job that has it.

    Args:
        job: the job file.
        name: the stage; ``"split.train"`` or ``"train"`` for one of several outputs.
        as_: "pandas" (the default), "polars", "arrow" or "frame", where the result is a table.
        store: where frames are kept; by default `.hayate` beside the job file.

    Returns:
        A table in that form, or the value that the stage returned. For an object of a class that
        cannot be imported otherwise the job file is imported here.

    Raises:
        UsageError: no run of the job has made such a result.
    """
    path = os.path.abspath(job)
    folder = Path(store) if store is not None else Path(os.path.dirname(path), ".hayate")
    known: dict[str, str] = {}
    for record in _records(folder / "runs"):
        if record.get("job") == path:
            for frame, directory in _frames(record).items():
                known.setdefault(frame, directory)
    if not known:
        raise UsageError(
            f"no run of {path} is in the store",
            Where(object=str(folder)),
            "Run the job first: hy.run(job), or name its store=.",
        )
    return _load(path, known, name, as_)


def _start(env: dict[str, str], command: list[str]) -> tuple[int, str]:
    """Runs the command; its words go to sys.stderr, which in a notebook is no file."""
    said: list[str] = []
    on_terminal = sys.stderr is sys.__stderr__ and sys.stderr is not None and sys.stderr.isatty()
    try:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stderr=None if on_terminal else subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise InternalError(
            f"the hayate program cannot be started: {error.strerror}", Where(object=command[0])
        ) from error
    try:
        for line in process.stderr or ():
            say(line)
            said = [*said[-_TAIL_LINES:], line]
        return process.wait(), "".join(said)
    except BaseException:
        # An interrupt of a notebook reaches this process only. The command ends its workers and
        # keeps what is finished, then leaves.
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        if process.stderr is not None:
            process.stderr.close()


def _read_record(path: str | Path) -> dict[str, Any] | None:
    """A run.json; None where there is none yet or it is of another shape."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        record = json.load(file)
        if isinstance(record, dict):
            return record
    return None


def _records(folder: Path) -> Iterable[dict[str, Any]]:
    """The runs in a store, newest first."""
    paths = sorted(folder.glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    for path in reversed(paths):
        record = _read_record(path)
        if record is not None:
            yield record


def _frames(record: Mapping[str, Any]) -> dict[str, str]:
    found = record.get("frames")
    return {str(name): str(path) for name, path in found.items()} if isinstance(found, dict) else {}


def _load(job: str, frames: Mapping[str, str], name: str, as_: str | None) -> Any:
    matches = [name] if name in frames else [one for one in frames if one.endswith(f".{name}")]
    if len(matches) != 1:
        raise UsageError(
            f'"{name}" is the result of {"several stages" if matches else "no stage"} of the job',
            Where(),
            f"Say which: {', '.join(matches)}."
            if matches
            else suggestion(name, frames, "There are"),
        )
    from hayate.frames import load

    read = partial(load, frames[matches[0]], as_=as_ or "pandas")  # type: ignore[arg-type]
    try:
        return read()
    except InputError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
    # An object of a class of the job file, or of a module beside it.
    with collecting():
        import_job(job)
    return read()


def _without_record(code: int, said: str) -> HayateError:
    """The command ended without a word that a program could read: killed, or a bug."""
    if code < 0:
        return InternalError(
            f"the hayate command was killed by signal {-code}",
            fix="Run again: what was finished is kept.",
        )
    shown = said.strip() or "its message is above"
    return (UsageError if code == 2 else InternalError)(
        f"the hayate command ended with exit code {code}: {shown}"
    )
