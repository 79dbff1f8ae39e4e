"""``python -m hayate.doctor.declared``: what a job file declares, without asking any service.

A process of its own, as the planner is: the job file may print, hang or end it. The answer is one
JSON object on the descriptor that HAYATE_FD names; errors are those of hayate.errors.to_json.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from hayate.errors import HayateError, to_json
from hayate.google.sql import table_paths
from hayate.job import Job, load_job
from hayate.paths import absolute, fill
from hayate.protocol import FD_VARIABLE
from hayate.sources import Source

_TABLE_SCHEME = "bigquery://"


def declared(path: str, given: dict[str, str]) -> dict[str, Any]:
    """What a job file declares.

    Args:
        path: of the file.
        given: parameter → text.

    Returns:
        `sources`: name, patterns and allow_empty of those that are files; `queries`: options and
        datasets of those of BigQuery; `outputs`: paths; `tables`: datasets of outputs; `staging`:
        folders for them; `stages`: how many.

    Raises:
        HayateError: the job is wrong.
    """
    job = load_job(path, given)
    values = job.values()
    found: dict[str, Any] = {
        "job": job.path,
        "stages": len(job.stages),
        "sources": [],
        "queries": [],
        "outputs": [],
        "tables": [],
        "staging": [],
    }
    for node in job.graph.nodes:
        sql = getattr(node, "sql", None)
        if isinstance(sql, str):
            found["queries"].append(_query(sql, node, values))
        elif isinstance(node, Source):
            filled = [fill(one, values, node.location) for one in node.paths]
            found["sources"].append(
                {
                    "name": node.name,
                    "patterns": [absolute(one, job.directory, is_pattern=True) for one in filled],
                    "allow_empty": node.allow_empty,
                }
            )
    _add_outputs(found, job, values)
    return found


def _query(sql: str, node: Any, values: dict[str, Any]) -> dict[str, Any]:
    export = node.options.get("export")
    project = node.options.get("project") or ""
    return {
        "export": fill(export, values, node.location) if export else "",
        "project": project,
        "location": node.options.get("location") or "",
        "datasets": [name for one in _paths(sql) if (name := _dataset(one, project))],
    }


def _paths(sql: str) -> list[str]:
    try:
        return table_paths(sql)
    except HayateError:
        return []  # the run says what is wrong with the SQL


def _dataset(path: str, project: str) -> str:
    """project.dataset of a table's path; empty where that cannot be told."""
    parts = path.rsplit(".", 2)
    if len(parts) == 3:
        # A view of metadata that lies in a dataset or in a region is no table of one.
        return "" if "INFORMATION_SCHEMA" in path.upper() else f"{parts[0]}.{parts[1]}"
    return f"{project}.{parts[0]}" if len(parts) == 2 and project else ""


def _add_outputs(found: dict[str, Any], job: Job, values: dict[str, Any]) -> None:
    for output, _ in job.graph.outputs:
        path = fill(output.path, values, output.location)
        if path.startswith(_TABLE_SCHEME):
            if name := _dataset(path.removeprefix(_TABLE_SCHEME), ""):
                found["tables"].append(name)
            # What the load job reads goes there first.
            staging = (output.load or {})["staging"]
            found["staging"].append(fill(staging, values, output.location))
        elif "://" not in path:
            found["outputs"].append(absolute(path, job.directory, is_pattern=False))


def main(arguments: list[str]) -> int:
    """Answers on the descriptor of HAYATE_FD. Arguments: the job file, then name=value."""
    descriptor = int(os.environ.pop(FD_VARIABLE))
    os.set_inheritable(descriptor, False)
    given = dict(one.split("=", 1) for one in arguments[1:])
    try:
        answer: dict[str, Any] = {"declared": declared(arguments[0], given)}
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The job file may raise anything, SystemExit included.
        answer = {"error": to_json(error)}
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(answer, file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
