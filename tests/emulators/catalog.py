"""What bqemulator does not keep of tables: changes, sizes, declared types, view definitions."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from emulators.bqemulator import Bqemulator
from emulators.exported_files import Field
from emulators.jobs import JobError, canonical_location
from emulators.settings import Settings
from emulators.sql import Statement, TableName, UnreadableSqlError

# Bytes of a value, as the service counts them.
_WIDTHS = {
    "INTEGER": 8,
    "FLOAT": 8,
    "BOOLEAN": 1,
    "DATE": 8,
    "DATETIME": 8,
    "TIME": 8,
    "TIMESTAMP": 8,
    "NUMERIC": 16,
    "BIGNUMERIC": 32,
}
# The service's REST names for the types of its SQL.
_REST_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
# What bqemulator takes these for; anything else keeps its type.
_LOST_TYPES = {"GEOGRAPHY": "BYTES", "JSON": "STRING", "BIGNUMERIC": "NUMERIC"}
_MIB = 1 << 20
_MINIMUM_BILLED = 10 * _MIB


class Catalog:
    """The tables of one bqemulator."""

    def __init__(self, emulator: Bqemulator, settings: Settings) -> None:
        self._emulator = emulator
        self._settings = settings
        self._lock = threading.Lock()
        self._changed_ms: dict[TableName, int] = {}
        self._declared: dict[TableName, dict[str, str]] = {}
        self._definitions: dict[TableName, str] = {}
        self._sizes: dict[TableName, tuple[int, int]] = {}

    def touch(self, name: TableName) -> None:
        """Notes that a table has changed: later than it did before, even within a millisecond."""
        with self._lock:
            last = self._changed_ms.get(name, 0)
            self._changed_ms[name] = max(int(time.time() * 1000), last + 1)
            self._sizes.pop(name, None)

    def declare(self, name: TableName, fields: list[Field]) -> None:
        """Notes the types of a table that was made through the REST interface."""
        types = {field["name"]: str(field["type"]).upper() for field in fields}
        with self._lock:
            self._declared[name] = types

    def define(self, name: TableName, query: str) -> None:
        """Notes the query of a view."""
        with self._lock:
            self._definitions[name] = query

    def note(self, statement: Statement, dataset: str) -> None:
        """Notes what a statement that was run has changed."""
        target = statement.target_name(self._emulator.project, dataset)
        if target is None:
            return
        if statement.created == "VIEW":
            self.define(target, statement.definition)
        elif statement.kind == "CREATE":
            types = {
                name: _rest_type(kind) for name, kind in statement.columns.items()
            } or self._types_of(statement, dataset)
            with self._lock:
                self._declared[target] = types
        self.touch(target)

    def dataset_location(self, project: str, dataset: str) -> str:
        """Where a dataset is.

        Raises:
            JobError: there is no such dataset.
        """
        try:
            found = self._emulator.ask("GET", f"{project}/datasets/{dataset}")
        except JobError as error:
            message = f"Not found: Dataset {project}:{dataset}"
            raise JobError("notFound", message) from error
        return canonical_location(str(found.get("location") or "US"))

    def resource(self, name: TableName) -> dict[str, Any]:
        """A table as tables.get answers it.

        Raises:
            JobError: there is no such table.
        """
        path = f"{name.project}/datasets/{name.dataset}/tables/{name.table}"
        try:
            found = self._emulator.ask("GET", path)
        except JobError as error:
            if error.reason != "notFound":
                raise
            raise JobError("notFound", f"Not found: Table {name}") from error
        if name.dataset.startswith("_"):
            return found
        fields = self.with_declared_types(found.get("schema", {}).get("fields", []), [name])
        if fields:
            found["schema"] = {"fields": fields}
        changed = max(int(found["lastModifiedTime"]), self._changed_ms.get(name, 0))
        found |= {
            "lastModifiedTime": str(changed),
            "etag": f'"{changed:x}"',
            "location": self.dataset_location(name.project, name.dataset),
        }
        if found["type"] == "VIEW":
            query = self._definitions.get(name, "")
            found["view"] = {"query": query, "useLegacySql": False}
            for counted in [one for one in found if one.startswith("num")]:
                del found[counted]
        else:
            rows, size = self._size(name, fields)
            found |= {"numRows": str(rows), "numBytes": str(size)}
            found |= {"numTotalLogicalBytes": str(size), "numActiveLogicalBytes": str(size)}
        return found | self._settings.table_extra.get(name, {})

    def references(
        self, statement: Statement, dataset: str
    ) -> tuple[list[TableName], list[TableName]]:
        """The base tables that a statement reads, through views too; and the views.

        Raises:
            JobError: one of them is not there.
        """
        bases: list[TableName] = []
        views: list[TableName] = []
        pending = statement.names(self._emulator.project, dataset)
        while pending:
            name = pending.pop(0)
            if name in bases or name in views:
                continue
            if name.table.endswith("*"):
                pending += self._matching(name)
                continue
            found = self.resource(name)
            if found["type"] != "VIEW":
                bases.append(name)
                continue
            views.append(name)
            inner = self._emulator.sql.read(found["view"]["query"])
            pending += inner.names(name.project, name.dataset)
        return bases, views

    def bytes_of(self, names: list[TableName]) -> int:
        """How much a query over some tables reads: all of their columns."""
        return sum(int(self.resource(name)["numBytes"]) for name in names)

    def with_declared_types(
        self, fields: list[Field], names: list[TableName], geography: frozenset[str] = frozenset()
    ) -> list[Field]:
        """A schema with the types that bqemulator forgets, by the names of the columns."""
        declared: dict[str, str] = {}
        with self._lock:
            for name in names:
                declared |= self._declared.get(name, {})
        declared |= dict.fromkeys(geography, "GEOGRAPHY")
        found = []
        for field in fields:
            wanted = declared.get(field["name"], "")
            is_lost = wanted in _LOST_TYPES and field["type"] == _LOST_TYPES[wanted]
            found.append({**field, "type": wanted} if is_lost else field)
        return found

    def _types_of(self, statement: Statement, dataset: str) -> dict[str, str]:
        """The declared types that CREATE … AS SELECT takes over from what it reads."""
        types: dict[str, str] = {}
        with self._lock:
            for name in statement.names(self._emulator.project, dataset):
                types |= self._declared.get(name, {})
        return types | dict.fromkeys(statement.geography, "GEOGRAPHY")

    def _matching(self, wildcard: TableName) -> list[TableName]:
        path = f"{wildcard.project}/datasets/{wildcard.dataset}/tables?maxResults=1000"
        listing = self._emulator.ask("GET", path).get("tables", [])
        names = [TableName.of(one["tableReference"], wildcard.project) for one in listing]
        return [name for name in names if name.table.startswith(wildcard.table[:-1])]

    def _size(self, name: TableName, fields: list[Field]) -> tuple[int, int]:
        """Rows and bytes."""
        with self._lock:
            known = self._sizes.get(name)
        if known is None:
            width = sum(_WIDTHS.get(field["type"], 0) for field in fields)
            lengths = [
                f"IFNULL(SUM(2 + BYTE_LENGTH(`{field['name']}`)), 0)"
                for field in fields
                if field["type"] in ("STRING", "BYTES") and field.get("mode") != "REPEATED"
            ]
            query = f"SELECT COUNT(*), {' + '.join(lengths) or 0} FROM {name.quoted}"
            ((rows, variable),) = self._emulator.rows(query)
            known = int(rows), int(rows) * width + int(variable)
            with self._lock:
                self._sizes[name] = known
        return known


def billed(size: int, tables: int) -> int:
    """The bytes that are billed for bytes that are read."""
    whole = -(-size // _MIB) * _MIB
    return max(whole, _MINIMUM_BILLED * tables) if size else 0


def statement_of(emulator: Bqemulator, query: str) -> Statement | None:
    """The statement, or None where only bqemulator itself can say what is wrong with it."""
    try:
        return emulator.sql.read(query)
    except UnreadableSqlError:
        return None


def _rest_type(kind: str) -> str:
    plain = re.split(r"[(<\s]", kind.upper())[0]
    return _REST_TYPES.get(plain, plain)
