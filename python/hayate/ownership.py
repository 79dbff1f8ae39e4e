"""Whose code it is: the project's, an installed library's, Python's, or hayate's."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import types

from hayate.errors import is_own_file
from hayate.loading import PROJECT_MARK, is_installed, is_under


def is_project_module(module: types.ModuleType) -> bool:
    """Whether a module is the user's own; a folder without __init__.py may be, too."""
    path = getattr(module, "__file__", None)
    if path is None:
        return any(is_project(module.__name__, place) for place in getattr(module, "__path__", []))
    return is_project(module.__name__, str(path))


def is_project(module: str, path: str) -> bool:
    """Whether code is the user's own: neither installed, nor of Python, nor of hayate."""
    if PROJECT_MARK in getattr(sys.modules.get(module), "__dict__", {}):
        return True
    if path.startswith("<"):
        # Made by exec: it belongs to the module that made it.
        owner = sys.modules.get(module)
        path = str(getattr(owner, "__file__", "") or "") if owner is not None else ""
    if not path or is_own_file(path) or is_installed(path):
        return False
    return not any(is_under(path, root) for root in _standard_library())


@functools.cache
def _standard_library() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = {paths["stdlib"], paths["platstdlib"]}
    return tuple(sorted({*roots, *map(os.path.realpath, roots)}))
