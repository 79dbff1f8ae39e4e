"""hayate.doctor.packages: what is installed, new enough, and can be imported."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import threading
import tomllib

import pytest

from hayate.doctor import packages

STOP = threading.Event()


def _requirements(texts: list[str]) -> dict[str, str]:
    return dict(text.split(">=") for text in texts)  # type: ignore[misc]


def test_the_versions_are_those_that_an_installation_asks_for() -> None:
    path = pathlib.Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(path.read_text())["project"]
    assert _requirements(project["dependencies"]) == packages.REQUIRED
    assert _requirements(project["optional-dependencies"]["bigquery"]) == packages.BIGQUERY


@pytest.mark.parametrize(
    ("version", "least", "older"),
    [
        ("2.2", "2.2", False),
        ("2.10.1", "2.2", False),
        ("2.1.9", "2.2", True),
        ("3.0.0rc1", "3.0", False),
        ("16", "16", False),
        ("15.0.2", "16", True),
        ("26.0.1.dev3+g1", "26.0.1", False),
        ("", "1", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, least: str, older: bool) -> None:
    assert packages.is_older(version, least) is older


def test_what_is_here_is_well() -> None:
    (python,) = packages.python()
    (engine,) = packages.engine()
    (needed,) = packages.packages(STOP)
    assert (python.level, engine.level, needed.level) == ("ok", "ok", "ok"), engine
    assert "pyarrow" in needed.what


def test_what_is_missing_or_old_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "REQUIRED", {"no-such-thing": "1", "numpy": "999"})
    (found,) = packages.packages(STOP)
    assert found.level == "problem"
    assert "no-such-thing is not installed; numpy" in found.what
    assert "is older than 999" in found.what
    assert found.remedy.startswith("pip install --upgrade hayate, with ")


def test_packages_of_bigquery_need_not_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "BIGQUERY", {"no-such-thing": "1"})
    (skipped,) = packages.bigquery_packages(STOP, is_needed=False)
    (problem,) = packages.bigquery_packages(STOP, is_needed=True)
    assert (skipped.level, problem.level) == ("skipped", "problem")
    assert "hayate[bigquery]" in problem.remedy


def test_modules_that_fail_or_end_the_process_are_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doctor_raises.py").write_text("raise RuntimeError('first line\\nsecond')")
    (tmp_path / "doctor_ends.py").write_text("import os; os._exit(7)")
    (tmp_path / "doctor_prints.py").write_text("print('hello')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    modules = ["doctor_prints", "doctor_raises", "doctor_ends", "json"]
    assert packages.broken_imports(modules, STOP) == {
        "doctor_raises": "RuntimeError: first line",
        "doctor_ends": "the process ended with 7",
    }
    assert packages.broken_imports([], STOP) == {}


def test_an_import_that_hangs_is_ended(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doctor_hangs.py").write_text("import threading; threading.Event().wait()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    stop = threading.Event()
    stop.set()
    with pytest.raises(subprocess.TimeoutExpired):
        packages.broken_imports(["doctor_hangs"], stop)


def test_a_doctor_of_the_machine_needs_no_package(tmp_path: pathlib.Path) -> None:
    """Without pandas, pyarrow and Google's packages: they are what may be missing."""
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pandas', 'pyarrow', 'numpy', 'google', 'requests'):\n"
        "            raise ModuleNotFoundError('No module named ' + name, name=name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from hayate.doctor.__main__ import main\n"
        "sys.exit(main([]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert ran.stderr == ""
    assert "cores" in ran.stdout and "/dev/shm" in ran.stdout
    assert "-        Google" in ran.stdout
