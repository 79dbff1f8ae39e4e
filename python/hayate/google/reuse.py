"""When a result is still that of the same query over the same tables, and where it is kept.

A result's key is made of everything that it depends on: the SQL (comments and blanks do not count),
the parameters, each table with the time of its last change, each view with its definition, who asks
(rows may be hidden from some), where, and what hayate makes of it. Where something that matters has
no time of change, there is no key but a reason.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hayate.digest import digest_text
from hayate.errors import StorageError, Where
from hayate.google import sql as googlesql
from hayate.google.dry_run import MAX_REFERENCED_TABLES, DryRun, Table

#: Version of what is made of BigQuery's values; part of every key.
SEMANTICS = 1
#: Kinds of objects whose rows change only together with their lastModifiedTime.
_KEPT_TYPES = ("TABLE", "SNAPSHOT")
_VIEW_TYPES = ("VIEW", "MATERIALIZED_VIEW")
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_FRAME = "frame.json"
_RECORD = "bigquery.json"
_NAME = "bigquery"
_KEY_DIGITS = 16
#: Of the temporary folders that hold results which are not kept.
TEMPORARY_PREFIX = "hayate-frame-"


@dataclass(frozen=True)
class Key:
    """What a result is known by.

    Attributes:
        parts: component → what it is now.
        reasons: why a result cannot be used again; empty if it can.
    """

    parts: Mapping[str, str]
    reasons: tuple[str, ...]

    @property
    def is_reusable(self) -> bool:
        """Whether a stored result of this key is as good as a new one."""
        return not self.reasons

    @property
    def digest(self) -> str:
        """32 hexadecimal digits."""
        return digest_text(*(text for pair in sorted(self.parts.items()) for text in pair))


def key(
    sql: str,
    parameters_digest: str,
    found: DryRun,
    tables: Sequence[Table],
    columns: Sequence[str] | None,
    who: str,
    now_ms: int,
) -> Key:
    """The key of a query's result.

    Args:
        sql: the user's query.
        parameters_digest: of its parameters.
        found: its dry run.
        tables: all that it reads, views and what is in them included.
        columns: those that are wanted.
        who: asks.
        now_ms: milliseconds since 1970, for partitions that end.
    """
    parts = {
        "sql": googlesql.normalized(sql),
        "parameters": parameters_digest,
        "project": found.project,
        "location": found.location,
        "schema": json.dumps(found.schema, sort_keys=True),
        "columns": json.dumps(columns),
        "who": who,
        "semantics": str(SEMANTICS),
    }
    reasons: list[str] = []
    if varying := googlesql.varying(sql):
        reasons.append(f"the SQL has {varying}")
    reasons += [f"the SQL calls the function {name}" for name in found.routines]
    if named := googlesql.unexportable_table(sql):
        reasons.append(f"what {named} stands for has no time of change")
    if len(found.referenced) >= MAX_REFERENCED_TABLES:
        reasons.append(
            f"the query reads {MAX_REFERENCED_TABLES} tables or more, and not all are listed"
        )
    known = {table.name for table in tables}
    for path in found.referenced:
        name = ".".join(path[part] for part in ("projectId", "datasetId", "tableId"))
        if name not in known:
            reasons.append(f"{name} is not found any more")
    for table in tables:
        parts[f"table {table.name}"] = _state(table, now_ms)
        reasons += _reasons(table)
    return Key(parts, tuple(dict.fromkeys(reasons)))


def _state(table: Table, now_ms: int) -> str:
    resource = table.resource
    state = [table.type, str(resource.get("creationTime") or ""), table.view_sql]
    if table.type in _KEPT_TYPES:
        state += [table.last_modified, str(resource.get("numRows") or "")]
    state.append(_ended_partitions(resource, now_ms))
    return json.dumps(state)


def _ended_partitions(resource: Mapping[str, Any], now_ms: int) -> str:
    """What changes when a partition reaches its end, which no time of change shows."""
    partitioning = resource.get("timePartitioning") or {}
    lifetime = partitioning.get("expirationMs")
    if not lifetime:
        return ""
    step = _HOUR_MS if partitioning.get("type") == "HOUR" else _DAY_MS
    return str((now_ms - int(lifetime)) // step)


def _reasons(table: Table) -> Iterable[str]:
    if not table.is_visible:
        yield f"we may not look at {table.name} (bigquery.tables.get)"
        return
    if table.type in _VIEW_TYPES:
        if table.uses_legacy_sql:
            yield f"the view {table.name} is in legacy SQL"
        elif not table.view_sql:
            yield f"the definition of the view {table.name} cannot be seen"
        else:
            if varying := googlesql.varying(table.view_sql):
                yield f"the view {table.name} has {varying}"
            if named := googlesql.unexportable_table(table.view_sql):
                yield f"what {named} stands for has no time of change"
        return
    if table.type not in _KEPT_TYPES or table.resource.get("biglakeConfiguration"):
        kind = (table.type or "something").lower().replace("_", " ")
        yield f"{table.name} is no table of BigQuery's own ({kind})"
    elif table.has_streaming_buffer:
        yield f"rows are being streamed into {table.name}"
    elif not table.last_modified:
        yield f"{table.name} has no time of change"


@dataclass(frozen=True)
class Stored:
    """A result that is there.

    Attributes:
        directory: of the frame.
        record: what was noted with it: rows, bytes billed, when.
    """

    directory: str
    record: Mapping[str, Any]


class Results:
    """The results of queries in a store: frames beside those of jobs, each named by its key.

    A result is built in a folder of its own and gets its name by one rename, so two runs at once
    need not know of each other: the second finds that the name is taken by the same thing.

    Args:
        store: the folder of the store.
    """

    def __init__(self, store: str) -> None:
        self.store = store
        self._frames = os.path.join(store, "frames")

    def find(self, wanted: Key) -> Stored | None:
        """The stored result of that key, if there is one that is whole."""
        directory = self._directory(wanted)
        try:
            with open(os.path.join(directory, _RECORD), encoding="utf-8") as file:
                record = json.load(file)
        except (OSError, ValueError):
            return None
        is_same = isinstance(record, dict) and record.get("key") == wanted.digest
        if not is_same or not os.path.exists(os.path.join(directory, _FRAME)):
            return None
        return Stored(directory, record)

    def difference(self, wanted: Key) -> str:
        """What differs from the newest stored result of the same SQL, for people; empty if there is
        no such result."""
        newest: tuple[float, Mapping[str, Any]] | None = None
        # A store that cannot be read has nothing to compare with; what is written says why.
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._frames):
                path = os.path.join(entry.path, _RECORD)
                if not entry.name.startswith(f"{_NAME}-"):
                    continue
                with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
                    parts = json.load(file)["key_parts"]
                    changed = os.stat(path).st_mtime
                    same = parts.get("sql") == wanted.parts["sql"]
                    if same and (newest is None or changed > newest[0]):
                        newest = changed, parts
        if newest is None:
            return ""
        names = sorted(set(wanted.parts) | set(newest[1]))
        changed_names = [n for n in names if wanted.parts.get(n) != newest[1].get(n)]
        return ", ".join(f"{name} changed" for name in changed_names)

    def unfinished_path(self, run: str) -> str:
        """Where a run builds its frame: a folder that nobody takes for a result."""
        return os.path.join(self._frames, f".{_NAME}-{run}.tmp")  # no name of a frame

    def discard_unfinished(self, path: str) -> None:
        """Removes a folder of `unfinished_path`, or one in a temporary folder of ours that a killed
        process left; any other stays."""
        folder, name = os.path.split(path)
        if folder == self._frames and name.startswith(f".{_NAME}-"):
            shutil.rmtree(path, ignore_errors=True)
        elif name == "frame" and os.path.basename(folder).startswith(TEMPORARY_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, unfinished: str, wanted: Key, record: Mapping[str, Any]) -> Stored:
        """Gives a committed frame its name; if another run was first, its frame is taken.

        Raises:
            StorageError: the store cannot be written to.
        """
        target = self._directory(wanted)
        created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        content = {
            **record,
            "key": wanted.digest,
            "key_parts": dict(wanted.parts),
            "created": created,
        }
        try:
            path = os.path.join(unfinished, _RECORD)
            with open(path + ".tmp", "w", encoding="utf-8") as file:
                json.dump(content, file)
            os.replace(path + ".tmp", path)
            return self._rename(unfinished, target, wanted, content)
        except OSError as error:
            raise StorageError(
                f"the result cannot be stored: {error.strerror}",
                Where(object=target),
                "Make room, or give store= a folder that may be written to.",
            ) from error

    def _rename(
        self, unfinished: str, target: str, wanted: Key, record: Mapping[str, Any]
    ) -> Stored:
        # Twice: what lies there and is no result of this key is moved away first.
        for _ in range(2):
            try:
                os.rename(unfinished, target)
                return Stored(target, record)
            except OSError:
                if not os.path.isdir(target):
                    raise
            if found := self.find(wanted):
                shutil.rmtree(unfinished, ignore_errors=True)
                return found
            self._discard(target)
        os.rename(unfinished, target)
        return Stored(target, record)

    def discard(self, found: Stored) -> None:
        """Removes a result that has turned out to be damaged."""
        self._discard(found.directory)

    def _discard(self, directory: str) -> None:
        """In one step, so that nobody finds a half of it."""
        away = tempfile.mkdtemp(prefix=f".{_NAME}-", dir=self._frames)
        with contextlib.suppress(FileNotFoundError):
            os.rename(directory, os.path.join(away, "damaged"))
        shutil.rmtree(away, ignore_errors=True)

    def _directory(self, wanted: Key) -> str:
        return os.path.join(self._frames, f"{_NAME}-{wanted.digest[:_KEY_DIGITS]}")
