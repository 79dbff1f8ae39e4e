"""hy.run and hy.result against a program that stands in for the command."""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hayate as hy
from hayate import errors
from hayate.command import program
from hayate.run import Run, result, run

FAKE = """#!{python}
import json, os, sys
with open({arguments!r}, "w") as file:
    json.dump(sys.argv[1:], file)
record = {record!r}
if record is not None:
    with open(os.environ["HAYATE_RESULT"], "w") as file:
        json.dump(record, file)
assert os.environ["HAYATE_PYTHON"] == sys.executable
sys.stderr.write("said by the command\\n")
{action}
"""


class Command:
    """A stand-in for the program: keeps its arguments, leaves a record, ends as told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = folder / "hayate"
        self._arguments = folder / "arguments.json"
        monkeypatch.setenv("HAYATE_COMMAND", str(self._path))

    def ends(self, record: dict[str, Any] | None, action: str) -> None:
        text = FAKE.format(
            python=sys.executable, arguments=str(self._arguments), record=record, action=action
        )
        self._path.write_text(text)
        self._path.chmod(self._path.stat().st_mode | stat.S_IXUSR)

    @property
    def arguments(self) -> list[str]:
        return list(json.loads(self._arguments.read_text()))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, monkeypatch)


def test_a_run_passes_its_arguments_on_and_gives_the_frames(command, capsys):
    command.ends({"id": "r1", "status": "done", "error": None, "frames": {"s": "/f/s-1"}}, "")
    done = run(
        "job.py", "s", day=dt.date(2026, 11, 24), set={"store": True}, store="/store", cores=2,
        fresh=True, wait=False,
    )  # fmt: skip
    assert done == Run("r1", {"s": "/f/s-1"}, os.path.abspath("job.py"))
    assert command.arguments == [
        *("run", "job.py", "s", "--set", "store=true", "--set", "day=2026-11-24"),
        *("--store", "/store", "-j", "2", "--fresh", "--no-wait"),
    ]
    assert "said by the command" in capsys.readouterr().err


@pytest.mark.parametrize("fault", sorted(errors._CLASSES))
def test_an_error_of_the_run_comes_back_by_its_class(command, fault):
    told = {
        "fault": fault,
        "what": "ValueError: no",
        "where": {"object": "job.py", "line": 3, "stage": "s", "partition": 0, "unknown": 1},
        "fix": "Do it.",
        "traceback": 'File "job.py", line 3\n',
    }
    command.ends({"id": "r", "status": "failed", "error": told, "frames": {}}, "sys.exit(1)")
    with pytest.raises(hy.HayateError) as caught:
        run("job.py")
    error = caught.value
    assert type(error) is errors._CLASSES[fault] and error.fault == fault
    assert error.where == hy.Where(object="job.py", line=3, stage="s", partition=0)
    shown = str(error)
    assert "partition 0" in shown and "Do it." in shown and 'File "job.py", line 3' in shown
    assert str(pickle.loads(pickle.dumps(error))) == shown
    assert errors.to_json(error) == {**told, "where": error.where.to_json()}


@pytest.mark.parametrize(
    ("action", "kind", "told"),
    [
        ("sys.exit(2)", hy.UsageError, "said by the command"),
        ("sys.exit(1)", hy.InternalError, "exit code 1"),
        ("os.kill(os.getpid(), 9)", hy.InternalError, "signal 9"),
    ],
)
def test_a_command_that_leaves_no_record_is_an_error(command, action, kind, told):
    command.ends(None, action)
    with pytest.raises(kind, match=told):
        run("job.py")


def test_a_program_that_is_missing_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("HAYATE_COMMAND", str(tmp_path / "none"))
    with pytest.raises(hy.InternalError, match="pip install"):
        program()


def test_the_console_script_becomes_the_program(command):
    command.ends(None, "sys.exit(7)")
    # The stand-in wants HAYATE_RESULT only if it has a record.
    done = subprocess.run(
        [sys.executable, "-m", "hayate.cli", "ls", "--x"],
        env={**_environment(), "HAYATE_COMMAND": program()},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 7 and command.arguments == ["ls", "--x"]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _record(store: Path, run_id: str, job: Path, frames: dict[str, str]) -> None:
    folder = store / "runs" / run_id
    folder.mkdir(parents=True)
    record = {"id": run_id, "job": str(job), "status": "done", "error": None, "frames": frames}
    (folder / "run.json").write_text(json.dumps(record))


def test_a_result_is_that_of_the_newest_run_that_has_it(tmp_path, monkeypatch):
    loaded: list[tuple[str, str]] = []
    monkeypatch.setitem(sys.modules, "hayate.frames", _Frames(loaded))
    job, store = tmp_path / "job.py", tmp_path / ".hayate"
    for number, frames in enumerate([{"s": "/old", "t": "/t"}, {"s": "/new", "cut.train": "/c"}]):
        _record(store, f"r{number}", job, frames)
        path = store / "runs" / f"r{number}" / "run.json"
        os.utime(path, ns=(number, number))
    _record(store, "other", tmp_path / "other.py", {"s": "/wrong"})
    assert result(job, "s") == ("/new", "pandas")
    assert result(job, "t", as_="arrow") == ("/t", "arrow")
    assert result(job, "train", store=store) == ("/c", "pandas")
    with pytest.raises(hy.UsageError, match="no stage"):
        result(job, "x")
    with pytest.raises(hy.UsageError, match="no run"):
        result(tmp_path / "never.py", "s")


class _Frames:
    """Stands in for hayate.frames, which needs the built extension module."""

    def __init__(self, loaded: list[tuple[str, str]]) -> None:
        self._loaded = loaded

    def load(self, path: str, *, as_: str) -> tuple[str, str]:
        self._loaded.append((path, as_))
        return path, as_


def test_importing_hayate_imports_neither_pandas_nor_pyarrow():
    program_text = (
        "import sys, hayate\n"
        "print([name for name in ('pandas', 'pyarrow', 'numpy', 'polars') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program_text],
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_all_names_can_be_listed_and_unknown_ones_are_told():
    assert set(hy.__all__) == set(dir(hy))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hy.nothing  # type: ignore[attr-defined]
