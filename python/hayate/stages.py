"""Stages of a job: functions, what they read, how their input is split."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar

from hayate import values
from hayate.errors import UsageError
from hayate.location import Location, caller
from hayate.parameters import Param, value_from_json
from hayate.sources import Source

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class StageOutput:
    """One output of a stage, as ``split["train"]``."""

    stage: Stage[..., Any]
    index: int

    @property
    def name(self) -> str:
        return self.stage.outputs[self.index]


@dataclass(frozen=True)
class Constant:
    """A plain value given by ``inputs={"k": 3}``."""

    value: Any


@dataclass(frozen=True)
class Output:
    """A file or a table that a job writes.

    Attributes:
        target: what it is made of, or its name.
        path: of the file, or the table's URI; parameters are not filled in yet.
        load: of a table: staging, write, project, location, labels; None for a file.
    """

    target: Source | StageOutput | str
    path: str
    location: Location
    load: Mapping[str, Any] | None = None


Input = Source | StageOutput | Param | Constant


@dataclass(eq=False)
class Stage(Generic[P, R]):
    """A function that makes a frame or a value from what its parameters name.

    Calling it calls the plain function, so that it can be tested and used anywhere.

    Attributes:
        name: unique in the job.
        function: the plain function.
        parameters: names of the arguments that are read, in the order of the signature.
        outputs: names of what it makes; (name,) for a single one.
        mode: "once", "partition", "group" or "rows".
        by: columns of partition_by or group_by.
        rows: rows per slice in mode "rows", else 0.
        split: the parameters that are split; set when the job is resolved.
        as_: parameter → "pandas", "polars", "arrow", "frame" or None.
        cores: cores of one call; 0: one for a split stage, all for "once".
        timeout: seconds that one call may take; None: no bound while it does something.
        inputs: parameter → what it reads; all of `parameters` once the job is resolved.
    """

    name: str
    function: Callable[P, R]
    location: Location
    mode: str = "once"
    by: tuple[str, ...] = ()
    rows: int = 0
    split: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    as_: dict[str, str | None] = field(default_factory=dict)
    cores: int = 0
    timeout: float | None = None
    inputs: dict[str, Input] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Not the attributes of the function: they might be called as ours.
        functools.update_wrapper(self, self.function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<stage {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """By the function: what a worker of hy.map may call has no place in its job."""
        return _restored, (self.name, self.function)

    def __getitem__(self, output: str) -> StageOutput:
        if output not in self.outputs:
            raise UsageError(
                f'stage {self.name} has no output "{output}"',
                caller().where(),
                f"Its outputs are {', '.join(self.outputs)}.",
            )
        return StageOutput(self, self.outputs.index(output))

    @property
    def is_async(self) -> bool:
        """Whether the function is ``async def``; `run` waits for it."""
        return inspect.iscoroutinefunction(self.function)

    def run(self, arguments: Mapping[str, Any]) -> Any:
        """Calls the function with arguments by name; an async function is run to its end."""
        positional, named = [], dict(arguments)
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and parameter.name in named:
                positional.append(named.pop(parameter.name))
        call: Callable[..., Any] = self.function
        result = call(*positional, **named)
        if inspect.iscoroutine(result):
            return asyncio.run(result)
        return result

    def value(self, parameter: str, spec: Mapping[str, Any]) -> Any:
        """The argument of an input of mode "value", as the job's own type.

        Args:
            parameter: its name.
            spec: `{"type": …, "value": …}` as in the task message. A constant that is no simple
                value is taken from the job file itself, a copy for each call.
        """
        bound = self.inputs[parameter]
        if isinstance(bound, Constant):
            kind = spec.get("type", "constant")
            if kind == "constant":
                return copy.deepcopy(bound.value)
            # The planned one: the job file may make another with each import (today's date).
            return values.from_json(type(bound.value), kind, spec["value"])
        if isinstance(bound, Param):
            return value_from_json(bound, spec.get("value"))
        raise KeyError(parameter)


def _restored(name: str, function: Callable[..., Any]) -> Stage[..., Any]:
    return Stage(name, function, Location("", 0, {}), outputs=(name,))
