"""Names of a job: what each stage reads, whether it can be split, that there is no cycle."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hayate import parameters
from hayate.errors import UsageError
from hayate.location import Location
from hayate.parameters import Param
from hayate.registry import Registry
from hayate.sources import Source
from hayate.stages import Constant, Output, Stage, StageOutput


@dataclass
class Graph:
    """Everything that a job declares; names are unique over all of it.

    Attributes:
        nodes: sources and stages in the order of the file.
        outputs: each declared output with what it writes.
    """

    params: dict[str, Param] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    stages: dict[str, Stage[..., Any]] = field(default_factory=dict)
    nodes: list[Source | Stage[..., Any]] = field(default_factory=list)
    outputs: list[tuple[Output, Source | StageOutput]] = field(default_factory=list)


def resolve(registry: Registry) -> Graph:
    """Names the declarations of a job file and binds each stage's parameters to what they read.

    Raises:
        UsageError: a cycle, an unknown or duplicate name, a stage that cannot be split.
    """
    graph = Graph()
    _name_declarations(graph, registry)
    producers = _producers(graph)
    for made in graph.stages.values():
        _resolve_inputs(graph, made, producers)
        _resolve_split(made)
    _check_cycles(graph)
    for declared in registry.of(Output):
        graph.outputs.append((declared, _resolve_output(graph, declared, producers)))
    _check_paths_differ(graph)
    return graph


def _check_paths_differ(graph: Graph) -> None:
    written: dict[str, Location] = {}
    for declared, _ in graph.outputs:
        if declared.path in written:
            raise UsageError(
                f'two outputs are written to "{declared.path}"; the other is at '
                f"{written[declared.path]}",
                declared.location.where(),
                "Give each a path of its own.",
            )
        written[declared.path] = declared.location


def _name_declarations(graph: Graph, registry: Registry) -> None:
    taken: dict[str, Location] = {}

    def take(kind: str, name: str, location: Location) -> None:
        if name in taken:
            raise UsageError(
                f'{kind} "{name}" has the name of another, at {taken[name]}',
                location.where(),
                "Give each parameter, source, stage and output a name of its own.",
            )
        taken[name] = location

    for one in registry.of(Param):
        location = parameters.location_of(one)
        name = parameters.bind_name(one)
        if not name:
            raise UsageError(
                "a parameter is not bound to a variable of the module",
                location.where(),
                "Write day = hy.param(…) at the top level, and use that name once.",
            )
        take("parameter", name, location)
        graph.params[name] = one
    for node in registry:
        if isinstance(node, Source):
            node.name = node.name or _variable_of(node)
            take("source", node.name, node.location)
            graph.sources[node.name] = node
            graph.nodes.append(node)
        elif isinstance(node, Stage):
            take("stage", node.name, node.location)
            graph.stages[node.name] = node
            graph.nodes.append(node)


def _variable_of(source: Source) -> str:
    for name, value in source.location.namespace.items():
        if value is source:
            return name
    raise UsageError(
        f"{source!r} is not bound to a variable of the module",
        source.location.where(),
        "Bind it to a variable at the top level, used once, or give it a name: name=….",
    )


def _producers(graph: Graph) -> dict[str, Source | StageOutput]:
    """What a name means. Outputs of several stages may share one (folds made in a loop); then it
    means none of them."""
    found: dict[str, Source | StageOutput] = {**graph.sources}
    shared: set[str] = set()
    for made in graph.stages.values():
        for index, name in enumerate(made.outputs):
            stage_has_it = name in graph.stages and name != made.name
            if name in graph.sources or name in graph.params or stage_has_it:
                raise UsageError(
                    f'output "{name}" of stage {made.name} has the name of something else',
                    made.location.where(),
                    "Give each parameter, source, stage and output a name of its own.",
                )
            if name in found:
                shared.add(name)
            found[name] = StageOutput(made, index)
    return {name: one for name, one in found.items() if name not in shared}


def _resolve_inputs(
    graph: Graph, made: Stage[..., Any], producers: dict[str, Source | StageOutput]
) -> None:
    signature = inspect.signature(made.function).parameters
    resolved: list[str] = []
    for name in made.parameters:
        if name not in made.inputs:
            found = _by_name(graph, made, name, producers)
            if found is None:
                if signature[name].default is not inspect.Parameter.empty:
                    continue
                known = {**producers, **graph.params}
                raise UsageError(
                    f'stage {made.name} reads "{name}", which is no source, stage or parameter '
                    "of the job",
                    made.location.where(),
                    suggestion(name, [one for one in known if one != made.name], "There are"),
                )
            made.inputs[name] = found
        _check_belongs(graph, made, name)
        resolved.append(name)
    made.parameters = tuple(resolved)
    made.inputs = {name: made.inputs[name] for name in resolved}


def _by_name(
    graph: Graph, made: Stage[..., Any], name: str, producers: dict[str, Source | StageOutput]
) -> Source | StageOutput | Param | None:
    if name in producers:
        return producers[name]
    if name in graph.params:
        return graph.params[name]
    if name in graph.stages:
        several = graph.stages[name]
        raise UsageError(
            f"stage {made.name} reads {name}, which has {len(several.outputs)} outputs",
            made.location.where(),
            f"Read one of them: {', '.join(several.outputs)}.",
        )
    sharing = [one.name for one in graph.stages.values() if name in one.outputs]
    if sharing:
        raise UsageError(
            f'stage {made.name} reads "{name}", an output of {", ".join(sharing)}',
            made.location.where(),
            f'Say which: hy.stage(…, inputs={{"{name}": {sharing[0]}["{name}"]}}).',
        )
    # An alias: the variable of the module that declares the stage, under another name.
    alias = made.location.namespace.get(name)
    if isinstance(alias, Stage) and len(alias.outputs) == 1:
        return StageOutput(alias, 0)
    return alias if isinstance(alias, (Source, StageOutput, Param)) else None


def _check_belongs(graph: Graph, made: Stage[..., Any], name: str) -> None:
    """A node made by another job file, or before the import, is not in this job."""
    bound = made.inputs[name]
    inside = (
        any(bound is one for one in graph.params.values())
        if isinstance(bound, Param)
        else any(bound is one for one in graph.nodes)
        if isinstance(bound, Source)
        else any(bound.stage is one for one in graph.nodes)
        if isinstance(bound, StageOutput)
        else True
    )
    if not inside:
        raise UsageError(
            f'stage {made.name} reads "{name}" from outside of the job',
            made.location.where(),
            "Declare it in the job file or in a module that the job file imports.",
        )


def _resolve_split(made: Stage[..., Any]) -> None:
    if made.mode == "once":
        return
    data = [
        name for name in made.parameters if not isinstance(made.inputs[name], (Param, Constant))
    ]
    label = {"partition": "partition_by", "group": "group_by", "rows": "rows"}[made.mode]
    if not data:
        raise UsageError(
            f"stage {made.name} has {label}= but reads no source and no stage",
            made.location.where(),
            f"Give it a parameter with rows to split, or leave {label}= out.",
        )
    wrong = [name for name in made.split if name not in data]
    if wrong:
        raise UsageError(
            f'split= of stage {made.name} names "{wrong[0]}", which has no rows',
            made.location.where(),
            f"It can be of {', '.join(data)}.",
        )
    made.split = made.split or (data[0],)
    handles = [name for name in made.split if made.as_.get(name) == "frame"]
    if handles and made.mode == "group":
        raise UsageError(
            f'stage {made.name} takes "{handles[0]}" as a frame, which cannot be grouped',
            made.location.where(),
            'Use as_="pandas", "polars" or "arrow", or partition_by=.',
        )


def _check_cycles(graph: Graph) -> None:
    finished: set[str] = set()

    def visit(made: Stage[..., Any], path: list[str]) -> None:
        if made.name in finished:
            return
        if made.name in path:
            loop = [*path[path.index(made.name) :], made.name]
            raise UsageError(
                f"stages read each other in a cycle: {' reads '.join(loop)}",
                made.location.where(),
                "Let one of them read something else.",
            )
        for bound in made.inputs.values():
            if isinstance(bound, StageOutput):
                visit(bound.stage, [*path, made.name])
        finished.add(made.name)

    for made in graph.stages.values():
        visit(made, [])


def _resolve_output(
    graph: Graph, declared: Output, producers: dict[str, Source | StageOutput]
) -> Source | StageOutput:
    target = declared.target
    if isinstance(target, str):
        if target in graph.stages and target not in producers:
            several = graph.stages[target].outputs
            raise UsageError(
                f"stage {target} has {len(several)} outputs",
                declared.location.where(),
                f"Say which: {', '.join(several)}.",
            )
        if target not in producers:
            raise UsageError(
                f'hy.output names "{target}", which is no source, stage or output of one',
                declared.location.where(),
                suggestion(target, producers, "There are"),
            )
        return producers[target]
    node = target.stage if isinstance(target, StageOutput) else target
    if not any(node is one for one in graph.nodes):
        raise UsageError(
            f"hy.output was given {node!r} from outside of the job",
            declared.location.where(),
            "Declare it in the job file or in a module that the job file imports.",
        )
    return target


def suggestion(name: str, known: Iterable[str], lead: str) -> str:
    """ "Did you mean …?" if one of `known` is close, else a list of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"{lead} {', '.join(names)}." if names else "The job declares none."


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
