"""What is known of a query before anything is spent, and what is refused by that."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hayate.errors import InputError, UsageError, Where
from hayate.google import sql as googlesql
from hayate.google.client import BigQuery
from hayate.google.engine import Storage
from hayate.google.projection import Format
from hayate.google.regions import Relation, relation
from hayate.google.statement import bucket_of
from hayate.google.types import Field, check_schema, nested_columns, selected

#: What a query is billed at least for each table, and in which steps.
_MIN_BILLED_BYTES = 10 * 1024 * 1024
_BILLING_STEP_BYTES = 1024 * 1024
#: Of the service: a list of more tables than this is not complete.
MAX_REFERENCED_TABLES = 50

Plan = Literal["export", "extract", "table_then_export"]
"""How rows reach the bucket: EXPORT DATA of the query; the query into a table of its own, which is
extracted; or into a table, whose EXPORT DATA keeps an order, which an extract does not."""

#: What the run must be allowed to do in the bucket.
BUCKET_PERMISSIONS = (
    "storage.objects.create",
    "storage.objects.get",
    "storage.objects.list",
    "storage.objects.delete",
)


@dataclass(frozen=True)
class Table:
    """A table, view or other object that a query reads.

    Attributes:
        path: projectId, datasetId and tableId.
        resource: as the REST API describes it.
        is_visible: whether we may look at it; else `resource` is empty.
    """

    path: Mapping[str, str]
    resource: Mapping[str, Any] = field(repr=False)
    is_visible: bool = True

    @property
    def name(self) -> str:
        """project.dataset.table"""
        return ".".join(self.path[part] for part in ("projectId", "datasetId", "tableId"))

    @property
    def type(self) -> str:
        """TABLE, VIEW, MATERIALIZED_VIEW, EXTERNAL, SNAPSHOT."""
        return str(self.resource.get("type") or "")

    @property
    def location(self) -> str:
        """Where the data lies."""
        return str(self.resource.get("location") or "")

    @property
    def last_modified(self) -> str:
        """Milliseconds since 1970, as text; of the data and of the description."""
        return str(self.resource.get("lastModifiedTime") or "")

    @property
    def has_streaming_buffer(self) -> bool:
        """Whether rows arrive that no change date shows."""
        return bool(self.resource.get("streamingBuffer"))

    @property
    def view_sql(self) -> str:
        """The query of a view; empty for others."""
        for kind in ("view", "materializedView"):
            if found := (self.resource.get(kind) or {}).get("query"):
                return str(found)
        return ""

    @property
    def uses_legacy_sql(self) -> bool:
        """Whether the view's query is in the old dialect, which is not understood here."""
        view = self.resource.get("view") or {}
        return bool(view) and bool(view.get("useLegacySql", True))


@dataclass(frozen=True)
class DryRun:
    """What BigQuery says of a query that it has not run.

    Attributes:
        schema: of the result.
        bytes_processed: by the estimate, which is exact but for clustered and external tables.
        location: where the query runs.
        project: in which it runs.
        referenced: paths of the objects that it reads, as the service lists them.
        routines: names of stored functions that it calls.
    """

    schema: tuple[Field, ...]
    bytes_processed: int
    location: str
    project: str
    referenced: tuple[Mapping[str, str], ...]
    routines: tuple[str, ...]

    @property
    def bytes_billed(self) -> int:
        """What would be billed on demand."""
        return billed(self.bytes_processed, len(self.referenced))


def billed(processed: int, tables: int) -> int:
    """The bytes that a query on demand is billed: in whole MiB, at least 10 MiB for each table."""
    if processed == 0:
        return 0
    steps = -(-processed // _BILLING_STEP_BYTES)
    return max(steps * _BILLING_STEP_BYTES, max(tables, 1) * _MIN_BILLED_BYTES)


def dry_run(
    bigquery: BigQuery, sql: str, configuration: dict[str, Any], location: str | None
) -> DryRun:
    """Asks BigQuery what the query is.

    Raises:
        HayateError: the query is refused: wrong, not allowed, over a limit.
    """
    job = bigquery.dry_run(sql, configuration, location)
    statistics = job.get("statistics") or {}
    query = statistics.get("query") or {}
    kind = str(query.get("statementType") or "SELECT")
    if kind != "SELECT":
        raise UsageError(
            f"the SQL is {kind}, which gives no rows to read", Where(object="the SQL"), _SELECT
        )
    if "schema" not in query:
        raise InputError(
            "BigQuery gives no schema for this query before it runs",
            Where(object="the SQL"),
            "Write its result to a table first, and read that.",
        )
    fields = tuple((query["schema"] or {}).get("fields") or ())
    check_schema(fields)
    processed = query.get("totalBytesProcessed", statistics.get("totalBytesProcessed", 0))
    reference = job.get("jobReference") or {}
    routines = query.get("referencedRoutines") or ()
    return DryRun(
        fields,
        int(processed or 0),
        str(reference.get("location") or location or "US"),
        str(reference.get("projectId") or bigquery.project),
        tuple(query.get("referencedTables") or ()),
        tuple(f"{one.get('datasetId')}.{one.get('routineId')}" for one in routines),
    )


_SELECT = "Give a SELECT."


def check_cost(found: DryRun, max_bytes_billed: int | None) -> None:
    """Refuses what would be billed more than is allowed.

    Raises:
        UsageError: it would.
    """
    if max_bytes_billed is None or found.bytes_billed <= max_bytes_billed:
        return
    raise UsageError(
        f"the query would be billed {found.bytes_billed:,} bytes, and max_bytes_billed allows "
        f"{max_bytes_billed:,}",
        Where(object="the SQL"),
        f"Raise it to max_bytes_billed={found.bytes_billed}, or read less: name the columns, and "
        "filter by the partition.",
    )


def tables(bigquery: BigQuery, found: DryRun, sql: str) -> list[Table]:
    """All objects that the query reads: those that the service lists and those that the SQL and the
    views in it name, each once, by name. What is named and does not exist (names of WITH clauses,
    columns of arrays) is left out. Reading a table is one right, looking at it another: those that
    we may not look at are not visible.

    Raises:
        InputError: the service does not answer.
    """
    waiting = [dict(path) for path in found.referenced]
    waiting += _named(sql, found.project)
    seen: dict[str, Table] = {}
    asked: set[str] = set()
    while waiting:
        path = waiting.pop()
        key = ".".join(path.get(part, "") for part in ("projectId", "datasetId", "tableId"))
        if key in asked or "*" in key:
            continue
        asked.add(key)
        try:
            resource = bigquery.table(path)
        except UsageError:
            table = Table(path, {}, is_visible=False)
            seen[table.name] = table
            continue
        if resource is None:
            continue
        table = Table(path, resource)
        seen[table.name] = table
        if table.view_sql and not table.uses_legacy_sql:
            waiting += _named(table.view_sql, path["projectId"])
    return [seen[name] for name in sorted(seen)]


def _named(sql: str, project: str) -> list[dict[str, str]]:
    paths = []
    for path in googlesql.table_paths(sql):
        parts = path.split(".")
        if "INFORMATION_SCHEMA" in path.upper():
            continue
        # Names of domain-scoped projects have a point in front: example.com:project.
        if len(parts) == 2:
            paths.append({"projectId": project, "datasetId": parts[0], "tableId": parts[1]})
        elif len(parts) == 3:
            paths.append(dict(zip(("projectId", "datasetId", "tableId"), parts, strict=True)))
    return [one for one in paths if all(one.values())]


def choose_format(wanted: str, schema: Sequence[Field], columns: Sequence[str] | None) -> Format:
    """The format of an export; "auto" is Parquet: exact, typed and cheaper to read.

    Raises:
        UsageError: the format is not known, or cannot hold the columns.
    """
    if wanted not in ("auto", "csv", "parquet"):
        raise UsageError(f"format={wanted!r} is not known", fix='Use "auto", "csv" or "parquet".')
    if wanted != "csv":
        return "parquet"
    nested = nested_columns(selected(schema, columns) if schema else ())
    if nested:
        raise UsageError(
            f"the column {nested[0]} is an ARRAY or a STRUCT, which CSV cannot hold",
            Where(object="the SQL", column=nested[0]),
            'Use format="parquet" (or "auto"), or make text of it in the SQL: '
            f"TO_JSON_STRING({nested[0]}) AS {nested[0]}.",
        )
    return "csv"


def choose_plan(sql: str) -> tuple[Plan, str]:
    """How the rows reach the bucket, and why that is not one EXPORT DATA, if it is not.

    Raises:
        UsageError: an order is asked for that cannot be kept on the way; says what to write.
    """
    table = googlesql.unexportable_table(sql)
    if not table:
        return "export", ""
    end = googlesql.ordering(sql)
    if not end.is_ordered:
        return "extract", f"EXPORT DATA cannot read {table}"
    return "table_then_export", f"EXPORT DATA cannot read {table}, and an extract keeps no order"


@dataclass(frozen=True)
class Bucket:
    """The bucket of an export.

    Attributes:
        name: without gs://.
        location: of its data; empty if we may not know it.
        relation: to the query's location.
        soft_delete_s: how long deleted objects are kept and paid for; 0 if they are not.
        is_locked: whether a retention policy forbids to delete.
    """

    name: str
    location: str
    relation: Relation
    soft_delete_s: int
    is_locked: bool


def check_bucket(storage: Storage, folder: str, location: str) -> Bucket:
    """Refuses a bucket that is missing, or that we cannot write, read, list and delete in.

    Args:
        folder: gs://bucket/…/
        location: where the query runs.

    Raises:
        HayateError: with the remedy.
    """
    name = bucket_of(folder)
    where = Where(object=f"gs://{name}")
    held = storage.permissions(name, list(BUCKET_PERMISSIONS))
    missing = [one for one in BUCKET_PERMISSIONS if one not in held]
    if missing:
        # Of a bucket that does not exist this asks as well; what it answers names that.
        storage.bucket(name)
        raise UsageError(
            f"the bucket does not allow us {', '.join(missing)}",
            where,
            "Give this identity roles/storage.objectUser on the bucket: what is on its way is "
            "created, read and deleted there.",
        )
    resource: Mapping[str, Any] = {}
    # Who may use all objects exists there, but need not be allowed to look at the bucket.
    with contextlib.suppress(InputError):
        resource = storage.bucket(name)
    place = str(resource.get("location") or "")
    policy = resource.get("softDeletePolicy") or {}
    retention = resource.get("retentionPolicy") or {}
    found = Bucket(
        name,
        place,
        relation(location, place) if place else "same",
        int(policy.get("retentionDurationSeconds") or 0),
        int(retention.get("retentionPeriod") or 0) > 0,
    )
    if found.is_locked:
        raise UsageError(
            "the bucket has a retention policy, so what is on its way could not be removed",
            where,
            "Use another bucket, without Bucket Lock and without Soft Delete.",
        )
    return found


def check_locations(found: DryRun, of_tables: Sequence[Table]) -> None:
    """Refuses a query whose tables are not where it runs.

    Raises:
        UsageError: names the table and the location to give.
    """
    for table in of_tables:
        if table.location and table.location.upper() != found.location.upper():
            raise UsageError(
                f"the query runs in {found.location}, and the table is in {table.location}",
                Where(object=table.name),
                f'Give location="{table.location}"; a query reads tables of one location.',
            )
