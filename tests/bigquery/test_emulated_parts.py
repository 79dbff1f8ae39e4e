"""Installing the parts of the stand-ins, and running them as children."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from emulators import install
from emulators.processes import Child, StartError, accepts, free_port, start

WAIT_S = 30
LISTENER = """
import signal, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
signal.pause()
"""
SLEEPER = "import signal; signal.pause()"


@dataclass(frozen=True)
class ShellPart(install.Part):
    """A part that a line of shell installs into $FOLDER."""

    script: str = ""

    def recipe(self) -> str:
        return self.script

    def build(self) -> None:
        install._run(["sh", "-c", self.script], FOLDER=str(self.folder))


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(install, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def use(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    part = ShellPart(name="tool", program="tool", version="1", skipped="tests", script=script)
    monkeypatch.setattr(install, "PARTS", {"tool": part})


GOOD = 'mkdir "$FOLDER/bin" && echo x >> "$FOLDER/bin/tool"'


def test_part_is_found_once_it_is_installed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GOOD)
    assert install.find("tool") is None
    install.install()
    install.install()
    found = install.find("tool")
    assert found == cache / "tool-1" / "bin" / "tool" and found.read_text() == "x\n"


def test_part_of_another_recipe_is_installed_afresh(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, GOOD)
    install.install()
    use(monkeypatch, f"{GOOD}; true")
    assert install.find("tool") is None
    install.install()
    found = install.find("tool")
    assert found is not None and found.read_text() == "x\n"


def test_half_an_installation_does_not_count(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, f"{GOOD} && echo it broke && false")
    with pytest.raises(install.InstallError, match="it broke"):
        install.install()
    assert install.find("tool") is None
    # As a killed installation leaves it.
    (cache / "tool-1" / "bin").mkdir(parents=True)
    (cache / "tool-1" / "bin" / "tool").write_text("half")
    assert install.find("tool") is None
    use(monkeypatch, GOOD)
    install.install()
    found = install.find("tool")
    assert found is not None and found.read_text() == "x\n"


def test_command_says_in_a_line_what_is_missing_and_what_is_skipped(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, "echo no network && false")
    assert install.main([]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "tests are skipped" in said[0] and "no network" in said[0]
    assert install.main(["nothing"]) == 2


def test_child_listens_until_it_is_closed() -> None:
    port = free_port()
    command = [sys.executable, "-c", LISTENER, str(port)]
    with start(lambda: Child(command, is_ready=lambda: accepts(port))) as child:
        assert accepts(port) and child.pid > 0
    assert not accepts(port)


def test_child_that_does_not_come_up_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-c", LISTENER, str(port)]
        with pytest.raises(StartError, match="in use"):
            start(lambda: Child(command, is_ready=lambda: False))


def test_child_dies_with_its_parent() -> None:
    code = (
        "from emulators.processes import Child\n"
        f"child = Child([{sys.executable!r}, '-c', {SLEEPER!r}], is_ready=lambda: True)\n"
        "print(child.pid, flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with parent:
        assert parent.stdout is not None
        ended = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert select.select([ended], [], [], WAIT_S)[0]
    os.close(ended)
