"""hy.stage and hy.output: what a user declares, checked where it is declared."""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar, overload

from hayate.errors import HayateError, UsageError
from hayate.location import Location, caller
from hayate.parameters import Param
from hayate.registry import register
from hayate.sources import Source, check_local
from hayate.stages import Constant, Input, Output, Stage, StageOutput

P = ParamSpec("P")
R = TypeVar("R")

AS_NAMES = ("pandas", "polars", "arrow", "frame")
OUTPUT_EXTENSIONS = (".arrow", ".feather", ".parquet", ".csv", ".csv.gz")
_ANNOTATIONS = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("pyarrow", "Table"): "arrow",
    ("hayate", "Frame"): "frame",
}
_TABLE = "bigquery://"
_NAME = re.compile(r"\w[\w.-]{0,99}")


@overload
def stage(function: Callable[P, R], /) -> Stage[P, R]: ...
@overload
def stage(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    partition_by: str | Iterable[str] | None = None,
    group_by: str | Iterable[str] | None = None,
    rows: int | None = None,
    split: str | Iterable[str] | None = None,
    outputs: Iterable[str] | None = None,
    as_: str | Mapping[str, str] | None = None,
    cores: int = 0,
    timeout: float | None = None,
) -> Stage[P, R]: ...
@overload
def stage(
    *,
    name: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    partition_by: str | Iterable[str] | None = None,
    group_by: str | Iterable[str] | None = None,
    rows: int | None = None,
    split: str | Iterable[str] | None = None,
    outputs: Iterable[str] | None = None,
    as_: str | Mapping[str, str] | None = None,
    cores: int = 0,
    timeout: float | None = None,
) -> Callable[[Callable[P, R]], Stage[P, R]]: ...
def stage(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    partition_by: str | Iterable[str] | None = None,
    group_by: str | Iterable[str] | None = None,
    rows: int | None = None,
    split: str | Iterable[str] | None = None,
    outputs: Iterable[str] | None = None,
    as_: str | Mapping[str, str] | None = None,
    cores: int = 0,
    timeout: float | None = None,
) -> Any:
    """Makes a function a stage of the job; its parameters name what it reads.

    Use it bare (``@hy.stage``), with arguments, or as a call that makes stages in a loop:
    ``hy.stage(fit, name=f"fold{k}", inputs={"train": train, "k": k})``.

    Args:
        name: instead of the function's name.
        inputs: parameter → a source, a stage, an output of one (``split["train"]``), a parameter of
            the job, or a plain value. What is left out is found by name.
        partition_by: column or columns; each call gets many whole groups of equal keys.
        group_by: column or columns; one call per key.
        rows: rows per call, in the order of the input.
        split: the parameters that are split; by default the first that reads rows. The others are
            passed whole.
        outputs: names of several results; the function then returns a tuple or a dict of them.
        as_: "pandas" (the default), "polars", "arrow" or "frame", for all inputs or by parameter;
            an annotation (pl.DataFrame, pa.Table, …) says the same.
        cores: cores of one call; by default one for a split stage and all for one that runs once.
        timeout: seconds that one call may take, with the reading of its inputs. A call that takes
            longer is ended, tried once more, and then is an error. By default one that uses no CPU
            and prints nothing for 30 minutes is ended so.

    Raises:
        UsageError: an argument does not fit.
    """
    location = caller()

    def declare(plain: Callable[..., Any]) -> Stage[..., Any]:
        return register(
            _make(
                plain,
                location,
                {"partition_by": partition_by, "group_by": group_by, "rows": rows},
                name=name,
                inputs=inputs or {},
                split=split,
                outputs=outputs,
                as_=as_,
                cores=cores,
                timeout=timeout,
            )
        )

    return declare if function is None else declare(function)


def output(
    target: Source | Stage[..., Any] | StageOutput | str,
    path: str,
    *,
    staging: str | None = None,
    write: Literal["truncate", "append"] = "truncate",
    project: str | None = None,
    location: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Declares a file or a table that the job writes from a stage or source once all has succeeded.

    Args:
        target: a stage, one of its outputs, a source, or the name of one.
        path: .arrow, .feather, .parquet, .csv or .csv.gz; relative to the job file; ``{day}`` is
            filled in from the parameters. Or ``bigquery://project.dataset.table``, with
            ``$20261124`` (or ``${day}``) for one partition: the table has all of the rows
            afterwards, or is as before.
        staging: of a table: gs://bucket/folder, for Parquet files on their way there.
        write: of a table: whether the rows replace those that are there, or come to them, once.
        project: that the load job runs in; by default that of the credentials.
        location: of the dataset; by default BigQuery says it.
        labels: of the load job.

    Raises:
        UsageError: the target is none of these, or the extension is not known.
    """
    at = caller()
    path = str(path)
    load = None
    if path.startswith(_TABLE):
        load = {
            "staging": staging,
            "write": write,
            "project": project,
            "location": location,
            "labels": None if labels is None else dict(labels),
        }
        if not isinstance(staging, str):
            raise UsageError(
                f'the output "{path}" needs staging=, for the files on their way to the table',
                at.where(),
                'Write staging="gs://bucket/folder".',
            )
    else:
        _check_file(path, at)
        given = [
            name
            for name, value in (
                ("staging", staging), ("project", project), ("location", location),
                ("labels", labels), ("write", None if write == "truncate" else write),
            )
            if value is not None
        ]  # fmt: skip
        if given:
            raise UsageError(
                f'{given[0]}= is for tables, and "{path}" is a file',
                at.where(),
                'Take it out, or write to "bigquery://project.dataset.table".',
            )
    if isinstance(target, Stage):
        target = _single_output(target, at)
    if not isinstance(target, (Source, StageOutput, str)):
        raise UsageError(
            f"hy.output was given {target!r}",
            at.where(),
            "Give a stage, a source or its name.",
        )
    register(Output(target, path, at, load))


def _check_file(path: str, location: Location) -> None:
    check_local(path, location)
    if not path.endswith(OUTPUT_EXTENSIONS):
        raise UsageError(
            f'the format of output "{path}" is not known from its extension',
            location.where(),
            f"Let it end in {', '.join(OUTPUT_EXTENSIONS)}.",
        )


def _make(
    plain: Callable[..., Any],
    location: Location,
    splits: dict[str, Any],
    *,
    name: str | None,
    inputs: Mapping[str, Any],
    split: str | Iterable[str] | None,
    outputs: Iterable[str] | None,
    as_: str | Mapping[str, str] | None,
    cores: int,
    timeout: float | None,
) -> Stage[..., Any]:
    if isinstance(plain, Stage):
        plain = plain.function
    if not isinstance(plain, (types.FunctionType, functools.partial)) and not (
        callable(plain) and hasattr(plain, "__wrapped__")
    ):
        raise UsageError(
            f"hy.stage was given {plain!r}, which is not a function",
            location.where(),
            "Write @hy.stage above a function, with its options by name: @hy.stage(rows=200_000).",
        )
    stage_name = name or str(getattr(plain, "__name__", ""))
    if not _NAME.fullmatch(stage_name):
        raise UsageError(
            f'"{stage_name}" is no name for a stage',
            location.where(),
            'Give one of letters, digits, "_", "-" and ".": hy.stage(…, name="fold1").',
        )
    if isinstance(cores, bool) or not isinstance(cores, int) or cores < 0:
        raise UsageError(f"cores={cores!r} is not a number", location.where(), "Give 1 or more.")
    if timeout is not None and (
        isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0
    ):
        raise UsageError(
            f"timeout={timeout!r} is not a number of seconds",
            location.where(),
            "Write timeout=600.",
        )
    mode, by, rows = _mode(splits, stage_name, location)
    output_names = _names("outputs", outputs, location) if outputs is not None else (stage_name,)
    made: Stage[..., Any] = Stage(
        name=stage_name,
        function=plain,
        location=location,
        mode=mode,
        by=by,
        rows=rows,
        split=_names("split", split, location) if split is not None else (),
        outputs=output_names,
        cores=cores,
        timeout=timeout,
    )
    made.inputs = {key: _as_input(key, value, location) for key, value in inputs.items()}
    made.parameters = _parameters(made, location)
    made.as_ = _as(made, as_, location)
    for one in made.split:
        if one not in made.parameters:
            _bad_parameter(made, "split", one, location)
    if made.split and mode == "once":
        raise UsageError(
            f"stage {stage_name} has split= but is not split",
            location.where(),
            "Add partition_by=, group_by= or rows=, or leave split= out.",
        )
    if len(made.split) > 1 and mode == "rows":
        raise UsageError(
            f"stage {stage_name} splits {len(made.split)} inputs by rows",
            location.where(),
            "Split one input by rows=, or several by a key with partition_by=.",
        )
    return made


def _mode(
    splits: dict[str, Any], name: str, location: Location
) -> tuple[str, tuple[str, ...], int]:
    given = [label for label, value in splits.items() if value is not None]
    if len(given) > 1:
        raise UsageError(
            f"stage {name} has {' and '.join(given)}", location.where(), "Keep one of them."
        )
    if not given:
        return "once", (), 0
    value = splits[given[0]]
    if given[0] == "rows":
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(
                f"rows={value!r} is not a number of rows", location.where(), "Write rows=200_000."
            )
        return "rows", (), value
    return given[0].removesuffix("_by"), _names(given[0], value, location), 0


def _names(label: str, value: str | Iterable[str], location: Location) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    if not names or not all(isinstance(one, str) and one for one in names):
        raise UsageError(
            f"{label}={value!r} names nothing", location.where(), f'Write {label}=("…", "…").'
        )
    repeated = sorted({one for one in names if names.count(one) > 1})
    if repeated:
        raise UsageError(
            f"{label}= names {', '.join(repeated)} twice", location.where(), "Name it once."
        )
    for one in names if label == "outputs" else ():
        if not _NAME.fullmatch(one):
            raise UsageError(
                f'"{one}" is no name for an output',
                location.where(),
                'Give one of letters, digits, "_", "-" and ".".',
            )
    return names


def _single_output(made: Stage[..., Any], location: Location) -> StageOutput:
    if len(made.outputs) > 1:
        raise UsageError(
            f"stage {made.name} has {len(made.outputs)} outputs",
            location.where(),
            f'Say which: {made.name}["{made.outputs[0]}"] or {made.name}["{made.outputs[1]}"].',
        )
    return StageOutput(made, 0)


def _as_input(key: str, value: Any, location: Location) -> Input:
    if isinstance(value, Stage):
        return _single_output(value, location)
    if isinstance(value, (Source, StageOutput, Param)):
        return value
    if isinstance(value, (list, tuple, set, dict)):
        inner = value.values() if isinstance(value, dict) else value
        if any(isinstance(one, (Stage, Source, StageOutput, Param)) for one in inner):
            raise UsageError(
                f'inputs["{key}"] holds several stages or sources',
                location.where(),
                "Give each a parameter of its own; a function with **folds takes any number: "
                'inputs={f"fold{k}": … for k in …}.',
            )
    return Constant(value)


def _parameters(made: Stage[..., Any], location: Location) -> tuple[str, ...]:
    signature = inspect.signature(made.function)
    names: list[str] = []
    extra = [key for key in made.inputs if key not in signature.parameters]
    takes_any = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            raise UsageError(
                f"stage {made.name} takes *{name}",
                location.where(),
                "Name every input, or take **inputs with hy.stage(…, inputs={…}).",
            )
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            takes_any = True
            extra += [key for key in made.inputs if key == name]
        else:
            names.append(name)
    if extra and not takes_any:
        _bad_parameter(made, "inputs", extra[0], location, names)
    return (*names, *extra)


def _bad_parameter(
    made: Stage[..., Any],
    label: str,
    name: str,
    location: Location,
    known: Iterable[str] | None = None,
) -> NoReturn:
    names = list(made.parameters if known is None else known)
    raise UsageError(
        f'{label}= of stage {made.name} names "{name}", which is not a parameter of '
        f"{getattr(made.function, '__name__', made.name)}()",
        location.where(),
        f"Its parameters are {', '.join(names)}." if names else "It has no parameters.",
    )


def _as(
    made: Stage[..., Any], as_: str | Mapping[str, str] | None, location: Location
) -> dict[str, str | None]:
    result: dict[str, str | None] = {
        name: _annotated(made.function, name) for name in made.parameters
    }
    given = dict.fromkeys(made.parameters, as_) if isinstance(as_, str) else dict(as_ or {})
    for name, value in given.items():
        if name not in made.parameters:
            _bad_parameter(made, "as_", name, location)
        if value not in AS_NAMES:
            raise UsageError(
                f"as_={value!r} is not known",
                location.where(),
                f"Use one of {', '.join(AS_NAMES)}.",
            )
        result[name] = value
    return result


def _annotated(function: Callable[..., Any], name: str) -> str | None:
    """What an annotation says of `as_`; None where it says nothing or cannot be resolved."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    try:
        annotation = getattr(function, "__annotations__", {}).get(name)
        if isinstance(annotation, str):
            annotation = eval(annotation, dict(getattr(function, "__globals__", {})))
    except (NameError, AttributeError, SyntaxError, TypeError, HayateError):
        # Names under TYPE_CHECKING and forward references are ordinary: such an annotation simply
        # says nothing.
        return None
    if not isinstance(annotation, type):
        return None
    root = annotation.__module__.partition(".")[0]
    return _ANNOTATIONS.get((root, annotation.__name__))
