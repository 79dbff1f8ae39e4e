"""The dialect probe: one small export of awkward values, and what has come of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import hayate
from hayate.doctor import awkward_values
from hayate.doctor.awkward_values import Comparison
from hayate.doctor.finding import Check, Finding, NotTried, of_error
from hayate.doctor.google_access import Access
from hayate.doctor.targets import Targets
from hayate.errors import HayateError, InputError, InterruptedRunError, StorageError, Where
from hayate.google import dialect
from hayate.google.cleanup import Lease, part_prefix, remove_parts, run_folder
from hayate.google.client import BigQuery, JobReference, query_configuration
from hayate.google.credentials import Endpoints
from hayate.google.dry_run import dry_run
from hayate.google.engine import Storage, engine
from hayate.google.export import (
    JobWatch,
    Written,
    bytes_billed,
    export_counts,
    job_id,
    job_labels,
    new_run_id,
    stop_quietly,
)
from hayate.google.statement import export_statement
from hayate.google.summary import size

SECTION = "Dialect probe"
#: The query is small, but may wait for slots.
_LIMIT_S = 180.0
_CLEANUP_S = 75.0
#: The query reads no table; a bound all the same: the least that can be billed for one.
_MAX_BILLED_BYTES = 10 << 20
_MAX_OBJECTS_BYTES = 16 << 20
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
_SHOWN = 3
_REPORT = "Report it with that folder."


def checks(access: Access, targets: Targets, store: str, save: str) -> list[Check]:
    """The probe, into the first of the folders.

    Args:
        store: where what is found out of the project is kept.
        save: the folder of the files; empty: one in the store.
    """

    def run(stop: threading.Event) -> Iterator[Finding]:
        if not targets.folders:
            remedy = "Give --bucket gs://bucket/folder, or a job file with export=."
            yield Finding("problem", "export", "there is no bucket that it could go to", remedy)
            return
        location = targets.location
        if not location and targets.datasets:
            # Where that may not be looked at, BigQuery chooses.
            with contextlib.suppress(HayateError, NotTried):
                location = access.dataset_location(targets.datasets[0])
        run_id = new_run_id()
        probe = Probe(
            access.bigquery(),
            access.storage(),
            access.credentials().endpoints,
            targets.folders[0],
            location,
            run_id,
            store,
            save or os.path.join(store, "probes", run_id),
            stop,
            access.secrets.remove_from,
        )
        yield from probe.run()

    return [Check(SECTION, "export", run, _LIMIT_S, _CLEANUP_S, access.last_retry)]


@dataclass
class Probe:
    """One probe.

    Attributes:
        endpoints: where the services are.
        base: gs://bucket/…/, in which it makes a folder of its own.
        location: of the query; empty: where BigQuery puts it.
        run_id: its name.
        store: where what is found out of the project is kept.
        folder: of the files that are saved.
        stop: ends it.
        redact: takes out of the report what must not be seen.
    """

    bigquery: BigQuery
    storage: Storage
    endpoints: Endpoints
    base: str
    location: str
    run_id: str
    store: str
    folder: str
    stop: threading.Event
    redact: Callable[[str], str]
    _record: dict[str, Any] = field(default_factory=dict, init=False)
    _left: str = field(default="", init=False)
    _is_ending: bool = field(default=False, init=False)

    def run(self) -> Iterator[Finding]:
        """Exports, reads, compares, saves, and removes what it wrote to the bucket."""
        sql = awkward_values.query()
        self._begin(sql)
        try:
            yield from self._probe(sql)
        except InterruptedRunError:
            raise
        except HayateError as error:
            self._record["error"] = error.what
            yield of_error("export", error)
        if self._left:
            remedy = "A later export to that folder removes them; or remove them yourself."
            yield Finding("advice", "clean-up", self._left, remedy)
        report = json.dumps(self._record, indent=1, ensure_ascii=False)
        self._save("report.json", self.redact(report).encode())
        yield Finding("ok", "saved", f"expected, actual and raw bytes: {self.folder}")

    def _probe(self, sql: str) -> Iterator[Finding]:
        configuration = query_configuration(
            [], max_bytes_billed=_MAX_BILLED_BYTES, labels=job_labels(self.run_id, None)
        )
        found = dry_run(self.bigquery, sql, configuration, self.location or None)
        self._record |= {"project": found.project, "location": found.location}
        reference = JobReference(found.project, found.location, job_id(self.run_id, "probe"))
        remote = run_folder(self.base, self.run_id)
        statement = export_statement(sql, part_prefix(remote), "csv")
        self._save("statement.sql", statement.encode())
        watch = self._watch(reference, statement)
        with self._emptied(remote, watch):
            watch.start(
                lambda: self.bigquery.insert_query(statement, configuration, reference, statement)
            )
            job = watch.wait()
            self._record["bytes_billed"] = bytes_billed(job)
            actual = _joined(self._read(remote))
            self._save("actual.csv", actual)
            written = export_counts(job)
            read = self._engine_reads(remote, written)
        yield Finding(
            "ok",
            "export",
            f"{written.rows} rows in {found.location}, {written.files} "
            f"object{'' if written.files == 1 else 's'}; {size(bytes_billed(job))} billed",
        )
        yield from self._judge(awkward_values.compare(actual), read, found.project)

    def _begin(self, sql: str) -> None:
        try:
            os.makedirs(os.path.join(self.folder, "raw"), exist_ok=True)
        except OSError as error:
            raise _cannot_save(self.folder, error) from error
        self._record = {
            "hayate": hayate.__version__,
            "probed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "emulator": bool(self.endpoints.bigquery),
        }
        self._save("query.sql", sql.encode())
        self._save("expected.csv", awkward_values.expected_csv())

    @contextlib.contextmanager
    def _emptied(self, remote: str, watch: JobWatch) -> Iterator[None]:
        """A folder of the bucket that nobody else has; emptied at the end, however that comes
        about. While it is there, a lease lets the next run remove it if this process is killed."""
        lease = Lease(self.storage, remote, self.run_id, [watch.reference])
        lease.take()
        try:
            yield
        except BaseException:
            self._is_ending = True
            # What a job still writes would be left behind.
            if not stop_quietly(watch, lambda text: None):
                self._left = f"{watch.reference} does not end, and may write to {remote}"
            raise
        finally:
            if not self._left:
                self._empty(remote, lease)

    def _empty(self, remote: str, lease: Lease) -> None:
        try:
            remove_parts(self.storage, remote)
            lease.remove()
        except HayateError as error:
            self._left = f"objects are left in {remote}: {error.what}"

    def _watch(self, reference: JobReference, statement: str) -> JobWatch:
        return JobWatch(
            self.bigquery,
            reference,
            lambda text: None,
            export_counts,
            shown=statement,
            beside=self._check_stop,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        if self._is_ending:
            time.sleep(seconds)
        elif self.stop.wait(seconds):
            self._check_stop()

    def _check_stop(self) -> None:
        if self.stop.is_set() and not self._is_ending:
            raise InterruptedRunError("the probe was interrupted")

    def _read(self, remote: str) -> list[tuple[str, bytes]]:
        """Name and bytes of each object, as they are, by name; saved as well."""
        found = self.storage.list(part_prefix(remote))
        if sum(int(one["size_bytes"]) for one in found) > _MAX_OBJECTS_BYTES:
            raise InputError("the export of a few rows is large", Where(object=remote))
        objects = []
        for one in found:
            name = str(one["uri"]).removeprefix(remote)
            data = self.storage.read(one["uri"])
            self._save(os.path.join("raw", os.path.basename(name)), data)
            objects.append((name, data))
        self._record["objects"] = [{"name": n, "bytes": len(data)} for n, data in objects]
        return objects

    def _engine_reads(self, remote: str, written: Written) -> Mapping[str, Sequence[Any]] | str:
        """Column → values as the engine reads them on its usual way, or why it does not."""
        import pyarrow as pa

        from hayate import _core

        state = {"done": True, "files": written.files, "rows": written.rows}
        directory = tempfile.mkdtemp(prefix="frame-", dir=self.folder)
        try:
            engine().ingest_export(
                self.storage,
                part_prefix(remote),
                directory,
                "csv",
                awkward_values.read_schema(),
                "",
                1,
                lambda: state,
                None,
            )
            _core.commit(directory, "probe")
            rows = _core.FrameReader.open(directory).read_all()
            table = pa.RecordBatchReader.from_stream(rows).read_all()
            return {name: table.column(name).to_pylist() for name in table.column_names}
        except InputError as error:
            return str(error.what)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _judge(
        self, found: Comparison, read: Mapping[str, Sequence[Any]] | str, project: str
    ) -> Iterator[Finding]:
        if isinstance(read, str):
            misread, trouble = [], found.trouble or f"it cannot be read: {read}"
        else:
            misread, trouble = awkward_values.misread(read), found.trouble
        self._record |= {
            "is_equal": found.is_equal,
            "trouble": trouble,
            "line_ends": [repr(one) for one in found.line_ends],
            "nulls_are_distinct": found.nulls_are_distinct,
            "differences": [
                {
                    "type": one.column.type,
                    "value": one.value.what,
                    "expected": repr(one.expected),
                    "actual": repr(one.actual),
                }
                for one in found.differences
            ],
            "misread": [
                {"type": column.type, "value": value.what, "read": repr(got)}
                for column, value, got in misread
            ],
        }
        # Whether '' is read as NULL is a matter of its own: the wrapper SELECT is made for that.
        wrong = [
            (column, value, got)
            for column, value, got in misread
            if column.is_relied_on and not (column.type == "STRING" and value.read in ("", None))
        ]
        yield _of_bytes(found, trouble, wrong)
        is_read = not isinstance(read, str) and not any(
            column.type == "STRING" for column, _, _ in misread
        )
        yield self._of_nulls(found.nulls_are_distinct and is_read, project)

    def _of_nulls(self, distinct: bool, project: str) -> Finding:
        name = "NULL and ''"
        what = (
            "are apart in CSV"
            if distinct
            else "are not apart in CSV: exports keep marking empty strings"
        )
        if self.endpoints.bigquery:
            # What an emulator does says nothing of the service.
            return Finding("ok", name, f"{what}; not noted, as this is an emulator")
        try:
            dialect.remember(self.store, project, nulls_are_distinct=distinct)
        except HayateError as error:
            return of_error(name, error)
        return Finding("ok", name, f"{what}; noted for {project} in {self.store}")

    def _save(self, name: str, data: bytes) -> None:
        try:
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(data)
        except OSError as error:
            raise _cannot_save(self.folder, error) from error


def _cannot_save(folder: str, error: OSError) -> StorageError:
    return StorageError(
        f"what the probe finds cannot be saved: {error.strerror}",
        Where(object=folder),
        "Give --save a folder that may be written to.",
    )


def _joined(objects: Sequence[tuple[str, bytes]]) -> bytes:
    """The text of all objects as one file; each has the header.

    Raises:
        InputError: one cannot be inflated, or begins with another header.
    """
    joined = b""
    header = b""
    for name, data in objects:
        try:
            text = _inflated(data) if data.startswith(_GZIP_MAGIC) else data
        except zlib.error as error:
            raise InputError(
                f"what was exported is no gzip: {error}", Where(object=name), _REPORT
            ) from None
        own, _, rest = text.partition(b"\n")
        if not header:
            header = own
            joined = text
        elif own == header:
            joined += rest
        else:
            raise InputError("the objects have different headers", Where(object=name), _REPORT)
    return joined


def _inflated(data: bytes) -> bytes:
    """All members of a gzip file, up to some bound: the rows are known to be few."""
    text = b""
    while data:
        member = zlib.decompressobj(_GZIP)
        text += member.decompress(data, _MAX_OBJECTS_BYTES)
        if not member.eof:
            raise zlib.error("it is cut off, or far too long")
        data = member.unused_data
    return text


def _of_bytes(found: Comparison, trouble: str, wrong: Sequence[tuple[Any, Any, Any]]) -> Finding:
    if trouble:
        return Finding(
            "problem",
            "bytes",
            f"the file is not as this version expects: {trouble}",
            f'Use format="parquet" (the default), not "csv". {_REPORT}',
        )
    if wrong:
        listed = ", ".join(f"{c.type} {v.what} as {got!r}" for c, v, got in wrong[:_SHOWN])
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        return Finding(
            "problem",
            "bytes",
            f"{len(wrong)} values are misread: {listed}{more}",
            f'Use format="parquet" (the default), not "csv". {_REPORT}',
        )
    if found.is_equal:
        return Finding("ok", "bytes", "as this version expects, byte for byte")
    texts = [str(one) for one in found.differences[:_SHOWN]]
    if ends := [one for one in found.line_ends if one != b"\n"]:
        texts.insert(0, f"records end with {ends[0]!r}")
    rest = len(found.differences) - _SHOWN
    listed = ", ".join(texts) + (f" and {rest} more" if rest > 0 else "")
    return Finding(
        "advice",
        "bytes",
        f"some are not as this version expects, and are read right: {listed or 'the quoting'}",
        f"Nothing has to be done. {_REPORT}",
    )
