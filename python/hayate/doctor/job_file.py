"""A job: its file, its sources, its store and where its outputs go."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hayate.command import environment
from hayate.doctor.control_group import KernelFiles
from hayate.doctor.disks import existing_folder, folder_findings, mount_of
from hayate.doctor.finding import Check, Finding
from hayate.doctor.machine import temporary_folder
from hayate.doctor.targets import Targets, make_targets
from hayate.errors import InputError, UsageError, Where, WorkerDiedError, from_json
from hayate.google.summary import size
from hayate.protocol import FD_VARIABLE

SECTION = "Job"
_LOAD_LIMIT_S = 120.0
_DISK_LIMIT_S = 20.0
#: Files of one source that are looked at; of more the number says enough.
_MAX_FILES = 100_000
#: Compressed text grows about so much as a frame; a store keeps frames of all stages.
_FRAME_BYTES_PER_SOURCE_BYTE = 3


@dataclass(frozen=True)
class JobFile:
    """A job file as it was loaded.

    Attributes:
        path: of the file.
        declared: what it declares (hayate.doctor.declared); None where it cannot be loaded.
        failure: why not.
    """

    path: str
    declared: Mapping[str, Any] | None
    failure: Exception | None

    @property
    def targets(self) -> Targets:
        """What of BigQuery and Cloud Storage the job names.

        Raises:
            UsageError: a name is none.
        """
        if self.declared is None:
            return Targets()
        queries = self.declared["queries"]
        exports = [one["export"] for one in queries if one["export"]]
        datasets = [name for one in queries for name in one["datasets"]]
        return make_targets(
            exports + self.declared["staging"],
            datasets + self.declared["tables"],
            next((one["project"] for one in queries if one["project"]), ""),
            next((one["location"] for one in queries if one["location"]), ""),
        )

    @property
    def needs_bigquery(self) -> bool:
        """Whether a source or an output is BigQuery's."""
        found = self.declared or {}
        return bool(found.get("queries") or found.get("tables"))


def load(path: str, given: Mapping[str, str], limit_s: float = _LOAD_LIMIT_S) -> JobFile:
    """Loads a job file in a process of its own.

    Raises:
        UsageError: there is no such file.
    """
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        raise UsageError(
            "there is no job file",
            Where(object=path),
            "Check the path: hayate doctor path/to/job.py",
        )
    try:
        return JobFile(path, _asked(path, given, limit_s), None)
    except Exception as error:
        return JobFile(path, None, error)


def _asked(path: str, given: Mapping[str, str], limit_s: float) -> Mapping[str, Any]:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, encoding="utf-8") as answer:
        try:
            # -P: the working directory is not searched for modules, as in runs.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hayate.doctor.declared", path]
                + [f"{name}={text}" for name, text in given.items()],
                env={**environment(), FD_VARIABLE: str(write_end)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(write_end,),
            )
        finally:
            os.close(write_end)
        texts: list[str] = []
        reader = threading.Thread(target=lambda: texts.append(answer.read()), daemon=True)
        reader.start()
        try:
            reader.join(limit_s)
            if reader.is_alive():
                raise InputError(
                    f"the job file was not loaded within {limit_s:g} s",
                    Where(object=path),
                    "Find what it does or waits for when it is imported: what takes long belongs "
                    "into a stage.",
                )
            process.wait(timeout=limit_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            reader.join()
    try:
        said = json.loads(texts[0])
    except ValueError:
        raise WorkerDiedError(
            f"the process that loaded the job file ended with {process.returncode}",
            Where(object=path),
            "Look whether the file ends the process when it is imported.",
        ) from None
    if "error" in said:
        raise from_json(said["error"])
    found: Mapping[str, Any] = said["declared"]
    return found


def checks(job: JobFile, store: str, files: KernelFiles | None = None) -> list[Check]:
    """All that is to be looked at here.

    Args:
        store: the folder of the store.
        files: where the kernel tells about mounts.
    """
    kernel = files or KernelFiles()
    found = [Check(SECTION, "job file", lambda _: loaded(job))]
    if job.declared is None:
        return found
    sizes: dict[str, int] = {}

    def of_source(source: Mapping[str, Any]) -> Check:
        def run(stop: threading.Event) -> Iterator[Finding]:
            yield from source_files(source, store, kernel, sizes, stop)

        return Check(SECTION, source["name"], run, _DISK_LIMIT_S)

    found += [of_source(one) for one in job.declared["sources"]]

    def of_store(stop: threading.Event) -> Iterator[Finding]:
        wanted = sum(sizes.values()) * _FRAME_BYTES_PER_SOURCE_BYTE
        # What is said of the machine's own disk need not be said again.
        is_same = _device(store) == _device(temporary_folder())
        yield from folder_findings(
            "store", store, stop, kernel, wanted_bytes=wanted, speed=not is_same
        )

    found.append(Check(SECTION, "store", of_store, _DISK_LIMIT_S))
    found += [
        Check(SECTION, "output", lambda _, path=one: output(path))  # type: ignore[misc]
        for one in job.declared["outputs"]
    ]
    return found


def _device(path: str) -> int:
    return os.stat(existing_folder(path)).st_dev


def loaded(job: JobFile) -> Iterator[Finding]:
    """Whether the file could be loaded, and what is in it."""
    if job.failure is not None:
        raise job.failure
    found = job.declared
    assert found is not None
    counts = {
        "source": len(found["sources"]) + len(found["queries"]),
        "stage": found["stages"],
        "output": len(found["outputs"]) + len(found["tables"]),
    }
    listed = ", ".join(f"{n} {one}{'' if n == 1 else 's'}" for one, n in counts.items())
    yield Finding("ok", "job file", f"{job.path}: {listed}")


def source_files(
    source: Mapping[str, Any],
    store: str,
    files: KernelFiles,
    sizes: dict[str, int],
    stop: threading.Event,
) -> Iterator[Finding]:
    """The files of a source: whether they are there, may be read, and on which disk they lie.

    Args:
        source: as declared.
        store: the folder of the store.
        sizes: gets the bytes of the source.
    """
    name = source["name"]
    count, total = 0, 0
    first = ""
    for pattern in source["patterns"]:
        before = count
        for path in _matches(pattern):
            if stop.is_set() or count >= _MAX_FILES:
                break
            if not os.path.isfile(path):
                continue
            if not os.access(path, os.R_OK):
                remedy = "Change its rights, or run as a user who may read it."
                yield Finding("problem", name, f"{path} may not be read", remedy)
                return
            first = first or path
            count += 1
            total += os.path.getsize(path)
        if count == before and not source["allow_empty"]:
            remedy = "Check the path; a relative one begins at the job file."
            yield Finding("problem", name, f"no file is found by {pattern}", remedy)
            return
    sizes[name] = total
    if not first:
        yield Finding("ok", name, "no files, which allow_empty=True allows")
        return
    more = "or more " if count >= _MAX_FILES else ""
    what = f"{count:,} {more}file{'' if count == 1 else 's'}, {size(total)}"
    mount = mount_of(first, files)
    if mount.is_network:
        remedy = "A network disk may be the wall: compare with hayate convert of a local copy."
        yield Finding("advice", name, f"{what}, on {mount.type} at {mount.point}", remedy)
    elif os.stat(first).st_dev == _device(store):
        yield Finding("ok", name, f"{what}, on the store's disk")
    else:
        yield Finding("ok", name, f"{what}, on another disk than the store ({mount.point})")


def _matches(pattern: str) -> Iterator[str]:
    if glob.has_magic(pattern):
        yield from glob.iglob(pattern, recursive=True)
    elif os.path.lexists(pattern):
        yield pattern


def output(path: str) -> Iterator[Finding]:
    """Whether a file can be written where an output goes."""
    folder = existing_folder(os.path.dirname(path))
    if os.path.isdir(path):
        remedy = "Give the output the path of a file."
        yield Finding("problem", "output", f"{path} is a folder", remedy)
    elif not os.access(folder, os.W_OK | os.X_OK):
        remedy = "Change the folder's rights, or write elsewhere."
        yield Finding("problem", "output", f"{path}: {folder} may not be written to", remedy)
    else:
        yield Finding("ok", "output", path)
