"""Memory and time have limits: what exceeds them is ended and named, what waits can be ended."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

WAIT_S = 60


def write_job(project, body: str) -> None:
    project.write("data.csv", "a\n" + "\n".join(str(i) for i in range(8)) + "\n")
    project.write("job.py", "import hayate as hy\n\ndata = hy.csv('data.csv')\n" + body)


def test_stage_that_needs_too_much_memory_is_named_before_the_kernel_ends_the_run(project):
    body = """
@hy.stage
def s(data):
    import signal
    hold = bytearray(b"x") * (700 << 20)
    signal.pause()
"""
    write_job(project, body)
    ran = project.hayate("run", "job.py", "--memory", "600MiB")
    assert ran.code == 1
    assert "needs more memory than there is" in ran.err and "stage s" in ran.err, ran.err


def test_tasks_that_do_not_fit_beside_each_other_run_alone(project):
    # A first call holds its memory until the process of the other one's first call is gone.
    body = """
@hy.stage(rows=4)
def s(data):
    import os, time
    mine, other = ("first", "second") if data["a"].iloc[0] == 0 else ("second", "first")
    if os.path.islink(mine):
        return data
    os.symlink(f"/proc/{os.getpid()}", mine)
    hold = bytearray(b"x") * (350 << 20)
    until = time.monotonic() + 60
    while time.monotonic() < until and (not os.path.islink(other) or os.path.exists(other)):
        time.sleep(0.01)
    return data
"""
    write_job(project, body)
    ran = project.hayate("run", "job.py", "-j", "2", "--memory", "900MiB")
    assert ran.code == 0, ran.err
    assert ran.err.count("memory runs short") == 1, ran.err


def test_call_that_takes_longer_than_its_timeout_is_ended(project):
    body = """
@hy.stage(rows=4, timeout=0.5)
def s(data):
    import signal
    signal.pause()
"""
    write_job(project, body)
    ran = project.hayate("run", "job.py", "-j", "1")
    assert ran.code == 1
    assert "took longer than the 0.5 seconds" in ran.err, ran.err
    assert "stage s, partition 0" in ran.err and "timeout=" in ran.err


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_wait_for_another_run_ends_in_order(project, number, code):
    write_job(project, "")
    (project.folder / ".hayate").mkdir()
    with open(project.folder / ".hayate/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = project.folder / "result.json"
        process = subprocess.Popen(
            project.command("run", "job.py"),
            cwd=project.folder,
            env=project.environment() | {"HAYATE_RESULT": str(result)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
        process.send_signal(number)
        _, error = process.communicate(timeout=WAIT_S)
    assert process.returncode == code, error
    assert json.loads(result.read_text())["status"] == "interrupted"


def test_terminated_plan_says_so_by_its_exit_code(project):
    fifo = project.folder / "fifo"
    os.mkfifo(fifo)
    write_job(project, "import signal\nopen('fifo', 'w').write('x')\nsignal.pause()\n")
    process = project.start("plan", "job.py")
    wait_for_word(fifo)
    process.terminate()
    _, error = process.communicate(timeout=WAIT_S)
    assert process.returncode == 143, error


def wait_for_word(fifo: Path) -> None:
    descriptor = os.open(fifo, os.O_RDWR)
    ready, _, _ = select.select([descriptor], [], [], WAIT_S)
    os.close(descriptor)
    assert ready


def test_children_from_before_the_run_outlive_it(project):
    write_job(project, "@hy.stage\ndef s(data):\n    return data\n")
    script = 'sleep 100 & echo $! > helper; exec "$@"'
    ran = subprocess.run(
        ["sh", "-c", script, "sh", *project.command("run", "job.py")],
        cwd=project.folder,
        env=project.environment(),
        stderr=subprocess.DEVNULL,
        timeout=WAIT_S,
        check=False,
    )
    helper = int((project.folder / "helper").read_text())
    try:
        assert ran.returncode == 0
        os.kill(helper, 0)
    finally:
        os.kill(helper, signal.SIGKILL)
