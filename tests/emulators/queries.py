"""What can be said of a query before it runs: what it reads, how much, where; what comes out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from emulators.bqemulator import Bqemulator
from emulators.catalog import Catalog, statement_of
from emulators.exported_files import Field
from emulators.exports import Exporter, Results
from emulators.jobs import JobError, canonical_location
from emulators.settings import Settings
from emulators.sql import Statement, TableName

READS = ("SELECT", "UNION", "EXCEPT", "INTERSECT", "SUBQUERY")


@dataclass
class Queries:
    """Analyses queries; `query` is always ``configuration.query`` of a job."""

    emulator: Bqemulator
    catalog: Catalog
    results: Results
    exporter: Exporter
    settings: Settings

    def statement(self, query: dict[str, Any]) -> Statement | None:
        """The statement; None where the parser does not take it, and it is bqemulator's to say."""
        return statement_of(self.emulator, query["query"])

    def references(
        self, statement: Statement | None, query: dict[str, Any]
    ) -> tuple[list[TableName], list[TableName]]:
        """The base tables and the views that a query reads.

        Raises:
            JobError: one of them is not there.
        """
        if statement is None:
            return [], []
        return self.catalog.references(statement, default_dataset(query))

    def bytes_of(self, names: list[TableName]) -> int:
        if self.settings.bytes_processed is not None:
            return self.settings.bytes_processed
        return self.catalog.bytes_of(names)

    def location_of(self, configuration: dict[str, Any], project: str) -> str:
        """Where a job runs that does not say it: where its data is."""
        try:
            if "query" in configuration:
                query = configuration["query"]
                statement = self.statement(query)
                names, _ = self.references(statement, query)
                if not names and statement is not None:
                    target = statement.target_name(project, default_dataset(query))
                    names = [target] if target is not None else []
                return self._location(names)
            section = next(iter(configuration.values()))
            reference = section.get("destinationTable") or section.get("sourceTable") or {}
            name = TableName.of(reference, project)
            return self._location([] if name.dataset.startswith("_") else [name])
        except JobError:
            return self.settings.location  # The job itself will say what is wrong.

    def dry_run(
        self, configuration: dict[str, Any], reference: dict[str, Any], project: str
    ) -> dict[str, Any]:
        """The job that a dry run is answered with.

        Raises:
            JobError: the query is wrong.
        """
        query = configuration["query"]
        statement = self.statement(query)
        names, views = self.references(statement, query)
        kind = "SELECT"
        fields: list[Field] = []
        if statement is not None and statement.kind == "EXPORT_DATA":
            kind = "EXPORT_DATA"
            files, _ = self.exporter.check(statement)
            inner = self.results.fields(statement.query, statement, names, options_of(query))
            self.exporter.check_schema(inner, files)
        elif statement is None or statement.kind in READS:
            fields = self.results.fields(query["query"], statement, names, options_of(query))
        else:
            kind = statement.kind
        size = str(self.bytes_of(names))
        referenced = self.named(names, views)
        statistics: dict[str, Any] = {
            "statementType": kind,
            "totalBytesProcessed": size,
            "totalBytesBilled": "0",
            "totalBytesProcessedAccuracy": "PRECISE",
            "cacheHit": False,
            "schema": {"fields": fields},
        }
        if referenced:
            statistics["referencedTables"] = [name.reference() for name in referenced]
        location = reference.get("location") or self._location(names)
        return {
            "kind": "bigquery#job",
            "jobReference": {"projectId": project, "location": canonical_location(location)},
            "configuration": {"jobType": "QUERY", **configuration},
            "status": {"state": "DONE"},
            "statistics": {
                "creationTime": str(int(time.time() * 1000)),
                "totalBytesProcessed": size,
                "query": statistics,
            },
        }

    def named(self, names: list[TableName], views: list[TableName]) -> list[TableName]:
        """What the service says that a query reads."""
        return [*views, *names] if self.settings.views_are_referenced else names

    def _location(self, names: list[TableName]) -> str:
        if not names:
            return self.settings.location
        return self.catalog.dataset_location(names[0].project, names[0].dataset)


def options_of(query: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a query, as they are passed on."""
    members = ("queryParameters", "parameterMode", "defaultDataset")
    return {name: query[name] for name in members if name in query}


def default_dataset(query: dict[str, Any]) -> str:
    return str((query.get("defaultDataset") or {}).get("datasetId") or "")
