"""hayate.doctor.machine, control_group and disks: by trees of files that stand for the kernel's."""

from __future__ import annotations

import os
import pathlib
import threading

import pytest

import hayate as hy
from hayate import _core
from hayate.doctor import disks, machine
from hayate.doctor.control_group import KernelFiles, read_cores, read_memory
from hayate.doctor.finding import Finding

GIB = 1 << 30


@pytest.fixture
def kernel(tmp_path: pathlib.Path) -> KernelFiles:
    """A machine of 64 GiB without limits."""
    files = KernelFiles(str(tmp_path / "cgroup"), str(tmp_path / "proc"))
    _write(files.proc, "meminfo", f"MemTotal: {64 << 20} kB\nMemAvailable: {60 << 20} kB\n")
    os.makedirs(files.cgroup)
    return files


def _write(root: str, path: str, text: str) -> None:
    full = pathlib.Path(root, path)
    full.parent.mkdir(parents=True, exist_ok=True)
    full.write_text(text)


def test_without_limits_the_machine_counts(kernel: KernelFiles) -> None:
    found = read_cores(kernel, 8)
    assert (found.usable, found.quota) == (8, None)
    held = read_memory(kernel)
    assert (held.limit_bytes, held.used_bytes, held.is_of_group) == (64 * GIB, 4 * GIB, False)


def test_the_least_quota_of_all_groups_above_counts(kernel: KernelFiles) -> None:
    _write(kernel.proc, "self/cgroup", "0::/pod/container\n")
    _write(kernel.cgroup, "pod/container/cpu.max", "max 100000\n")
    _write(kernel.cgroup, "pod/cpu.max", "250000 100000\n")
    found = read_cores(kernel, 16)
    assert (found.usable, found.quota) == (3, 2.5)
    assert read_cores(kernel, 2).usable == 2


def test_version_1_counts_as_well(kernel: KernelFiles) -> None:
    _write(kernel.proc, "self/cgroup", "4:cpu,cpuacct:/box\n7:memory:/box\n")
    _write(kernel.cgroup, "cpu/box/cpu.cfs_quota_us", "400000\n")
    _write(kernel.cgroup, "cpu/box/cpu.cfs_period_us", "100000\n")
    _write(kernel.cgroup, "cpu/cpu.cfs_quota_us", "-1\n")
    _write(kernel.cgroup, "cpu/cpu.cfs_period_us", "100000\n")
    _write(kernel.cgroup, "memory/box/memory.limit_in_bytes", f"{8 * GIB}\n")
    _write(kernel.cgroup, "memory/box/memory.usage_in_bytes", f"{6 * GIB}\n")
    _write(kernel.cgroup, "memory/box/memory.stat", f"total_inactive_file {2 * GIB}\n")
    _write(kernel.cgroup, "memory/memory.limit_in_bytes", f"{2**63 - 4096}\n")
    assert read_cores(kernel, 16).usable == 4
    held = read_memory(kernel)
    assert (held.limit_bytes, held.used_bytes, held.is_of_group) == (8 * GIB, 4 * GIB, True)


def test_the_group_nearest_to_its_limit_counts_and_page_cache_does_not(
    kernel: KernelFiles,
) -> None:
    _write(kernel.proc, "self/cgroup", "0::/pod/container\n")
    for group, limit, used in (("pod", 16, 8), ("pod/container", 4, 3)):
        _write(kernel.cgroup, f"{group}/memory.max", f"{limit * GIB}\n")
        _write(kernel.cgroup, f"{group}/memory.current", f"{used * GIB}\n")
    stat = f"anon 1\ninactive_file {GIB // 2}\nactive_file {GIB // 2}\n"
    _write(kernel.cgroup, "pod/container/memory.stat", stat)
    _write(kernel.cgroup, "pod/container/memory.oom.group", "1\n")
    _write(kernel.cgroup, "pod/container/memory.events", "oom 3\noom_kill 2\n")
    # 2 of 4 GiB or 8 of 16: equal shares, so the own group.
    held = read_memory(kernel)
    assert (held.limit_bytes, held.used_bytes, held.kills) == (4 * GIB, 2 * GIB, 2)
    (found,) = machine.memory(kernel)
    assert found.level == "advice"
    assert "ended 2 processes" in found.what and "whole container" in found.what


def test_the_engine_sees_the_same_cores() -> None:
    assert read_cores(KernelFiles()).usable == _core.available_cores()


def test_damaged_files_of_the_kernel_are_no_limit(kernel: KernelFiles) -> None:
    _write(kernel.proc, "self/cgroup", "nonsense\n0::relative\n")
    _write(kernel.cgroup, "cpu.max", "a b c\n")
    _write(kernel.cgroup, "memory.max", "\n")
    assert read_cores(kernel, 4).quota is None
    assert not read_memory(kernel).is_of_group


@pytest.mark.parametrize(
    ("files", "affinity", "level", "part"),
    [
        ({}, 16, "ok", "16 of 16 may be used"),
        ({}, 1, "advice", "1 of 1"),
        ({"cpu.max": "800000 100000"}, 16, "ok", "allows 8"),
        ({"cpu.max": "150000 100000"}, 16, "advice", "allows 1.5"),
        (
            {"cpu.max": "800000 100000", "cpu.stat": "nr_periods 100\nnr_throttled 30"},
            16,
            "advice",
            "in 30% of its periods",
        ),
    ],
)
def test_cores(
    kernel: KernelFiles, files: dict[str, str], affinity: int, level: str, part: str
) -> None:
    for name, text in files.items():
        _write(kernel.cgroup, name, text + "\n")
    (found,) = machine.cores(kernel, affinity)
    assert found.level == level and part in found.what
    assert bool(found.remedy) == (level != "ok")


def test_memory_that_is_in_use_is_advice(kernel: KernelFiles) -> None:
    _write(kernel.proc, "meminfo", f"MemTotal: {64 << 20} kB\nMemAvailable: {4 << 20} kB\n")
    (found,) = machine.memory(kernel)
    assert found.level == "advice" and "60.0 GiB in use" in found.what
    _write(kernel.proc, "meminfo", "")
    (unknown,) = machine.memory(kernel)
    assert unknown.level == "advice"


def test_systems_that_hayate_does_not_run_on_are_a_problem() -> None:
    assert [one.level for one in machine.system("Linux", "aarch64")] == ["ok"]
    assert [one.level for one in machine.system("Linux", "riscv64")] == ["problem"]
    assert [one.level for one in machine.system("Darwin", "arm64")] == ["problem"]


def _mounts(kernel: KernelFiles, *lines: tuple[str, str]) -> None:
    text = "".join(
        f"{20 + i} 1 8:1 / {point} rw shared:1 - {kind} source rw\n"
        for i, (point, kind) in enumerate(lines)
    )
    _write(kernel.proc, "self/mountinfo", text)


def test_the_mount_of_a_folder_is_the_deepest_and_the_last(
    kernel: KernelFiles, tmp_path: pathlib.Path
) -> None:
    inner = tmp_path / "a b" / "c"
    inner.mkdir(parents=True)
    point = str(tmp_path).replace(" ", r"\040") + r"/a\040b"
    _mounts(kernel, ("/", "overlay"), (point, "ext4"), (point, "nfs4"), (f"{point}x", "xfs"))
    assert disks.mount_of(str(inner), kernel) == disks.Mount(f"{tmp_path}/a b", "nfs4")
    assert disks.mount_of("/nowhere", kernel).type == "overlay"


def _folder(
    kernel: KernelFiles, path: pathlib.Path, wanted: int = 0, speed: bool = False
) -> list[Finding]:
    stop = threading.Event()
    return list(
        disks.folder_findings("store", str(path), stop, kernel, wanted_bytes=wanted, speed=speed)
    )


@pytest.mark.parametrize(
    ("kind", "level", "part"),
    [
        ("ext4", "ok", "free, ext4"),
        ("nfs4", "advice", "network file system"),
        ("fuse.gcsfuse", "advice", "network file system"),
        ("tmpfs", "advice", "in memory"),
        ("overlay", "advice", "container's own layer"),
    ],
)
def test_file_systems(
    kernel: KernelFiles,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    level: str,
    part: str,
) -> None:
    monkeypatch.setattr(disks, "free_bytes", lambda folder: 10**12)
    _mounts(kernel, ("/", kind))
    (found,) = _folder(kernel, tmp_path / "not" / "there" / "yet")
    assert found.level == level and part in found.what


def test_room_counts_by_what_is_wanted(
    kernel: KernelFiles, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _mounts(kernel, ("/", "ext4"))
    monkeypatch.setattr(disks, "free_bytes", lambda folder: 20 * 10**9)
    assert _folder(kernel, tmp_path)[0].level == "ok"
    (found,) = _folder(kernel, tmp_path, wanted=30 * 10**9)
    assert found.level == "problem" and "30.00 GB are wanted" in found.what
    monkeypatch.setattr(disks, "free_bytes", lambda folder: 5 * 10**9)
    assert _folder(kernel, tmp_path)[0].level == "advice"
    monkeypatch.setattr(disks, "free_bytes", lambda folder: 10**6)
    assert _folder(kernel, tmp_path)[0].level == "problem"


def test_a_folder_that_may_not_be_written_to_is_a_problem(
    kernel: KernelFiles, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    (found,) = _folder(kernel, tmp_path)
    assert found.level == "problem" and "may not write" in found.what


def test_speed_is_measured_and_nothing_is_left(kernel: KernelFiles, tmp_path: pathlib.Path) -> None:
    before = sorted(os.listdir(tmp_path))
    found = disks.measure(str(tmp_path), threading.Event(), trial_bytes=32 << 20)
    assert found.write > 0
    assert sorted(os.listdir(tmp_path)) == before


def test_a_trial_of_speed_ends_when_it_is_told_to(tmp_path: pathlib.Path) -> None:
    stop = threading.Event()
    stop.set()
    assert disks.measure(str(tmp_path), stop).write == 0


def test_a_slow_disk_is_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(disks, "measure", lambda folder, stop: disks.Speed(20e6, 0.0))
    found = disks.speed_finding("disk speed", str(tmp_path), threading.Event())
    assert found.level == "advice" and found.what == "20.0 MB/s written to the disk"


def test_a_trial_that_cannot_be_written_says_so() -> None:
    with pytest.raises(hy.StorageError, match="cannot be written"):
        disks.measure("/proc/self", threading.Event())


def test_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    (missing,) = machine.shared_memory(str(tmp_path / "none"))
    assert missing.level == "ok"
    shares = os.statvfs(tmp_path)
    assert shares.f_blocks
    for total, level in ((64 << 20, "advice"), (2 << 30, "ok")):
        fake = os.statvfs_result((4096, 4096, total // 4096, *shares[3:]))
        monkeypatch.setattr(os, "statvfs", lambda path, fake=fake: fake)
        (found,) = machine.shared_memory(str(tmp_path))
        assert found.level == level and "hayate does not need it" in found.what


def test_all_checks_of_this_machine_find_something() -> None:
    for check in machine.checks():
        assert list(check.run(threading.Event())), check.name
