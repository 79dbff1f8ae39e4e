"""Files mapped copy-on-write: readable and writable memory that cannot harm the file."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hayate.errors import InputError, Where

# Without it the kernel may refuse to map a file larger than the memory, as every page could be
# written to. (Linux's value on x86-64 and ARM64; the module names it from Python 3.12 on.)
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


class MappedFile:
    """A file mapped MAP_PRIVATE, readable and writable.

    A write dirties this process's own pages; the file and other processes never see it. The memory
    lives as long as any array or buffer over it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        descriptor = _open(path)
        try:
            size = os.fstat(descriptor).st_size
            if size == 0:
                raise InputError(
                    "the file is empty", Where(object=path), "Write it again; it was cut short."
                )
            mapped = mmap.mmap(
                descriptor,
                size,
                flags=mmap.MAP_PRIVATE | _MAP_NORESERVE,
                prot=mmap.PROT_READ | mmap.PROT_WRITE,
            )
        finally:
            os.close(descriptor)
        self._bytes: npt.NDArray[np.uint8] = np.frombuffer(mapped, dtype=np.uint8)
        self.address: int = self._bytes.ctypes.data
        self.size = size

    def buffer(self) -> pa.Buffer:
        """The whole file as an Arrow buffer over the same memory."""
        return pa.py_buffer(self._bytes)

    def contains(self, address: int, size: int) -> bool:
        return self.address <= address and address + size <= self.address + self.size

    def view(self, address: int, size: int) -> npt.NDArray[np.uint8]:
        """`size` bytes at `address` (inside the mapping), writable, without a copy."""
        start = address - self.address
        return self._bytes[start : start + size]

    def record_batches(self) -> pa.RecordBatchFileReader:
        """The file as Arrow IPC; batches are read without a copy.

        Raises:
            InputError: it is not an Arrow IPC file, or it was cut short.
        """
        try:
            return pa.ipc.open_file(self.buffer())
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                f"the file is not a complete Arrow IPC file: {error}",
                Where(object=self.path),
                "Write it again, or name a file that hy.save or another Arrow writer made.",
            ) from error


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(
            f"the file cannot be opened: {error.strerror}",
            Where(object=path),
            "Check the path and the permissions.",
        ) from error


def find_mapping(mappings: Iterable[MappedFile], address: int, size: int) -> MappedFile | None:
    """The mapping that holds `size` bytes at `address`, or None."""
    for mapping in mappings:
        if mapping.contains(address, size):
            return mapping
    return None
