"""What whole-program tests share: the command as users run it, and job files in fresh folders."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = Path(os.environ.get("HAYATE_COMMAND", ROOT / "build/dev/python/hayate/bin/hayate"))
TIMEOUT_S = 120


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Project:
    """A folder with a job file and its data, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def write_gzip(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
        return path

    def command(self, *words: str | Path) -> list[str]:
        return [str(COMMAND), *map(str, words)]

    def environment(self) -> dict[str, str]:
        return dict(os.environ, HAYATE_PYTHON=sys.executable)

    def hayate(self, *words: str | Path, **environment: str) -> Ran:
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment() | environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def leftovers(self) -> list[Path]:
        """Temporaries that a finished command must not leave."""
        return [path for path in self.folder.rglob("*") if path.name.endswith(".tmp")]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def clicks() -> Callable[[int, int], str]:
    """CSV text of `rows` clicks of users 0…9, from event `first` on."""

    def text(first: int, rows: int) -> str:
        lines = ["event_id,user_id,price,city"]
        lines += [f"{i},{i % 10},{i / 4},c{i % 3}" for i in range(first, first + rows)]
        return "\n".join(lines) + "\n"

    return text
