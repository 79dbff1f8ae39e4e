"""What an object is, as a walk over a stage's code sees it."""

from __future__ import annotations

import functools
import types
from typing import Any

from hayate.parameters import Param
from hayate.sources import Source
from hayate.stages import Stage, StageOutput

#: Stands for an attribute or a variable that is not there.
EMPTY: Any = object()


def is_code(value: Any) -> bool:
    return isinstance(value, (type, types.ModuleType, types.FunctionType, Stage)) or (
        callable(value) and (is_builtin(value) or hasattr(value, "__wrapped__"))
    )


def is_method(member: Any) -> bool:
    return isinstance(
        member, (types.FunctionType, staticmethod, classmethod, property, functools.cached_property)
    )


def is_declared_or_code(value: Any) -> bool:
    return isinstance(value, (Param, Source, StageOutput, Stage)) or is_code(value)


def is_builtin(value: Any) -> bool:
    return isinstance(
        value,
        (
            types.BuiltinFunctionType,
            types.MethodWrapperType,
            types.WrapperDescriptorType,
            types.MethodDescriptorType,
            types.ClassMethodDescriptorType,
        ),
    ) or (type(value).__module__ == "numpy" and type(value).__name__ == "ufunc")


def module_name(value: Any) -> str:
    return str(getattr(value, "__module__", None) or "")


def attribute(module: types.ModuleType, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        return EMPTY


def cell_content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return EMPTY
