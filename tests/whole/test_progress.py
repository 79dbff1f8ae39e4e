"""What is seen while a job runs: live lines on a terminal, plain ones in a log."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess

WAIT_S = 60

JOB = """
    import os
    import hayate as hy

    data = hy.csv("data.csv")

    @hy.stage(rows=2)
    def halves(data):
        if data["a"].iloc[0] > 0:
            os.close(os.open("go", os.O_RDONLY))
        return data

    @hy.stage
    def total(halves):
        return {"rows": len(halves)}
"""


def read_until(terminal: int, wanted: str, seen: str = "") -> str:
    """What the terminal shows until `wanted` is among it, within a bound."""
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], WAIT_S)
        assert ready, f"{wanted!r} is not in {seen!r}"
        try:
            seen += os.read(terminal, 65536).decode()
        except OSError:  # its other side is closed
            raise AssertionError(f"{wanted!r} is not in {seen!r}") from None
    return seen


def test_a_terminal_has_one_live_line_per_stage(project):
    project.write("data.csv", "a\n0\n1\n2\n3\n")
    project.write("job.py", JOB)
    go = project.folder / "go"
    os.mkfifo(go)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        project.command("run", "job.py"),
        cwd=project.folder,
        env=project.environment() | {"TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        seen = read_until(ours, "1/2 tasks")
        with go.open("w"):
            seen = read_until(ours, "done in", seen)
        process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        os.close(ours)
    assert process.returncode == 0
    assert "\x1b[" in seen  # lines are drawn over
    assert re.search(r"halves +[█░]+ +1/2 tasks", seen)
    assert re.search(r"\d\.\d cores", seen)


def test_a_log_has_plain_lines(project):
    project.write("data.csv", "a\n0\n0\n")
    project.write("job.py", JOB)
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.err and "█" not in ran.err
    assert re.search(r"^hayate: halves: done in \d+\.\d s, 2 rows$", ran.err, re.MULTILINE)
