"""Killed workers, interrupts, a killed supervisor: nothing hangs, finished parts are kept."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WAIT_S = 60


def wait_for_lines(fifo: Path, count: int) -> list[str]:
    """The first `count` lines that workers write into `fifo`, within a bound."""
    lines: list[str] = []
    descriptor = os.open(fifo, os.O_RDWR)
    pending = b""
    while len(lines) < count:
        ready, _, _ = select.select([descriptor], [], [], WAIT_S)
        assert ready, f"only {lines} arrived"
        pending += os.read(descriptor, 4096)
        *whole, pending = pending.split(b"\n")
        lines += [line.decode() for line in whole]
    os.close(descriptor)
    return lines


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def assert_ends(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([descriptor], [], [], WAIT_S)
    os.close(descriptor)
    assert ready or not alive(pid)


def prepare(project, body: str) -> Path:
    project.write("data.csv", "a\n" + "\n".join(str(i) for i in range(8)) + "\n")
    fifo = project.folder / "fifo"
    os.mkfifo(fifo)
    project.write("job.py", "import os\nimport hayate as hy\n\ndata = hy.csv('data.csv')\n" + body)
    return fifo


KILLED = """
@hy.stage(rows=4)
def s(data):
    if data["a"].iloc[0] == 4:
        os.kill(os.getpid(), 9)
    return data
"""


def test_killed_worker_is_retried_once_and_then_reported_with_its_memory(project):
    prepare(project, KILLED)
    ran = project.hayate("run", "job.py")
    assert ran.code == 1
    assert "stage s" in ran.err and "partition 1" in ran.err
    assert "SIGKILL" in ran.err and "GiB" in ran.err


def test_worker_killed_once_is_replaced_and_the_run_succeeds(project):
    flag = project.folder / "died"
    prepare(project, KILLED.replace(
        "os.kill(", f"os.path.exists({str(flag)!r}) or (open({str(flag)!r}, 'w').close(), os.kill("
    ).replace("9)", "9))"))  # fmt: skip
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert flag.exists()


def test_exit_inside_a_stage_is_noticed(project):
    prepare(project, "@hy.stage\ndef s(data):\n    os._exit(3)\n")
    ran = project.hayate("run", "job.py")
    assert ran.code == 1
    assert "stage s" in ran.err and "3" in ran.err


def test_failure_keeps_the_other_parts(project):
    body = """
@hy.stage(rows=2)
def s(data):
    with open("calls", "a") as calls:
        calls.write(f"{data['a'].iloc[0]}\\n")
    if data["a"].iloc[0] == 6 and not os.path.exists("mended"):
        raise ValueError("not yet")
    return data
"""
    prepare(project, body)
    ran = project.hayate("run", "job.py", "-j", "1")
    assert ran.code == 1 and "ValueError: not yet" in ran.err
    (project.folder / "mended").touch()
    (project.folder / "calls").unlink()
    ran = project.hayate("run", "job.py", "-j", "1")
    assert ran.code == 0, ran.err
    assert (project.folder / "calls").read_text().split() == ["6"]


BLOCKED = """
@hy.stage(rows=4)
def s(data):
    fifo = os.open("fifo", os.O_WRONLY)
    os.write(fifo, f"{os.getpid()}\\n".encode())
    if data["a"].iloc[0] == 4 and not os.path.exists("mended"):
        import signal
        signal.pause()
    return data
"""


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_ends_workers_and_the_next_run_goes_on(project, number, code):
    fifo = prepare(project, BLOCKED)
    process = project.start("run", "job.py", "-j", "1")
    pids = [int(line) for line in wait_for_lines(fifo, 2)]
    process.send_signal(number)
    _, error = process.communicate(timeout=WAIT_S)
    assert process.returncode == code, error
    for pid in pids:
        assert_ends(pid)
    (project.folder / "mended").touch()
    keep = os.open(fifo, os.O_RDWR)
    ran = project.hayate("run", "job.py", "-j", "1")
    os.close(keep)
    assert ran.code == 0, ran.err


def test_children_end_with_a_killed_supervisor(project):
    fifo = prepare(project, BLOCKED)
    process = project.start("run", "job.py", "-j", "1")
    pids = [int(line) for line in wait_for_lines(fifo, 2)]
    process.kill()
    process.wait(timeout=WAIT_S)
    for pid in pids:
        assert_ends(pid)


@contextmanager
def mounted_tmpfs(folder: Path, options: str) -> Iterator[None]:
    """A tmpfs on a new folder, where this user may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


SMALL_JOB = """
    import hayate as hy

    data = hy.csv("data.csv")

    @hy.stage
    def s(data):
        return data

    hy.output(s, "{output}")
"""


def test_full_disk_is_told_and_nothing_is_half_written(project):
    small = project.folder / "small"
    rows = "\n".join(f"{i},{i * 7919}" for i in range(300_000))
    project.write("data.csv", "a,b\n" + rows + "\n")
    project.write("job.py", SMALL_JOB.format(output="out.csv"))
    with mounted_tmpfs(small, "size=2m"):
        ran = project.hayate("run", "job.py", "--store", small / "store")
        assert ran.code == 1, ran.err
        assert "No space left" in ran.err and "Free some space" in ran.err
        assert not list(small.rglob("frame.json"))


def test_full_disk_under_an_output_keeps_the_frames_and_leaves_no_half_file(project):
    small = project.folder / "small"
    rows = "\n".join(f"{i},{i * 7919}" for i in range(300_000))
    project.write("data.csv", "a,b\n" + rows + "\n")
    project.write("job.py", SMALL_JOB.format(output=small / "out.csv"))
    with mounted_tmpfs(small, "size=1m"):
        ran = project.hayate("run", "job.py")
        assert ran.code == 1, ran.err
        assert "No space left" in ran.err and "out.csv" in ran.err
        assert list(small.iterdir()) == []
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert ran.err.count(" kept ") == 2
    assert (small / "out.csv").exists()


@pytest.mark.parametrize("what", ["store", "output"])
def test_place_that_cannot_be_written_to_is_named_before_any_work(project, what):
    sealed = project.folder / "sealed"
    project.write("data.csv", "a,b\n1,2\n")
    project.write(
        "job.py", SMALL_JOB.format(output=sealed / "out.csv" if what == "output" else "out.csv")
    )
    with mounted_tmpfs(sealed, "ro"):
        words = ["--store", sealed / "store"] if what == "store" else []
        ran = project.hayate("run", "job.py", *words)
    assert ran.code == 1, ran.err
    assert "hayate: error:" in ran.err and str(sealed) in ran.err and "fix:" in ran.err
    assert "done in" not in ran.err
