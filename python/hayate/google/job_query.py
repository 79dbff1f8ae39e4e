"""hy.bigquery in a job: what the planner says of a query, and the worker that runs it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hayate.digest import digest_text
from hayate.errors import InputError, UsageError, Where
from hayate.google import sql as googlesql
from hayate.google.engine import Progress
from hayate.google.export import new_run_id
from hayate.google.fetch import Fetch, Request, Speaker
from hayate.google.service_task import Heartbeat, Send, cores_of, ended_by_signals, store_of
from hayate.google.statement import folder_uri
from hayate.parameters import Param, name_of
from hayate.paths import fill
from hayate.resolve import suggestion
from hayate.sources import Query

#: Longer values of parameters stand in the key as a digest.
_MOST_SHOWN = 60

Params = Mapping[str, Any] | Sequence[Any]


def describe(query: Query, given: Mapping[str, Any]) -> dict[str, Any]:
    """The members `query`, `key` and `rerun` of a source in the job description
    (docs/formats/job.md). Asks BigQuery, by a dry run: nothing is billed.

    Args:
        query: as declared.
        given: parameter of the job → value.

    Raises:
        UsageError: BigQuery refuses the query, or a parameter of the SQL has no value.
        InputError: it does not answer.
    """
    values = _values(query, given)
    export = query.options["export"]
    if export is not None:
        export = fill(export, given, query.location)
    options = {**query.options, "export": export}
    request = _request(query.sql, values, options, store="", threads=1)
    # A dry run leaves nothing, and what is noted of it is said by the run.
    examined = Fetch(request, Speaker(is_quiet=True), _nobody).examine()
    told = {"sql": query.sql, "parameters": examined.parameters, "options": options}
    key = {
        "format of the export": options["format"],
        **_shown(examined.key.parts, examined.parameters),
    }
    if examined.key.is_reusable:
        return {"query": told, "key": key}
    # Another one each time, so that nothing is found under it.
    return {
        "query": told,
        "key": {**key, "run": new_run_id()},
        "rerun": f"it runs each time: {'; '.join(examined.key.reasons)}",
    }


def _nobody() -> contextlib.AbstractContextManager[Progress]:
    """Is told how far it is, and does not listen."""
    return contextlib.nullcontext(lambda *_: None)


def _values(query: Query, given: Mapping[str, Any]) -> Params:
    """The parameters of the SQL: those of ``params=``, and of the job by the same name."""

    def value(one: Any) -> Any:
        return given[name_of(one)] if isinstance(one, Param) else one

    if not isinstance(query.params, Mapping):
        return [value(one) for one in query.params]
    values = {name: value(one) for name, one in query.params.items()}
    names, _ = googlesql.parameters(googlesql.check_query(query.sql))
    have = {name.lower() for name in values}
    of_job = {name.lower(): name for name in given}
    for name in sorted(names - have):
        if name not in of_job:
            raise UsageError(
                f"the SQL has @{name}, which is neither in params= nor a parameter of the job",
                query.location.where(),
                suggestion(name, given, "Its parameters are"),
            )
        values[name] = given[of_job[name]]
    return values


def _request(
    sql: str, params: Params, options: Mapping[str, Any], *, store: str, threads: int
) -> Request:
    export = options["export"]
    return Request(
        sql=sql,
        export=None if export is None else folder_uri(export),
        params=params,
        project=options["project"],
        location=options["location"],
        columns=options["columns"],
        max_bytes_billed=options["max_bytes_billed"],
        labels=options["labels"],
        format=options["format"],
        keep_export=options["keep_export"],
        store=store,
        priority=options["priority"],
        threads=threads,
    )


def _shown(parts: Mapping[str, str], parameters: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The key as a plan can tell of it: values of parameters by name, the rest by digest."""
    shown = {name: digest_text(text) for name, text in parts.items() if name != "parameters"}
    for place, parameter in enumerate(parameters, start=1):
        name = parameter.get("name", place)
        value = parameter["parameterValue"].get("value")
        is_short = isinstance(value, str) and len(value) <= _MOST_SHOWN
        text = json.dumps([parameter["parameterType"], parameter["parameterValue"]], sort_keys=True)
        shown[f"parameter {name}"] = value if is_short else digest_text(text)
        shown[f"type of parameter {name}"] = digest_text(json.dumps(parameter["parameterType"]))
    return shown


@dataclass(frozen=True)
class _Encoded:
    """A parameter as the REST API takes it, made when the job was planned."""

    resource: dict[str, Any]

    def to_api_repr(self) -> dict[str, Any]:
        """As the official client's parameters have it."""
        return self.resource


def run(task: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """Runs a task of kind ``query`` (docs/formats/protocol.md): leaves the rows as parts in its
    folder.

    Args:
        task: the message.
        send: takes `progress` messages.

    Returns:
        The result of the `done` message.

    Raises:
        HayateError: BigQuery or the bucket fails, or what has come is not what was exported.
    """
    told = task["query"]
    encoded = [(one.get("name"), _Encoded(one)) for one in told["parameters"]]
    by_place = any(name is None for name, _ in encoded)
    params: Params = [one for _, one in encoded] if by_place else dict(encoded)
    directory = task["dir"]
    request = _request(
        told["sql"], params, told["options"], store=store_of(directory), threads=cores_of(task)
    )
    with ended_by_signals(), Heartbeat(task["id"], send) as heartbeat:
        fetch = Fetch(request, Speaker(), lambda: contextlib.nullcontext(heartbeat.show))
        summary = fetch.into(directory)
    if summary.rows == 0 and not task.get("allow_empty"):
        raise InputError(
            "the query has no rows",
            Where(object="the SQL"),
            "Check the SQL and its parameters, or say allow_empty=True if that can be.",
        )
    # A part for each object; how many streams there were is of no matter.
    parts = -1 if request.export is None else max(1, summary.objects)
    return {
        "parts": parts,
        "note": str(summary),
        "summary": {
            "rows": summary.rows,
            "bytes_billed": summary.bytes_billed,
            "objects": summary.objects,
            "object_bytes": summary.object_bytes,
            "bytes_across_regions": summary.bytes_across_regions,
            "retries": summary.retries,
        },
    }
