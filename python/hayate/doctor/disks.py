"""Folders: on what they lie, how much room there is, and how fast it is."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from hayate.doctor.control_group import KernelFiles
from hayate.doctor.finding import Finding
from hayate.errors import StorageError, Where
from hayate.google.summary import size

#: Other machines may be behind these: locks and SQLite are not to be relied on, every look waits.
_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "lustre", "gpfs"),
        *("glusterfs", "beegfs", "afs", "ocfs2", "gfs2", "fuse.sshfs", "fuse.gcsfuse"),
        *("fuse.s3fs", "fuse.goofys", "fuse.rclone", "fuse.glusterfs", "fuse.juicefs"),
        *("fuse.mount-s3", "fuse.blobfuse2"),
    }
)
_MEMORY = frozenset({"tmpfs", "ramfs"})
_LEAST_FREE_BYTES = 1_000_000_000
_GOOD_FREE_BYTES = 10_000_000_000
#: Frames are written as fast as cores inflate; what is below this is the wall even of one of them.
_SLOW_BYTES_PER_S = 100e6
_TRIAL_BYTES = 128 << 20
_TRIAL_S = 3.0
_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class Mount:
    """What is mounted where a folder lies.

    Attributes:
        point: where it is mounted.
        type: the kind of file system: ext4, xfs, overlay, tmpfs, nfs4.
        is_network: whether it is on other machines.
        is_memory: whether it is memory.
    """

    point: str
    type: str

    @property
    def is_network(self) -> bool:
        return self.type in _NETWORK

    @property
    def is_memory(self) -> bool:
        return self.type in _MEMORY


@dataclass(frozen=True)
class Speed:
    """Bytes a second, of one stream; `read` is 0 where it could not be told from the page cache."""

    write: float
    read: float


def mount_of(path: str, files: KernelFiles | None = None) -> Mount:
    """What the folder lies on, by /proc/self/mountinfo."""
    files = files or KernelFiles()
    real = os.path.realpath(path)
    best = Mount("/", "unknown")
    with (
        contextlib.suppress(OSError),
        open(f"{files.proc}/self/mountinfo", encoding="utf-8", errors="replace") as file,
    ):
        for line in file:
            before, _, after = line.partition(" - ")
            words, kinds = before.split(" "), after.split(" ")
            if len(words) < 5 or not kinds[0]:
                continue
            point = _unescaped(words[4])
            is_above = real == point or real.startswith(point.rstrip("/") + "/")
            # Later mounts cover earlier ones at the same place.
            if is_above and len(point) >= len(best.point):
                best = Mount(point, kinds[0])
    return best


def _unescaped(text: str) -> str:
    """A path of mountinfo: blanks and the like are written as octal numbers."""
    for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        text = text.replace(code, character)
    return text


def existing_folder(path: str) -> str:
    """The folder itself or the nearest one above it that is there."""
    path = os.path.abspath(path)
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def free_bytes(folder: str) -> int:
    """What users other than root may still write there."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def folder_findings(
    name: str,
    path: str,
    stop: threading.Event,
    files: KernelFiles | None = None,
    *,
    wanted_bytes: int = 0,
    speed: bool = True,
) -> Iterator[Finding]:
    """Whether a folder is a good place for frames.

    Args:
        name: of the findings.
        path: of the folder; need not be there yet.
        stop: ends the trial of its speed.
        wanted_bytes: what is going to be written there, as far as known.
        speed: whether that is tried.
    """
    folder = existing_folder(path)
    mount = mount_of(folder, files)
    free = free_bytes(folder)
    what = f"{path}: {size(free)} free, {mount.type}"
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "Give a folder that may be written to (--store, HAYATE_TMP), or change its rights."
        yield Finding("problem", name, f"{what}, which we may not write to", remedy)
        return
    wanted = max(wanted_bytes, _LEAST_FREE_BYTES)
    if free < wanted:
        needed = f"; some {size(wanted_bytes)} are wanted" if wanted_bytes > free else ""
        remedy = "Make room (hayate gc removes frames that no job needs), or give a larger disk."
        yield Finding("problem", name, what + needed, remedy)
        return
    if mount.is_network:
        remedy = (
            "Give a local disk: frames are mapped, locked and read by many processes at once, and "
            "the history (SQLite) needs one."
        )
        yield Finding("advice", name, f"{what}: a network file system", remedy)
    elif mount.is_memory:
        remedy = "Give a folder on a disk: what is written here takes from the memory of the run."
        yield Finding("advice", name, f"{what}: in memory", remedy)
    elif free < _GOOD_FREE_BYTES:
        remedy = "Make room before large runs: every stage's result is kept until hayate gc."
        yield Finding("advice", name, what, remedy)
    elif mount.type == "overlay":
        remedy = "Mount a volume there: what lies in a container's own layer is gone with it."
        yield Finding("advice", name, f"{what}: the container's own layer", remedy)
    else:
        yield Finding("ok", name, what)
    if speed and not mount.is_memory:
        yield speed_finding(f"{name} speed", folder, stop)


def speed_finding(name: str, folder: str, stop: threading.Event) -> Finding:
    """How fast one stream writes and reads there."""
    found = measure(folder, stop)
    what = f"{size(int(found.write))}/s written to the disk"
    if found.read:
        what += f", {size(int(found.read))}/s read from it"
    if found.write >= _SLOW_BYTES_PER_S:
        return Finding("ok", name, what)
    remedy = (
        "Give a faster disk (NVMe, or a volume with more throughput): one core makes more than "
        "100 MB of a frame a second, and a run ends only once all of it is on the disk."
    )
    return Finding("advice", name, what, remedy)


def measure(
    folder: str, stop: threading.Event, trial_bytes: int = _TRIAL_BYTES, trial_s: float = _TRIAL_S
) -> Speed:
    """Writes a file that no name leads to, waits until the disk has it, and reads it past the page
    cache.

    Raises:
        StorageError: it cannot be written.
    """
    # Neither compression nor deduplication may make it small.
    block = mmap.mmap(-1, _BLOCK_BYTES)
    block.write(os.urandom(_BLOCK_BYTES))
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            begun = time.monotonic()
            written = 0
            while written < trial_bytes and time.monotonic() - begun < trial_s:
                if stop.is_set():
                    break
                written += os.write(file.fileno(), block)
                os.fdatasync(file.fileno())
            write_s = time.monotonic() - begun
            read = _read_speed(file.fileno(), written, block, stop, trial_s)
    except OSError as error:
        raise StorageError(
            f"a file of {size(trial_bytes)} cannot be written: {error.strerror}",
            Where(object=folder),
            "Make room, or give another folder.",
        ) from error
    finally:
        block.close()
    return Speed(written / write_s if write_s > 0 else 0.0, read)


def _read_speed(
    fd: int, written: int, block: mmap.mmap, stop: threading.Event, trial_s: float
) -> float:
    """0 where the file system cannot read past the page cache."""
    try:
        # Through /proc: the file has no name any more.
        direct = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return 0.0
    try:
        begun = time.monotonic()
        done = 0
        while done < written and time.monotonic() - begun < trial_s and not stop.is_set():
            count = os.preadv(direct, [block], done)
            if count == 0:
                break
            done += count
        seconds = time.monotonic() - begun
        return done / seconds if done and seconds > 0 else 0.0
    except OSError:
        return 0.0
    finally:
        os.close(direct)
