"""What a test can choose of the BigQuery stand-in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from emulators.exported_files import Dialect, Field
from emulators.jobs import JobPlan
from emulators.sql import TableName


@dataclass
class Settings:
    """The choices; read whenever they matter, so a change counts from then on.

    Attributes:
        plan: how jobs go for which no plan was queued.
        plans: how the next jobs go.
        location: of jobs that read no table, and of datasets that are made without one.
        bytes_processed: what every query reads, or None to count it.
        views_are_referenced: whether a dry run names views beside their base tables.
        dialect: the habits of exported files that are not known of the service.
        accepts_zstd: whether ZSTD is a compression of Parquet in EXPORT DATA.
        content_encoding: of compressed CSV files.
        denied_buckets: those that the service may not write to.
        table_extra: further members of a table's resource, as ``streamingBuffer``.
        planted: the results of some queries, by their text.
    """

    plan: JobPlan = field(default_factory=JobPlan)
    plans: deque[JobPlan] = field(default_factory=deque)
    location: str = "US"
    bytes_processed: int | None = None
    views_are_referenced: bool = True
    dialect: Dialect = field(default_factory=Dialect)
    accepts_zstd: bool = True
    content_encoding: str = ""
    denied_buckets: set[str] = field(default_factory=set)
    table_extra: dict[TableName, dict[str, Any]] = field(default_factory=dict)
    planted: dict[str, tuple[list[Field], pa.Table]] = field(default_factory=dict)

    def reset(self) -> None:
        """As in the beginning: for the next test."""
        vars(self).update(vars(Settings()))

    def plant(self, query: str, fields: list[Field], table: pa.Table) -> None:
        """Gives a query its result, for dry runs and exports.

        For values that DuckDB does not have, and for many rows.

        Args:
            query: its text; line breaks and spaces do not count.
            fields: the schema.
            table: the rows, with the types of the service's Parquet files.
        """
        self.planted[normal(query)] = (fields, table)

    def planted_for(self, query: str) -> tuple[list[Field], pa.Table] | None:
        return self.planted.get(normal(query))


def normal(query: str) -> str:
    """A query's text without what only sets it out."""
    return " ".join(query.split()).rstrip("; ")
