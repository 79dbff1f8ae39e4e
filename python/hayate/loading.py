"""Importing a job file and the project's modules beside it, always from their source text."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import sys
import types
from collections.abc import Iterator

from hayate.errors import UsageError, Where

#: Attribute of a module that was imported from a project's source: the directory of the job.
PROJECT_MARK = "__hayate_project__"

_kept_sources: set[str] = set()


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles the text each time and keeps it for tracebacks and for keys.

    Python's own cache trusts modification times in whole seconds: an edit within one second that
    keeps the length would run as the code from before it.
    """

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        data = self.get_data(path)
        code: types.CodeType = self.source_to_code(data, path)
        keep_source(path, importlib.util.decode_source(data))
        return code

    def exec_module(self, module: types.ModuleType) -> None:
        setattr(module, PROJECT_MARK, os.path.dirname(self.path))
        super().exec_module(module)


class _ProjectFinder(importlib.abc.MetaPathFinder):
    """Finds modules under one directory ahead of everything but the standard library."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        # A directory without __init__.py is a namespace package; FileFinder knows that.
        self._details = (_SourceLoader, importlib.machinery.SOURCE_SUFFIXES)
        # Kept, because each lists its folder once: data may lie beside the job file.
        self._finders: dict[str, importlib.machinery.FileFinder] = {}

    @property
    def directory(self) -> str:
        return self._directory

    def find_spec(
        self, fullname: str, path: object = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        places = [self._directory] if path is None else list(path)  # type: ignore[call-overload]
        for place in places:
            inside = os.path.relpath(str(place), self._directory)
            if not is_under(str(place), self._directory) or is_installed(inside):
                continue
            if str(place) not in self._finders:
                finder = importlib.machinery.FileFinder(str(place), self._details)
                self._finders[str(place)] = finder
            spec = self._finders[str(place)].find_spec(fullname)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def keep_source(path: str, text: str) -> None:
    """Lets tracebacks show, and keys digest, the text that was executed, not a later edit of it."""
    _kept_sources.add(path)
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)


def executed_source(path: str) -> str:
    """The text of a file as it was imported; empty if there is none."""
    return "".join(linecache.getlines(path))


def is_under(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


def is_installed(path: str) -> bool:
    """Whether a file belongs to an environment: a virtual one may stand inside the project."""
    parts = path.split(os.sep)
    return "site-packages" in parts or "dist-packages" in parts


def import_job(path: str) -> types.ModuleType:
    """Imports the file as a module of its own name, its directory first on sys.path.

    What an earlier call imported from a project is forgotten, so that edits are seen.

    Raises:
        UsageError: there is no such file.
        Exception: whatever the file itself raises.
    """
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        raise UsageError(
            f"job file {path} does not exist" if not os.path.exists(path) else f"{path} is no file",
            Where(object=path),
            "Give the path of a Python file.",
        )
    directory = os.path.dirname(path)
    _forget_projects()
    sys.meta_path.insert(0, _ProjectFinder(directory))
    if directory not in sys.path:
        sys.path.insert(0, directory)
    name = _module_name(path)
    loader = _SourceLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise UsageError(f"{path} cannot be imported", Where(object=path), "Name it job.py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def project_modules() -> Iterator[types.ModuleType]:
    """The job file and the modules imported from its project, by name."""
    for name in sorted(sys.modules):
        module = sys.modules.get(name)
        if module is not None and PROJECT_MARK in getattr(module, "__dict__", {}):
            yield module


def project_files(directory: str) -> Iterator[str]:
    """Every file under the directory of a job that could be imported, by path.

    Hidden folders and virtual environments are left out.
    """
    suffixes = tuple(importlib.machinery.all_suffixes())
    for folder, folders, files in os.walk(directory):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in ("__pycache__", "node_modules")
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(suffixes))


def _forget_projects() -> None:
    for module in list(project_modules()):
        sys.modules.pop(module.__name__, None)
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _ProjectFinder)]
    importlib.invalidate_caches()
    while _kept_sources:
        linecache.cache.pop(_kept_sources.pop(), None)
    linecache.checkcache()  # the texts that were read without an import


def _module_name(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    taken = stem in sys.modules or stem in sys.stdlib_module_names
    return "hayate_job" if taken or not stem.isidentifier() else stem
