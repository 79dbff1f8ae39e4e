"""What an object is, as a walk over a stage's code sees it."""

from __future__ import annotations

import functools
import importlib.machinery
import sys
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
    return (
        isinstance(
            value,
            (
                types.BuiltinFunctionType,
                types.MethodWrapperType,
                types.WrapperDescriptorType,
                types.MethodDescriptorType,
                types.ClassMethodDescriptorType,
            ),
        )
        or (type(value).__module__ == "numpy" and type(value).__name__ == "ufunc")
        or _is_compiled(value)
    )


def is_capsule(value: Any) -> bool:
    """Whether it is a pointer: what pybind11 binds to its functions."""
    return type(value).__name__ == "PyCapsule"


def _is_compiled(value: Any) -> bool:
    """A function of Cython, nanobind or the like: what its compiled module has under its name."""
    if isinstance(value, (type, types.FunctionType)) or not callable(value):
        return False
    module = sys.modules.get(module_name(value))
    path = str(getattr(module, "__file__", "") or "")
    if not path.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
        return False
    return getattr(module, str(getattr(value, "__name__", "")), None) is value


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
