"""What the kernel allows this process: cores and memory of its control group.

The engine keeps to the same limits (src/hayate/base/limits.h, memory.h). They are read here once
more because a doctor has to say where they come from, and has to work where the engine cannot be
loaded.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class KernelFiles:
    """Where the kernel tells about this process; tests name folders of theirs.

    Attributes:
        cgroup: the mount of the control groups.
        proc: /proc.
    """

    cgroup: str = "/sys/fs/cgroup"
    proc: str = "/proc"


@dataclass(frozen=True)
class Cores:
    """Cores that may be used.

    Attributes:
        usable: rounded up, as the engine does.
        affinity: those that the process may be put on.
        quota: what the control group allows, in cores; None: no limit.
        throttled_share: of the periods so far, in which the group was held back.
    """

    usable: int
    affinity: int
    quota: float | None
    throttled_share: float


@dataclass(frozen=True)
class Memory:
    """Memory that may be used.

    Attributes:
        limit_bytes: of the control group that is nearest to its limit, else of the machine.
        used_bytes: of it, without what the kernel can take back at once.
        machine_bytes: all that the machine has.
        is_of_group: whether `limit_bytes` is the control group's.
        kills_group: whether the kernel ends all of the group where it ends one.
        kills: how many processes of the group it has ended for want of memory so far.
    """

    limit_bytes: int
    used_bytes: int
    machine_bytes: int
    is_of_group: bool
    kills_group: bool
    kills: int


def read_cores(files: KernelFiles, affinity: int | None = None) -> Cores:
    """The cores; `affinity` is asked of the kernel unless it is given."""
    count = len(os.sched_getaffinity(0)) if affinity is None else affinity
    quota, throttled = math.inf, 0.0
    for group in _groups("", files):
        words = _first_line(f"{group}/cpu.max").split()
        quota = min(quota, _cores(words[0], words[1]) if len(words) == 2 else math.inf)
        throttled = max(throttled, _throttled(f"{group}/cpu.stat"))
    for group in _groups("cpu", files):
        shares = (
            _first_line(f"{group}/cpu.cfs_quota_us"),
            _first_line(f"{group}/cpu.cfs_period_us"),
        )
        quota = min(quota, _cores(*shares))
        throttled = max(throttled, _throttled(f"{group}/cpu.stat"))
    limit = None if math.isinf(quota) else quota
    usable = max(1, min(count, math.ceil(quota) if limit is not None else count))
    return Cores(usable, count, limit, throttled)


def read_memory(files: KernelFiles) -> Memory:
    """The memory."""
    counters = _counters(f"{files.proc}/meminfo")
    total = counters.get("MemTotal:", 0) * 1024
    available = counters.get("MemAvailable:", 0) * 1024
    nearest = Memory(total, max(0, total - available), total, False, False, 0)
    best = -1.0
    names = [(group, "memory.max", "memory.current", "") for group in _groups("", files)] + [
        (group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        for group in _groups("memory", files)
    ]
    for group, limit_name, used_name, prefix in names:
        limit = _number(_first_line(f"{group}/{limit_name}"))
        # Version 1 says "no limit" as a number beyond any machine.
        if limit <= 0 or (total and limit >= total):
            continue
        stat = _counters(f"{group}/memory.stat")
        taken_back = sum(
            stat.get(prefix + one, 0)
            for one in ("inactive_file", "active_file", "slab_reclaimable")
        )
        used = max(0, _number(_first_line(f"{group}/{used_name}")) - taken_back)
        if used / limit > best:
            best = used / limit
            nearest = Memory(
                limit,
                used,
                total,
                True,
                _first_line(f"{group}/memory.oom.group") == "1",
                _counters(f"{group}/memory.events").get("oom_kill", 0),
            )
    return nearest


def _groups(controller: str, files: KernelFiles) -> Iterator[str]:
    """The folder of this process's group and of all above it, the own one first: of version 2 where
    `controller` is empty, else of version 1's hierarchy of it."""
    mount = f"{files.cgroup}/{controller}" if controller else files.cgroup
    group = _own_group(controller, files)
    while group not in ("", "/"):
        yield mount + group
        group = group.rpartition("/")[0]
    yield mount


def _own_group(controller: str, files: KernelFiles) -> str:
    for line in _lines(f"{files.proc}/self/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        is_own = controller in controllers.split(",") if controller else controllers == ""
        if is_own and path.startswith("/"):
            return path
    return "/"


def _cores(quota: str, period: str) -> float:
    """The quota in cores; "max", −1 and what is not there are no limit."""
    allowed, of = _number(quota), _number(period)
    return allowed / of if allowed > 0 and of > 0 else math.inf


def _throttled(path: str) -> float:
    counters = _counters(path)
    periods = counters.get("nr_periods", 0)
    return counters.get("nr_throttled", 0) / periods if periods else 0.0


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _counters(path: str) -> dict[str, int]:
    """A file of lines "name number …"."""
    found = {}
    for line in _lines(path):
        words = line.split()
        if len(words) >= 2:
            found[words[0]] = _number(words[1])
    return found


def _first_line(path: str) -> str:
    return next(iter(_lines(path)), "")


def _lines(path: str) -> list[str]:
    """The lines of a file of the kernel; none where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
