"""Python, and the packages that hayate rests on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping

from hayate.doctor.finding import Check, Finding
from hayate.errors import HayateError

SECTION = "Python"
#: Distribution → the least version, as pyproject.toml has them.
REQUIRED = {"pyarrow": "16", "pandas": "2.2", "numpy": "1.26", "cloudpickle": "3.0"}
BIGQUERY = {
    "google-cloud-bigquery": "3.30",
    "google-cloud-bigquery-storage": "2.28",
    "google-auth": "2.38",
}
_MODULES = {
    "google-cloud-bigquery": "google.cloud.bigquery",
    "google-cloud-bigquery-storage": "google.cloud.bigquery_storage",
    "google-auth": "google.auth",
}
_LEAST_PYTHON = (3, 11)
_IMPORT_LIMIT_S = 60.0
#: Imports each module and says what goes wrong; a crash of one ends a process of its own.
_IMPORTER = """
import importlib, json, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        print(json.dumps([name, text]), flush=True)
    else:
        print(json.dumps([name, ""]), flush=True)
"""


def checks(*, needs_bigquery: bool) -> list[Check]:
    """All that is to be looked at here.

    Args:
        needs_bigquery: whether the packages of the extra have to be there.
    """
    return [
        Check(SECTION, "Python", lambda _: python()),
        Check(SECTION, "hayate", lambda _: engine()),
        Check(SECTION, "packages", packages, _IMPORT_LIMIT_S),
        Check(
            SECTION,
            "for BigQuery",
            lambda stop: bigquery_packages(stop, is_needed=needs_bigquery),
            _IMPORT_LIMIT_S,
        ),
    ]


def python() -> Iterator[Finding]:
    """The interpreter that runs jobs."""
    version = ".".join(str(one) for one in sys.version_info[:3])
    what = f"{version}, {sys.executable}"
    if sys.version_info[:2] < _LEAST_PYTHON:
        least = ".".join(str(one) for one in _LEAST_PYTHON)
        yield Finding("problem", "Python", what, f"Use Python {least} or later (HAYATE_PYTHON).")
    else:
        yield Finding("ok", "Python", what)


def engine() -> Iterator[Finding]:
    """Whether the two compiled parts are there and belong together."""
    import hayate
    from hayate.command import program

    remedy = "Install it again: pip install --force-reinstall hayate."
    try:
        from hayate import _core
    except ImportError as error:
        what = f"{hayate.__version__}, whose engine cannot be loaded: {error}"
        yield Finding("problem", "hayate", what, remedy)
        return
    try:
        path = program()
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout.strip()
    except (HayateError, OSError, subprocess.SubprocessError) as error:
        what = f"{hayate.__version__}, whose program cannot be started: {error}"
        yield Finding("problem", "hayate", what.splitlines()[0], remedy)
        return
    what = f"{hayate.__version__}, {os.path.dirname(_core.__file__ or '')}"
    if said != hayate.__version__:
        what += f"; its program {path} is of version {said or 'unknown'}"
        yield Finding("problem", "hayate", what, remedy)
    else:
        yield Finding("ok", "hayate", what)


def packages(stop: threading.Event) -> Iterator[Finding]:
    """What every job needs."""
    yield _packages("packages", REQUIRED, "pip install --upgrade hayate", stop)


def bigquery_packages(stop: threading.Event, *, is_needed: bool) -> Iterator[Finding]:
    """What BigQuery needs."""
    command = "pip install --upgrade 'hayate[bigquery]'"
    if not is_needed and all(_version(name) is None for name in BIGQUERY):
        what = f"not installed; hy.read_bigquery and hy.bigquery need them: {command}"
        yield Finding("skipped", "for BigQuery", what)
        return
    yield _packages("for BigQuery", BIGQUERY, command, stop)


def _packages(name: str, wanted: Mapping[str, str], command: str, stop: threading.Event) -> Finding:
    there = {one: _version(one) for one in wanted}
    modules = {one: _MODULES.get(one, one) for one in wanted if there[one] is not None}
    broken = broken_imports(list(modules.values()), stop)
    texts, troubles = [], []
    for one, least in wanted.items():
        version = there[one]
        if version is None:
            troubles.append(f"{one} is not installed")
            continue
        texts.append(f"{one} {version}")
        if is_older(version, least):
            troubles.append(f"{one} {version} is older than {least}")
        elif trouble := broken.get(modules[one]):
            troubles.append(f"{one} {version} cannot be imported ({trouble})")
    if troubles:
        return Finding("problem", name, "; ".join(troubles), f"{command}, with {sys.executable}")
    return Finding("ok", name, ", ".join(texts))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def is_older(version: str, least: str) -> bool:
    """Whether a version is below another, by their numbers; "3.0.0rc1" counts as 3.0.0."""

    def numbers(text: str) -> list[int]:
        found = [int(one) for one in re.findall(r"\d+", re.split(r"[^\d.]", text)[0])]
        return found + [0] * (4 - len(found))

    return numbers(version) < numbers(least)


def broken_imports(
    modules: list[str], stop: threading.Event, python_path: str = sys.executable
) -> dict[str, str]:
    """Module → why it cannot be imported, of those that cannot. All in one process, in order; what
    ends that process is the trouble of the module it was at."""
    if not modules:
        return {}
    # -P: the working directory is not searched for modules, as in jobs.
    process = subprocess.Popen(
        [python_path, "-P", "-c", _IMPORTER, *modules],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    )
    try:
        end = time.monotonic() + _IMPORT_LIMIT_S
        while True:
            try:
                output, _ = process.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                if stop.is_set() or time.monotonic() >= end:
                    raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    said: dict[str, str] = {}
    for line in output.splitlines():
        if line.startswith('["'):
            name, trouble = json.loads(line)
            said[name] = trouble
    for name in modules:
        if name not in said:
            said[name] = f"the process ended with {process.returncode}"
            break
    return {name: trouble for name, trouble in said.items() if trouble}
