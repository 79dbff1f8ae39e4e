"""Names of tables that are written to: bigquery://project.dataset.table$20261124."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hayate.errors import UsageError, Where

SCHEME = "bigquery://"
_FORM = "Write bigquery://project.dataset.table, or …table$20261124 for one partition."
_PROJECT = re.compile(r"(?:[a-z0-9][a-z0-9.-]*:)?[a-z](?:[a-z0-9-]*[a-z0-9])?")
_DATASET = re.compile(r"\w+", re.A)
_ISO_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.A)
_INTEGER = re.compile(r"-?\d+", re.A)
_MOST_NAME_BYTES = 1024
#: Categories of Unicode that a table's name may have: letters, marks, numbers, connectors, dashes
#: and spaces.
_TABLE_CATEGORIES = ("L", "M", "N", "Pc", "Pd", "Zs")
#: Type of a partitioning by time → the form of its partitions' names, and an example.
_TIMES = {
    "HOUR": ("%Y%m%d%H", "2026112403"),
    "DAY": ("%Y%m%d", "20261124"),
    "MONTH": ("%Y%m", "202611"),
    "YEAR": ("%Y", "2026"),
}


@dataclass(frozen=True)
class Target:
    """A table, or one partition of it.

    Attributes:
        project: empty for the default one.
        partition: its name, as behind the ``$``; empty for the whole table.
    """

    project: str
    dataset: str
    table: str
    partition: str = ""

    def __str__(self) -> str:
        name = f"{self.dataset}.{self.table}"
        if self.project:
            name = f"{self.project}.{name}"
        return f"{name}${self.partition}" if self.partition else name

    @property
    def uri(self) -> str:
        """As hy.output takes it."""
        return SCHEME + str(self)

    def within(self, project: str) -> Target:
        """The same with its project, which is this one where none is named."""
        return Target(self.project or project, self.dataset, self.table, self.partition)

    @property
    def path(self) -> dict[str, str]:
        """The table as the REST API names it."""
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}

    @property
    def destination(self) -> dict[str, str]:
        """What a job writes to: the table, or the partition of it."""
        decorator = f"${self.partition}" if self.partition else ""
        return {**self.path, "tableId": self.table + decorator}


def parse_target(path: str) -> Target:
    """The table of ``hy.output(…, "bigquery://project.dataset.table")``.

    A day may be written with dashes, as ``{day}`` of a parameter fills it in.

    Raises:
        UsageError: it is no such name; says which part is wrong.
    """
    if not isinstance(path, str) or not path.startswith(SCHEME):
        raise UsageError(f"{path!r} is no table of BigQuery", fix=_FORM)
    return parse_table(path[len(SCHEME) :])


def parse_table(text: str) -> Target:
    """The same without the scheme.

    Raises:
        UsageError: see parse_target.
    """
    where = Where(object=SCHEME + text)
    if "`" in text:
        raise UsageError(
            "the table's name has a backtick, which belongs to SQL only",
            where,
            f"Write it without: {SCHEME}{text.replace('`', '')}.",
        )
    if "/" in text:
        raise UsageError("the parts of a table's name are separated by points", where, _FORM)
    name, dollar, decorator = text.partition("$")
    scope, colon, rest = name.partition(":")
    if colon and "." not in scope:
        raise UsageError(
            "a colon behind the project is legacy SQL's form",
            where,
            f"Write {SCHEME}{name.replace(':', '.', 1)}{dollar}{decorator}.",
        )
    parts = (rest if colon else name).split(".")
    if len(parts) not in ((3,) if colon else (2, 3)) or not all(parts):
        raise UsageError(
            f"a table's name has the parts project, dataset and table, and this is {name!r}",
            where,
            _FORM,
        )
    dataset, table = parts[-2:]
    project = "" if len(parts) == 2 else f"{scope}{colon}{parts[0]}" if colon else parts[0]
    if project and not _PROJECT.fullmatch(project):
        raise UsageError(
            f"{project!r} is no name of a project",
            where,
            "Use the project's ID (small letters, digits and dashes), not its title or number.",
        )
    if not _DATASET.fullmatch(dataset) or len(dataset) > _MOST_NAME_BYTES:
        raise UsageError(
            f"{dataset!r} is no name of a dataset", where, "It has letters, digits and _ only."
        )
    if dataset.upper() == "INFORMATION_SCHEMA":
        raise UsageError("INFORMATION_SCHEMA cannot be written to", where, "Name a dataset.")
    _check_table(table, where)
    partition = _partition(decorator, where) if dollar else ""
    return Target(project, dataset, table, partition)


def _check_table(table: str, where: Where) -> None:
    if "*" in table:
        raise UsageError(
            f"{table!r} stands for many tables, and one is written", where, "Name the table."
        )
    for character in table:
        if not unicodedata.category(character).startswith(_TABLE_CATEGORIES):
            raise UsageError(
                f"the table's name {table!r} has the character {character!r}",
                where,
                "It has letters, digits, _, - and spaces only.",
            )
    if len(table.encode()) > _MOST_NAME_BYTES:
        raise UsageError("the table's name is too long", where, "Use a shorter one.")


def _partition(decorator: str, where: Where) -> str:
    if day := _ISO_DAY.fullmatch(decorator):
        decorator = "".join(day.groups())
    if decorator in ("__NULL__", "__UNPARTITIONED__"):
        raise UsageError(
            f"BigQuery has no way to write into the partition {decorator} alone",
            where,
            "Append to the whole table: its rows go where they belong.",
        )
    if not _INTEGER.fullmatch(decorator):
        raise UsageError(
            f"{decorator!r} is no name of a partition",
            where,
            "Write $20261124 for a day, $2026112403 for an hour, $202611 for a month, $2026 for a "
            "year, or $40 for the range of integers that begins there.",
        )
    return decorator


def check_partition(target: Target, resource: Mapping[str, Any] | None) -> None:
    """Refuses a partition that the table cannot have.

    Args:
        target: has a partition.
        resource: the table's; None if there is no such table.

    Raises:
        UsageError: says what the table has instead.
    """
    where = Where(object=target.uri)
    if resource is None:
        raise UsageError(
            "one partition of a table can be written only where the table is there",
            where,
            f"Make it once: CREATE TABLE `{target.path['projectId']}.{target.dataset}."
            f"{target.table}` (…) PARTITION BY …",
        )
    if by_range := resource.get("rangePartitioning"):
        _check_range(target.partition, by_range.get("range") or {}, where)
        return
    by_time = resource.get("timePartitioning")
    if not by_time:
        raise UsageError(
            "the table is not partitioned",
            where,
            f"Leave out ${target.partition} to write the whole table, or make the table with "
            "PARTITION BY.",
        )
    kind = str(by_time.get("type") or "DAY")
    form, example = _TIMES.get(kind, _TIMES["DAY"])
    if not _is_time(target.partition, form, len(example)):
        raise UsageError(
            f"the table is partitioned by {kind.lower()}, and ${target.partition} is none",
            where,
            f"Write it as ${example}.",
        )


def _is_time(text: str, form: str, length: int) -> bool:
    if len(text) != length:
        return False
    try:
        dt.datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _check_range(partition: str, limits: Mapping[str, Any], where: Where) -> None:
    start, end = int(limits.get("start") or 0), int(limits.get("end") or 0)
    interval = int(limits.get("interval") or 1)
    value = int(partition)
    if not start <= value < end or (value - start) % interval:
        raise UsageError(
            f"the table's partitions begin at {start}, {start + interval}, … up to {end}, and "
            f"${partition} is none of these",
            where,
            "Give the integer at which the partition begins.",
        )
