"""Job files in fresh folders, for the tests of what is declared."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from hayate.errors import UsageError
from hayate.job import Job, load_job

HEAD = "import datetime as dt\nimport hayate as hy\n"


def write(folder: Path, text: str, name: str = "job.py") -> Path:
    """Writes a module; a job file gets the usual imports, on its first two lines."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    body = textwrap.dedent(text).lstrip("\n")
    path.write_text(HEAD + body if name == "job.py" else body)
    return path


def load(folder: Path, text: str, **given: str) -> Job:
    return load_job(str(write(folder, text)), given)


def wrong_use(folder: Path, text: str, **given: str) -> UsageError:
    """The error that loading the job, or reading its parameters, ends with."""
    with pytest.raises(UsageError) as caught:
        load(folder, text, **given).values()
    return caught.value


def value_of(folder: Path, declaration: str, **given: str) -> Any:
    """The value of the parameter `p`."""
    return load(folder, f"import enum, pathlib, typing\np = {declaration}\n", **given).values()["p"]
