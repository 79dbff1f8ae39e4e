"""The machine: system, cores, memory, disk, /dev/shm."""

from __future__ import annotations

import os
import platform
import tempfile
import threading
from collections.abc import Iterator

from hayate.doctor.control_group import KernelFiles, read_cores, read_memory
from hayate.doctor.disks import folder_findings
from hayate.doctor.finding import Check, Finding

SECTION = "Machine"
_ARCHITECTURES = ("x86_64", "aarch64")
_GIB = 1 << 30
#: A worker of Python with pandas, and one core's part of the engine, fit into this.
_MEMORY_PER_CORE = _GIB
_FULL_SHARE = 0.8
_THROTTLED_SHARE = 0.05
_SMALL_SHM_BYTES = 256 << 20
_DISK_LIMIT_S = 20.0


def checks(files: KernelFiles | None = None, shm: str = "/dev/shm") -> list[Check]:
    """All that is to be looked at here.

    Args:
        files: where the kernel tells about this process.
        shm: the folder of the shared memory.
    """
    kernel = files or KernelFiles()
    return [
        Check(SECTION, "system", lambda _: system()),
        Check(SECTION, "cores", lambda _: cores(kernel)),
        Check(SECTION, "memory", lambda _: memory(kernel)),
        Check(SECTION, "disk", lambda stop: temporary_disk(kernel, stop), _DISK_LIMIT_S),
        Check(SECTION, "/dev/shm", lambda _: shared_memory(shm)),
    ]


def system(name: str | None = None, machine: str | None = None) -> Iterator[Finding]:
    """Operating system and processor."""
    name = platform.system() if name is None else name
    machine = platform.machine() if machine is None else machine
    what = f"{name} {platform.release()}, {machine}"
    if name == "Linux" and machine in _ARCHITECTURES:
        yield Finding("ok", "system", what)
    else:
        remedy = f"Run on Linux, on {' or '.join(_ARCHITECTURES)}."
        yield Finding("problem", "system", f"{what}, where hayate does not run", remedy)


def cores(files: KernelFiles, affinity: int | None = None) -> Iterator[Finding]:
    """How many cores work is spread over, and what holds them back."""
    found = read_cores(files, affinity)
    what = f"{found.usable} of {found.affinity} may be used"
    if found.quota is not None:
        what += f"; the control group allows {found.quota:g}"
    if found.throttled_share > _THROTTLED_SHARE:
        yield Finding(
            "advice",
            "cores",
            f"{what}, and has held us back in {found.throttled_share:.0%} of its periods",
            "Raise the CPU limit, or leave it out and set the request alone.",
        )
    elif found.quota is not None and found.quota < found.usable:
        yield Finding(
            "advice",
            "cores",
            what,
            "Give whole cores: of a part of one, all threads are stopped again and again.",
        )
    elif found.usable == 1:
        yield Finding(
            "advice", "cores", what, "Give more cores: stages and sources are spread over all."
        )
    else:
        yield Finding("ok", "cores", what)


def memory(files: KernelFiles) -> Iterator[Finding]:
    """How much memory a run may take."""
    found = read_memory(files)
    whose = "the control group's limit" if found.is_of_group else "all of the machine"
    used = found.used_bytes / found.limit_bytes if found.limit_bytes else 0.0
    what = f"{_gib(found.limit_bytes)} ({whose}), {_gib(found.used_bytes)} in use"
    if not found.limit_bytes:
        yield Finding("advice", "memory", "the kernel does not say how much there is")
        return
    if found.kills:
        consequence = "; one such end takes the whole container" if found.kills_group else ""
        yield Finding(
            "advice",
            "memory",
            f"{what}; the kernel has ended {found.kills} processes here for want of it"
            f"{consequence}",
            "Raise the memory limit, or run fewer tasks at once: hayate run -j.",
        )
    elif used > _FULL_SHARE:
        yield Finding(
            "advice", "memory", what, "End what holds it before a run, or raise the limit."
        )
    elif found.limit_bytes < _MEMORY_PER_CORE * read_cores(files).usable:
        yield Finding(
            "advice",
            "memory",
            f"{what}: less than 1 GiB a core",
            "Give more memory, or run fewer tasks at once: hayate run -j.",
        )
    else:
        yield Finding("ok", "memory", what)


def temporary_disk(files: KernelFiles, stop: threading.Event) -> Iterator[Finding]:
    """The folder of data that nobody has named."""
    yield from folder_findings("disk", temporary_folder(), stop, files)


def temporary_folder() -> str:
    """Where that folder is (hayate.temporary)."""
    return os.environ.get("HAYATE_TMP") or tempfile.gettempdir()


def shared_memory(path: str) -> Iterator[Finding]:
    """The folder that other libraries share memory by."""
    if not os.path.isdir(path):
        yield Finding("ok", "/dev/shm", "not there; hayate does not need it")
        return
    status = os.statvfs(path)
    total = status.f_blocks * status.f_frsize
    what = f"{_gib(total)}; hayate does not need it"
    if total < _SMALL_SHM_BYTES:
        yield Finding(
            "advice",
            "/dev/shm",
            f"{what}, other libraries may",
            "If a stage uses joblib, PyTorch or pandarallel with many processes, give more: docker "
            "run --shm-size=2g; in Kubernetes an emptyDir with medium: Memory at /dev/shm.",
        )
    else:
        yield Finding("ok", "/dev/shm", what)


def _gib(count: int) -> str:
    return f"{count / _GIB:.2f} GiB" if count < 10 * _GIB else f"{count / _GIB:.1f} GiB"
