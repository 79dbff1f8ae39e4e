"""What a SQL statement is, reads and changes: asked of bqemulator's own parser."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("sql_parser.py")


@dataclass(frozen=True)
class TableName:
    """A table's full name."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"

    @property
    def quoted(self) -> str:
        return f"`{self.project}`.`{self.dataset}`.`{self.table}`"

    def reference(self) -> dict[str, str]:
        """As the REST interface names it."""
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}

    @classmethod
    def of(cls, reference: dict[str, Any], project: str) -> TableName:
        return cls(
            reference.get("projectId") or project,
            reference.get("datasetId") or "",
            reference.get("tableId") or "",
        )


@dataclass(frozen=True)
class Statement:
    """A statement that was read.

    Attributes:
        kind: SELECT, EXPORT_DATA, INSERT, CREATE, …; empty where the parser does not know it.
        created: what CREATE makes: TABLE, VIEW, …
        tables: the dotted parts of each name that it reads.
        target: the dotted parts of the name that it changes.
        definition: the query of CREATE … AS.
        columns: names and types of CREATE TABLE.
        wildcards: the names with a star.
        geography: the columns that a GEOGRAPHY function makes.
        options: of EXPORT DATA.
        query: of EXPORT DATA.
    """

    kind: str
    created: str
    tables: tuple[tuple[str, ...], ...]
    target: tuple[str, ...]
    definition: str
    columns: dict[str, str]
    wildcards: tuple[str, ...]
    geography: frozenset[str]
    options: dict[str, Any]
    query: str

    def names(self, project: str, dataset: str) -> list[TableName]:
        """What it reads, with what a short name leaves out; without INFORMATION_SCHEMA."""
        found = [_full(parts, project, dataset) for parts in self.tables]
        return [name for name in found if name is not None]

    def target_name(self, project: str, dataset: str) -> TableName | None:
        return _full(self.target, project, dataset) if self.target else None

    @property
    def reads_information_schema(self) -> bool:
        return any(part.upper() == "INFORMATION_SCHEMA" for one in self.tables for part in one)


class UnreadableSqlError(ValueError):
    """The parser does not take the statement."""


class SqlReader:
    """The parser's process; for any number of threads."""

    def __init__(self, python: Path) -> None:
        self._lock = threading.Lock()
        # It ends when its standard input does, so with us, however we end.
        self._process = subprocess.Popen(
            [str(python), str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def read(self, text: str) -> Statement:
        """What a statement is.

        Raises:
            UnreadableSqlError: the parser does not take it.
        """
        with self._lock:
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps(text) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the SQL parser's process has ended")
        found = json.loads(line)
        if "error" in found:
            raise UnreadableSqlError(found["error"])
        return Statement(
            kind=found["kind"],
            created=found["created"],
            tables=tuple(tuple(one) for one in found["tables"]),
            target=tuple(found["target"]),
            definition=found["definition"],
            columns=found["columns"],
            wildcards=tuple(found["wildcards"]),
            geography=frozenset(found["geography"]),
            options=found["options"],
            query=found["query"],
        )

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _full(parts: tuple[str, ...], project: str, dataset: str) -> TableName | None:
    if any(part.upper() == "INFORMATION_SCHEMA" for part in parts):
        return None
    if len(parts) == 1:
        return TableName(project, dataset, parts[0])
    if len(parts) == 2:
        return TableName(project, *parts)
    return TableName(*parts[-3:])
