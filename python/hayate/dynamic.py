"""Whether code may reach things by names made at run time, which no walk can follow."""

from __future__ import annotations

import builtins
import dis
import sys
import types
from collections.abc import Mapping
from typing import Any

#: Modules whose functions find others by name.
_MODULES = {
    *("importlib", "importlib.util", "importlib.machinery", "pkgutil", "pydoc", "runpy"),
    *("_frozen_importlib", "_frozen_importlib_external"),
}
_BUILTINS = {"__import__", "eval", "exec", "globals"}
#: Attributes that lead from a thing to others that its text does not name.
_ATTRIBUTES = {"__builtins__", "__globals__", "__subclasses__", "f_globals"}
#: Instructions that look a name up outside of functions; the last one in class bodies.
_GLOBAL_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_ATTRIBUTE_LOADS = ("LOAD_ATTR", "LOAD_METHOD")


def is_dynamic(code: types.CodeType, namespace: Mapping[str, Any]) -> bool:
    """Whether code, or code nested in it, looks things up by names that its text may not hold.

    Args:
        namespace: the globals that it runs with.
    """
    current: Any = None  # what the instructions so far have loaded, if it is known
    imported = set()
    for one in dis.get_instructions(code):
        if one.opname == "IMPORT_NAME":
            imported.add(one.argval)
            current = None
        elif one.opname in _GLOBAL_LOADS:
            current = namespace.get(one.argval, getattr(builtins, one.argval, None))
        elif one.opname in _ATTRIBUTE_LOADS:
            if one.argval in _ATTRIBUTES or (one.argval == "modules" and "sys" in imported):
                return True
            inner = getattr(current, one.argval, None)
            current = inner if isinstance(current, types.ModuleType) else None
        else:
            current = None
        if _looks_up(current):
            return True
    if imported & _MODULES:
        return True
    nested = (one for one in code.co_consts if isinstance(one, types.CodeType))
    return any(is_dynamic(one, namespace) for one in nested)


def _looks_up(value: Any) -> bool:
    if value is sys.modules:
        return True
    if not isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
        return False
    owner = value.__module__
    return owner in _MODULES or (owner == "builtins" and value.__name__ in _BUILTINS)
