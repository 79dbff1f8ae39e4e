"""The inputs of a task → the arguments of the stage's function."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Set
from typing import Any

import pandas as pd

from hayate import codecs
from hayate.convert import as_form, check_as
from hayate.errors import HayateError, InputError, UsageError, Where
from hayate.frames import Frame
from hayate.grouping import Groups, group, without_row_numbers
from hayate.manifest import Manifest

_SPLIT_MODES = ("partition", "rows")

# From pandas 3 on a shallow copy is written to without touching what it was copied from.
_COPIES_ON_WRITE = int(pd.__version__.split(".")[0]) >= 3


class WholeInputs:
    """Whole inputs, kept between the tasks of one stage: a model is loaded once per worker.

    What a function may write to in place is not shared between calls: that would make the results
    depend on which tasks a worker happens to get. An object that is no container is taken for a
    model, which calls only ask.
    """

    def __init__(self) -> None:
        self._stage = ""
        self._kept: dict[tuple[str, str], Any] = {}

    def for_stage(self, stage: str) -> None:
        """Forgets what was kept for another stage."""
        if stage != self._stage:
            self._kept.clear()
            self._stage = stage

    def load(self, spec: Mapping[str, Any]) -> Any:
        """The value or the data of an input of mode "whole"."""
        path = spec["frame"]
        form = check_as(spec.get("as"))
        key = (path, form)
        if key in self._kept:
            value = self._kept[key]
        else:
            value = self._read(spec, form)
            if _may_be_kept(value):
                self._kept[key] = value
        return _handed_out(value)

    def _read(self, spec: Mapping[str, Any], form: Any) -> Any:
        manifest = Manifest(spec["frame"])
        if not manifest.is_table:
            return codecs.load_values(manifest)
        return Frame(spec["frame"], whole_file=spec.get("map")).to(form)


def _may_be_kept(value: Any) -> bool:
    """Whether what _handed_out makes of the value can be written to without harm to the value."""
    if isinstance(value, pd.DataFrame):
        return _COPIES_ON_WRITE
    if _is_polars_frame(value):
        return True
    if type(value) is dict:
        return all(map(_is_opaque, value.values()))
    if type(value) in (list, tuple):
        return all(map(_is_opaque, value))
    return _is_opaque(value)


def _is_opaque(value: Any) -> bool:
    """Whether nothing can be put into the value: a scalar, a text, a model, a pyarrow table."""
    return not (hasattr(type(value), "__setitem__") or isinstance(value, (tuple, Set)))


def _handed_out(value: Any) -> Any:
    """The value as one call gets it: its outermost layer is the call's own."""
    if isinstance(value, pd.DataFrame):
        return value.copy(deep=False)
    if _is_polars_frame(value):
        return value.clone()
    return value.copy() if type(value) in (dict, list) else value


def _is_polars_frame(value: Any) -> bool:
    return type(value).__module__.startswith("polars") and hasattr(value, "clone")


def split_specs(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inputs of which the task gets a partition or a slice."""
    return [spec for spec in task["inputs"] if spec["mode"] in _SPLIT_MODES]


def open_split(spec: Mapping[str, Any]) -> Frame:
    """The partition or slice of an input, as a handle.

    Raises:
        UsageError: the input is a value, which cannot be split; names the parameter.
    """
    try:
        frame = Frame(spec["frame"])
    except UsageError as error:
        raise UsageError(
            f'input "{spec["param"]}" is a value, not a table, and cannot be split',
            error.where,
            "Let the first parameter be a table, or take it whole.",
        ) from error
    if spec["mode"] == "rows":
        return frame.slice(spec["start"], spec["stop"])
    return frame.partition(spec["partition"])


def is_empty_partition(task: Mapping[str, Any]) -> bool:
    """Whether the split inputs have rows, but none here: nothing is to be called.

    A stage over an input without any row is called, as the columns of its result are wanted.
    """
    if task["mode"] not in ("partition", "group"):
        return False
    frames = [open_split(spec) for spec in split_specs(task)]
    return all(frame.rows == 0 for frame in frames) and any(
        Manifest(frame.path).rows > 0 for frame in frames
    )


def arguments(
    task: Mapping[str, Any], whole: WholeInputs, value_of: Callable[[Mapping[str, Any]], Any]
) -> dict[str, Any]:
    """Arguments by name of a task that makes one call.

    Args:
        task: the message.
        whole: what is kept between tasks.
        value_of: the argument of an input of mode "value".

    Raises:
        HayateError: an input cannot be read; names file and parameter.
    """
    found = {}
    for spec in task["inputs"]:
        if spec["mode"] == "value":
            found[spec["param"]] = value_of(spec)
        elif spec["mode"] == "whole":
            found[spec["param"]] = whole.load(spec)
        elif spec["mode"] == "items":
            found[spec["param"]] = read_items(spec["path"])
        elif spec["mode"] in _SPLIT_MODES:
            found[spec["param"]] = open_split(spec).to(check_as(spec.get("as")))
        else:
            raise HayateError(f"input {spec['param']} has the unknown mode {spec['mode']!r}")
    return found


def grouped_arguments(task: Mapping[str, Any]) -> Groups:
    """The split inputs of a task of mode "group", by key."""
    specs = split_specs(task)
    tables = [open_split(spec).stored() for spec in specs]
    return group(tables, task["by"], [check_as(spec.get("as")) for spec in specs])


def empty_arguments(task: Mapping[str, Any]) -> list[Any]:
    """The split inputs of a "group" task without any row, each in the user's form."""
    return [
        as_form(without_row_numbers(open_split(spec).stored()), check_as(spec.get("as")))
        for spec in split_specs(task)
    ]


def read_items(path: str) -> list[Any]:
    """The items that hy.map has written for one task."""
    try:
        with open(path, "rb") as file:
            items: list[Any] = pickle.load(file)
    except OSError as error:
        raise InputError(
            f"the items cannot be read: {error.strerror}", Where(object=path), "Run again."
        ) from error
    return items
