"""What an export leaves in the bucket, and who removes it.

A run writes into a folder of its own, ``<export>/hayate-<run>/``, whose name nobody else has. Two
notes are made before anything else, and removed after everything else:

- **the journal**, a file of the store, held by flock while the run lives. A later run of the same
  store takes the lock of a run that is gone, ends its jobs, and removes what it left.
- **the lease**, an object in the folder, written again every few minutes. A later run on any other
  machine sees by the bucket's own clock that it is no longer renewed, and does the same.

Removed is only what has the name of a shard in such a folder, and the lease itself. An object that
somebody put beside them stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hayate.errors import HayateError, InputError, StorageError, Where
from hayate.google.client import JobReference
from hayate.google.engine import Storage
from hayate.google.export import is_run_id
from hayate.google.journal import Journal, taken
from hayate.google.journal import folder_of as journal_folder

_FOLDER = "hayate-"
_PART = "part-"
_LEASE = "lease.json"
_DIGITS = 12
#: Seconds after which a lease that is not renewed is that of a dead run, and between renewals.
LEASE_S = 3600.0
_RENEW_S = 300.0
#: Rounds of listing and deleting until a folder is empty; each takes all that is listed.
_ROUNDS = 5
_FORMAT = 1

Stop = Callable[[JobReference], bool]
"""Ends a job and says whether it has ended."""


def run_folder(base: str, run: str) -> str:
    """The folder of a run: gs://bucket/…/hayate-<run>/."""
    return f"{base}{_FOLDER}{run}/"


def part_prefix(folder: str) -> str:
    """What the names of a run's shards begin with."""
    return folder + _PART


def is_part(uri: str, folder: str) -> bool:
    """Whether an object has the name of a shard of that folder."""
    name = uri.removeprefix(folder)
    number, dot, _ = name.removeprefix(_PART).partition(".")
    return (
        uri.startswith(folder)
        and name.startswith(_PART)
        and bool(dot)
        and len(number) == _DIGITS
        and number.isascii()
        and number.isdecimal()
        and "/" not in name
    )


def remove_parts(storage: Storage, folder: str) -> int:
    """Deletes the shards of a folder, of the generations that are listed; how many there were.

    Raises:
        InputError: there are always new ones.
        HayateError: the bucket cannot be listed, or does not let us delete.
    """
    count = 0
    for _ in range(_ROUNDS):
        found = [one for one in storage.list(part_prefix(folder)) if is_part(one["uri"], folder)]
        if not found:
            return count
        count += storage.delete([(one["uri"], int(one["generation"])) for one in found])
    raise InputError(
        "the folder gets new objects while it is emptied",
        Where(object=folder),
        "Cancel the job that writes there; the next run removes them.",
    )


@dataclass
class Lease:
    """The note in the bucket that a run is alive.

    Attributes:
        storage, folder, run: the run's.
        jobs: that write into the folder.
    """

    storage: Storage
    folder: str
    run: str
    jobs: list[JobReference] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic

    @property
    def uri(self) -> str:
        """Of the object."""
        return self.folder + _LEASE

    def take(self) -> int:
        """Writes the lease; the bucket's time in nanoseconds, as it notes it on the object.

        Raises:
            HayateError: the folder is somebody else's, or cannot be written.
        """
        return self._write(if_absent=True)

    def renew(self) -> None:
        """Writes it again if it is time to."""
        if self.clock() >= self._next:
            self._write(if_absent=False)

    def note_jobs(self, jobs: list[JobReference]) -> None:
        """Writes it again with these jobs."""
        self.jobs = list(jobs)
        self._write(if_absent=False)

    def keep(self) -> None:
        """Writes it again with the word that the folder's objects are to stay."""
        self.is_kept = True
        self._write(if_absent=False)

    def remove(self) -> None:
        """Deletes it."""
        self.storage.delete([(self.uri, 0)])

    def _write(self, *, if_absent: bool) -> int:
        content = {
            "hayate": _FORMAT,
            "run": self.run,
            "jobs": [job.to_json() for job in self.jobs],
            "keep": self.is_kept,
        }
        written = self.storage.write(self.uri, json.dumps(content).encode(), if_absent=if_absent)
        self._next = self.clock() + _RENEW_S
        return int(written["updated_ns"])

    def __post_init__(self) -> None:
        self._next = 0.0
        self.is_kept = False


def sweep_bucket(storage: Storage, base: str, now_ns: int, stop: Stop) -> list[str]:
    """Removes what runs that are gone have left under `base`, by their leases.

    Args:
        base: gs://bucket/…/, the folder of ``export=``.
        now_ns: the bucket's time: that of a lease just written.
        stop: ends a job of such a run.

    Returns:
        A line for each folder that was emptied.

    Raises:
        HayateError: the bucket cannot be listed, or does not let us delete.
    """
    lines = []
    for found in storage.list(base + _FOLDER):
        uri = found["uri"]
        run = uri.removeprefix(base + _FOLDER).removesuffix("/" + _LEASE)
        folder = run_folder(base, run)
        if not is_run_id(run) or uri != folder + _LEASE:
            continue
        if now_ns - int(found["updated_ns"]) < LEASE_S * 1e9:
            continue
        lease = _lease(storage, uri, run)
        if lease is None or not all([stop(job) for job in lease.jobs]):
            continue
        count = 0 if lease.keep else remove_parts(storage, folder)
        storage.delete([(uri, int(found["generation"]))])
        if lease.keep:
            continue
        lines.append(f"removed {count:,} objects of a run that is gone from {folder}")
    return lines


@dataclass(frozen=True)
class _Found:
    """What a lease says: the run's jobs, and whether the folder's objects are to stay."""

    jobs: list[JobReference]
    keep: bool


def _lease(storage: Storage, uri: str, run: str) -> _Found | None:
    """None where the object is no lease of that run, or is gone."""
    try:
        content = json.loads(storage.read(uri))
        if content["hayate"] != _FORMAT or content["run"] != run:
            return None
        jobs = [JobReference(**job) for job in content["jobs"]]
        return _Found(jobs, content.get("keep") is True)
    except (ValueError, KeyError, TypeError, InputError):
        return None


def sweep_store(
    store: str,
    endpoint: str,
    storage: Callable[[], Storage],
    stop: Stop,
    remove_directory: Callable[[str], None],
) -> list[str]:
    """Removes what runs of this store that are gone have left.

    Args:
        store: the folder of the store.
        endpoint: address of Cloud Storage; what was written to another one (an emulator) stays.
        storage: connects to it, if there is something to remove.
        stop: ends a job.
        remove_directory: removes a folder that holds an unfinished result.

    Returns:
        A line for each run; for one that could not be cleaned up, why. Its journal then stays.

    Raises:
        StorageError: the store cannot be read.
    """
    lines = []
    try:
        names = sorted(os.listdir(journal_folder(store)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageError(
            f"what earlier runs have left cannot be looked for: {error.strerror}",
            Where(object=journal_folder(store)),
            "Give store= a folder that may be read and written.",
        ) from error
    for name in names:
        run = name.removesuffix(".json")
        path = os.path.join(journal_folder(store), name)
        if not is_run_id(run) or not name.endswith(".json"):
            continue
        with taken(path) as state:
            if state is None or state.get("endpoint", endpoint) != endpoint:
                continue
            try:
                line = _clean_up(state, run, storage, stop, remove_directory)
            except HayateError as error:
                lines.append(f"what the run {run} left could not be removed: {error.what}")
                continue
            lines += [line] if line else []
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    return lines


def _clean_up(
    state: Mapping[str, Any],
    run: str,
    storage: Callable[[], Storage],
    stop: Stop,
    remove_directory: Callable[[str], None],
) -> str:
    if directory := state.get("directory"):
        remove_directory(str(directory))
    for job in [JobReference(**one) for one in state.get("jobs", ())]:
        if not stop(job):
            raise InputError("its job does not end", Where(object=str(job)), "Cancel it.")
    folder = state.get("folder")
    if not folder:
        return ""
    if not str(folder).endswith(f"/{_FOLDER}{run}/"):
        raise InputError("its journal is damaged", Where(object=str(folder)), "Remove the journal.")
    connection = storage()
    lease = _lease(connection, str(folder) + _LEASE, run)
    if lease is not None and lease.keep:
        connection.delete([(str(folder) + _LEASE, 0)])
        return ""
    count = remove_parts(connection, str(folder))
    connection.delete([(str(folder) + _LEASE, 0)])
    return f"removed {count:,} objects of a run that was interrupted from {folder}"


class ExportFolder:
    """A run's folder in the bucket, for the time of the run; a context manager.

    At its end, however that comes about, the shards and then the lease are removed. What cannot be
    removed is said, and stays noted in the journal for the next run.

    Args:
        storage: the connection.
        journal: of the run.
        base: gs://bucket/…/
        endpoint: of Cloud Storage.
        run: the run's name.
        directory: of the unfinished result, for the journal.
        say: is told what could not be removed.

    Attributes:
        now_ns: the bucket's time at the start.
        prefix: what the names of the shards begin with.
        keep: whether the shards stay.
        can_be_removed: whether nothing writes there any more.
    """

    def __init__(
        self,
        storage: Storage,
        journal: Journal,
        base: str,
        endpoint: str,
        run: str,
        directory: str,
        say: Callable[[str], None],
    ) -> None:
        self.folder = run_folder(base, run)
        self.prefix = part_prefix(self.folder)
        self.now_ns = 0
        self.keep = False
        self.can_be_removed = True
        self._storage = storage
        self._journal = journal
        self._lease = Lease(storage, self.folder, run)
        self._note = {"folder": self.folder, "endpoint": endpoint, "directory": directory}
        self._jobs: list[JobReference] = []
        self._say = say
        self._renewal_failed = False

    def __enter__(self) -> ExportFolder:
        self._write_note()
        try:
            self.now_ns = self._lease.take()
        except BaseException:
            self._remove()
            raise
        return self

    def announce(self, job: JobReference) -> None:
        """Notes a job before it is started, in both places."""
        self._jobs.append(job)
        self._write_note()
        self._lease.note_jobs(self._jobs)

    def renew(self) -> None:
        """Keeps the lease; a bucket that does not answer now may do so the next time."""
        try:
            self._lease.renew()
        except HayateError as error:
            if not self._renewal_failed:
                self._say(f"the lease {self._lease.uri} could not be renewed: {error.what}")
            self._renewal_failed = True

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self.keep:
            # In this order nobody takes the objects for left behind, wherever this ends.
            if self._try(self._lease.keep):
                self._forget()
                self._try(self._lease.remove)
        elif kind is not None and issubclass(kind, KeyboardInterrupt):
            self._remove()
        else:
            self._remove_also_after_interrupt()

    def _write_note(self) -> None:
        self._journal.note({**self._note, "jobs": [job.to_json() for job in self._jobs]})

    def _remove_also_after_interrupt(self) -> None:
        try:
            self._remove()
        except KeyboardInterrupt:
            # It is a matter of a moment; a second ^C ends this, too.
            self._remove()
            raise

    def _remove(self) -> None:
        # First, so that the note stays whatever ends this.
        self._journal.is_needed = True
        if self.can_be_removed and self._try(self._empty):
            self._forget()
            self._journal.is_needed = False

    def _forget(self) -> None:
        """From now on only the unfinished result would be left."""
        rest = {name: value for name, value in self._note.items() if name != "folder"}
        self._journal.note(rest)

    def _empty(self) -> None:
        remove_parts(self._storage, self.folder)
        self._lease.remove()

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except HayateError as error:
            self._say(
                f"objects of this run are left in {self.folder}: {error.what}; the next run "
                "removes them"
            )
            return False
        return True
