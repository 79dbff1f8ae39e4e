"""A job file → its description for the supervisor (docs/formats/job.md)."""

from __future__ import annotations

import ast
import contextlib
import datetime as dt
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from hayate import values
from hayate.code_key import CodeKeys
from hayate.errors import HayateError, UsageError
from hayate.job import Job
from hayate.loading import is_installed, project_modules
from hayate.location import Location
from hayate.parameters import Param, name_of, type_of
from hayate.paths import absolute, fill
from hayate.sources import Query, Source
from hayate.stages import Constant, Output, Stage, StageOutput
from hayate.syntax import imports

_MODULES_OF_AS = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}


def describe(
    job: Job, as_of: dt.datetime | None = None, working_directory: str | None = None
) -> dict[str, Any]:
    """Everything that the supervisor knows of the job.

    Args:
        job: as `hayate.job.load_job` gives it, with the texts of the parameters.
        as_of: the instant of the run, which hy.today() means.
        working_directory: where the command was started, for parameters that are paths.

    Raises:
        UsageError: a parameter is missing or unreadable, a path cannot be filled in, the code of a
            stage reads what it must not.
    """
    given = job.values(as_of, working_directory)
    keys = CodeKeys(job.module.__name__)
    nodes = [
        _source(node, given, job.directory)
        if isinstance(node, Source)
        else _stage(node, given, keys)
        for node in job.graph.nodes
    ]
    return {
        "job": job.path,
        "name": os.path.splitext(os.path.basename(job.path))[0],
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "params": [
            {"name": name, **_parameter(one, given[name])} for name, one in job.params.items()
        ],
        "preload": _preload(job, keys),
        "nodes": nodes,
        "outputs": _outputs(job, given),
        "sources": keys.sources(),
    }


def parse_as_of(text: Any) -> dt.datetime | None:
    """The instant of a run: ISO 8601 text (without a zone: UTC), seconds of the epoch, or None.

    Raises:
        UsageError: it is none of these.
    """
    if text is None or text == "":
        return None
    try:
        if isinstance(text, (int, float)) and not isinstance(text, bool):
            return dt.datetime.fromtimestamp(text, dt.UTC)
        instant = dt.datetime.fromisoformat(str(text))
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f'"{text}" is not an instant', fix="Write it as 2026-11-24T00:00:00Z."
        ) from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=dt.UTC)


def _source(node: Source, given: dict[str, Any], directory: str) -> dict[str, Any]:
    if isinstance(node, Query):
        return _query(node, given)
    filled = [fill(path, given, node.location) for path in node.paths]
    return {
        "kind": "source",
        "name": node.name,
        "format": node.format,
        "paths": [absolute(path, directory, is_pattern=True) for path in filled],
        "options": node.options,
        "allow_empty": node.allow_empty,
        "min_rows": node.min_rows,
        "line": node.location.line,
    }


def _query(node: Query, given: dict[str, Any]) -> dict[str, Any]:
    from hayate.google import job_query

    with _about(node.location, node.name):
        described = job_query.describe(node, given)
    return {
        "kind": "source",
        "name": node.name,
        "format": node.format,
        **described,
        "allow_empty": node.allow_empty,
        "min_rows": node.min_rows,
        "line": node.location.line,
    }


def _stage(node: Stage[..., Any], given: dict[str, Any], keys: CodeKeys) -> dict[str, Any]:
    one_core = node.cores == 1 or (node.cores == 0 and node.mode != "once")
    return {
        "kind": "stage",
        "name": node.name,
        "mode": node.mode,
        "by": list(node.by),
        "rows": node.rows,
        "split": list(node.split),
        "cores": node.cores,
        **({} if node.timeout is None else {"timeout": node.timeout}),
        "line": node.location.line,
        "start": "fork" if one_core else "exec",
        "inputs": [_input(node, parameter, given, keys) for parameter in node.parameters],
        "outputs": list(node.outputs),
        "code": keys.of(node),
    }


def _input(
    node: Stage[..., Any], parameter: str, given: dict[str, Any], keys: CodeKeys
) -> dict[str, Any]:
    bound = node.inputs[parameter]
    if isinstance(bound, Param):
        return {"param": parameter, "value": _parameter(bound, given[name_of(bound)])}
    if isinstance(bound, Constant):
        return {"param": parameter, "value": _constant(node, parameter, bound.value, keys)}
    as_ = node.as_.get(parameter)
    # To say that it is pandas changes nothing, so it must not change the key either.
    return {"param": parameter, **_reference(bound), "as": None if as_ == "pandas" else as_}


def _parameter(parameter: Param, value: Any) -> dict[str, Any]:
    return {"type": type_of(parameter), "value": values.to_json(value)}


def _constant(node: Stage[..., Any], parameter: str, value: Any, keys: CodeKeys) -> dict[str, Any]:
    """A simple value as it is; of any other its digest: the worker has it from the job file."""
    name = values.type_name(type(value))
    if name in ("str", "int", "float", "bool", "date", "datetime") and values.accepts(
        type(value), name, value
    ):
        return {"type": name, "value": values.to_json(value)}
    digest = keys.constant(value, f'inputs["{parameter}"]', node.location.where())
    return {"type": "constant", "value": digest}


def _reference(bound: Source | StageOutput) -> dict[str, Any]:
    if isinstance(bound, Source):
        return {"node": bound.name, "output": 0}
    return {"node": bound.stage.name, "output": bound.index}


def _outputs(job: Job, given: dict[str, Any]) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = []
    lines: dict[str, str] = {}
    for declared, bound in job.graph.outputs:
        filled = fill(declared.path, given, declared.location)
        table: dict[str, Any] = {}
        if declared.load is None:
            path = absolute(filled, job.directory, is_pattern=False)
        else:
            path, table = _table(declared, declared.load, filled, given)
        if path in lines:
            raise UsageError(
                f'two outputs are written to "{path}"; the other is at {lines[path]}',
                declared.location.where(),
                "Give each a path of its own.",
            )
        lines[path] = str(declared.location)
        described.append(
            {**_reference(bound), "path": path, **table, "line": declared.location.line}
        )
    return described


def _table(
    declared: Output, options: Mapping[str, Any], path: str, given: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The URI of a table, and what else the description says of it."""
    from hayate.google import load

    staging = fill(options["staging"], given, declared.location)
    with _about(declared.location, "the output"):
        target = load.parse_target(path)
        what = load.Load(**{**options, "table": str(target), "staging": staging})
        state = load.table_state(what)
    return target.uri, {"load": what.to_json(), **({} if state is None else {"state": state})}


@contextlib.contextmanager
def _about(location: Location, name: str) -> Iterator[None]:
    """Errors of a service's part of the job get the place in the job file that leads to them."""
    try:
        yield
    except HayateError as error:
        said = f"{error.where}: {error.what}" if error.where.object else error.what
        raise type(error)(f"{name}: {said}", location.where(), error.fix) from None


def _preload(job: Job, keys: CodeKeys) -> list[str]:
    """Installed modules that the job's own modules import; no code of the user is among them."""
    wanted: set[str] = set()
    for made in job.stages.values():
        for parameter, bound in made.inputs.items():
            if not isinstance(bound, (Param, Constant)):
                wanted.add(_MODULES_OF_AS.get(made.as_.get(parameter) or "pandas", "pyarrow"))
    for module in list(project_modules()):
        source = keys.module_of_file(str(module.__file__ or ""))
        for node in imports(source.tree) if source is not None else ():
            if isinstance(node, ast.ImportFrom):
                base = node.module or "" if node.level == 0 else ""
                wanted |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
            else:
                wanted |= {alias.name for alias in node.names}
    return sorted(name for name in wanted if _is_loaded_library(name))


def _is_loaded_library(name: str) -> bool:
    top = sys.modules.get(name.partition(".")[0])
    if name not in sys.modules or top is None or top.__name__ == "hayate":
        return name in _MODULES_OF_AS.values()
    places = [getattr(top, "__file__", None) or "", *getattr(top, "__path__", [])]
    return any(is_installed(place) for place in places)
