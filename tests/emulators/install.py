#!/usr/bin/env python3
"""Installs what the stand-ins are built from, outside of the checkout, and says where it is.

Needs nothing but Python's standard library, and Go or Rust for the parts that are written in it::

    python tests/emulators/install.py [bigquery|storage|networks|rattan]...

Without a word: what the tests need.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hayate" / "emulators"
).absolute()
# Written last: a folder without it, or with another recipe in it, counts as not installed.
STAMP = "installed"
# Far above what a slow network needs; an install that hangs must not hang the tests.
TIMEOUT_S = 1800
GO_FALLBACK = Path("/usr/local/go/bin/go")
CARGO_FALLBACK = Path.home() / ".cargo" / "bin" / "cargo"


class InstallError(Exception):
    """A part that cannot be installed: its text is one line that says why."""


@dataclass(frozen=True)
class Part:
    """One pinned program.

    Attributes:
        name: how tests and the command line call it.
        program: the file name of what is started, which is the project's name, too.
        version: the pin, which names the folder.
        skipped: what cannot be tested without it.
        is_for_tests: whether the tests use it; else it is installed only where it is named.
    """

    name: str
    program: str
    version: str
    skipped: str
    is_for_tests: bool = field(default=True, kw_only=True)

    @property
    def folder(self) -> Path:
        return CACHE / f"{self.program}-{self.version}"

    @property
    def executable(self) -> Path:
        return self.folder / "bin" / self.program

    def recipe(self) -> str:
        """Everything the result depends on: another recipe is another installation."""
        raise NotImplementedError

    def build(self) -> None:
        """Fills the empty folder."""
        raise NotImplementedError

    def digest(self) -> str:
        return hashlib.sha256(self.recipe().encode()).hexdigest()

    def is_installed(self) -> bool:
        try:
            stamp = (self.folder / STAMP).read_text()
        except OSError:
            return False
        return stamp == self.digest() and self.executable.is_file()


@dataclass(frozen=True)
class PythonPart(Part):
    """A program of a Python distribution, in a virtual environment of its own."""

    requirements: tuple[str, ...] = ()
    then: tuple[str, ...] = ()

    def recipe(self) -> str:
        return "\n".join((*self.requirements, *self.then))

    def build(self) -> None:
        python = self.folder / "bin" / "python"
        _run([sys.executable, "-m", "venv", str(self.folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--no-input", *self.requirements])
        for statement in self.then:
            # What an installation step puts below the home folder stays with the part.
            _run([str(python), "-c", statement], HOME=str(self.folder))


@dataclass(frozen=True)
class GoPart(Part):
    """A program of a Go module."""

    package: str = ""

    def recipe(self) -> str:
        return f"{self.package}@{self.version}"

    def build(self) -> None:
        go = shutil.which("go") or (str(GO_FALLBACK) if GO_FALLBACK.is_file() else None)
        if go is None:
            raise InstallError("Go is not installed (neither on PATH nor in /usr/local/go)")
        work = self.folder / "build"
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        _run(
            [go, "install", self.recipe()],
            GOBIN=str(bin_folder),
            GOCACHE=str(work / "cache"),
            GOPATH=str(work / "path"),
            # Sources that cannot be written to could not be removed afterwards.
            GOFLAGS="-mod=mod -modcacherw",
            CGO_ENABLED="0",
            GOTOOLCHAIN="local",
        )
        built = bin_folder / self.package.rsplit("/", 1)[-1]
        if built != self.executable:
            built.rename(self.executable)
        shutil.rmtree(work)


@dataclass(frozen=True)
class CargoPart(Part):
    """A program of a Rust crate, with the versions of its own lock file."""

    def recipe(self) -> str:
        return f"{self.program} {self.version} --locked"

    def build(self) -> None:
        cargo = shutil.which("cargo") or (str(CARGO_FALLBACK) if CARGO_FALLBACK.is_file() else None)
        if cargo is None:
            raise InstallError(f"Rust's cargo is neither on PATH nor in {CARGO_FALLBACK.parent}")
        work = self.folder / "build"
        exact = f"={self.version}"
        _run(
            [cargo, "install", "--quiet", "--locked", self.program, "--version", exact],
            CARGO_INSTALL_ROOT=str(self.folder),
            CARGO_TARGET_DIR=str(work),
        )
        shutil.rmtree(work)


PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        PythonPart(
            name="bigquery",
            program="bqemulator",
            version="1.4.0",
            skipped="tests against BigQuery",
            # Newer versions of DuckDB have no extension package.
            requirements=(
                "bqemulator==1.4.0",
                "duckdb==1.5.5",
                "duckdb-extensions==1.5.5",
                "duckdb-extension-spatial==1.5.5",
                "numpy==2.4.6",
            ),
            then=("from duckdb_extensions import import_extension; import_extension('spatial')",),
        ),
        GoPart(
            name="storage",
            program="fake-gcs-server",
            version="v1.56.1",
            skipped="tests against Cloud Storage",
            package="github.com/fsouza/fake-gcs-server",
        ),
        GoPart(
            name="networks",
            program="toxiproxy-server",
            version="v2.5.0",
            skipped="tests with broken networks",
            package="github.com/Shopify/toxiproxy/v2/cmd/server",
        ),
        CargoPart(
            name="rattan",
            program="rattan",
            version="0.1.1",
            skipped="measurements over a long network",
            # It takes some minutes to build.
            is_for_tests=False,
        ),
    )
}


def find(name: str) -> Path | None:
    """The program of a part, or None where it is not installed."""
    part = PARTS[name]
    return part.executable if part.is_installed() else None


def home(name: str) -> Path:
    """The folder that a part's program takes as its home: what was installed into it is there."""
    return PARTS[name].folder


def install(names: Iterable[str] | None = None) -> None:
    """Installs the parts that are not there yet; those that tests need if none is named.

    Raises:
        InstallError: the first part that could not be installed; nothing of it counts then.
    """
    for name in _needed_by_tests() if names is None else names:
        ensure(PARTS[name])


def ensure(part: Part) -> Path:
    """Installs a part unless it is there.

    Returns:
        Its program.

    Raises:
        InstallError: it could not be installed; nothing of it counts then.
    """
    part.folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(part.folder.with_name(f"{part.folder.name}.lock")):
        if part.is_installed():
            return part.executable
        shutil.rmtree(part.folder, ignore_errors=True)
        part.folder.mkdir()
        try:
            part.build()
        except BaseException:
            shutil.rmtree(part.folder, ignore_errors=True)
            raise
        (part.folder / STAMP).write_text(part.digest())
    return part.executable


def _needed_by_tests() -> list[str]:
    return [name for name, part in PARTS.items() if part.is_for_tests]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One installer of a part at a time; the lock goes with the process that holds it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], **environment: str) -> None:
    try:
        done = subprocess.run(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InstallError(f"`{command[0]}` took longer than {TIMEOUT_S} s") from None
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise InstallError(f"`{' '.join(command)}` failed: {last}")


def main(words: Sequence[str]) -> int:
    """The command: exit status 1 when a part is missing in the end."""
    unknown = [word for word in words if word not in PARTS]
    if unknown:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    missing = False
    for name in words or _needed_by_tests():
        part = PARTS[name]
        try:
            install([name])
            print(f"{name}: {part.executable}")
        except InstallError as error:
            missing = True
            print(f"{name}: not installed, {part.skipped} are skipped: {error}", file=sys.stderr)
    return int(missing)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
