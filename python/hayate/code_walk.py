"""A walk from a function over all that it reaches, with a digest for each thing.

Followed are functions, classes, values of globals and of closures, project modules, and the
versions of the distributions that the reached code imports. Comments, docstrings, annotations and
positions do not count. Never stale is worth more than never rerun: where something cannot be
followed precisely, more is taken in: the whole project, where names are made at run time.
"""

from __future__ import annotations

import ast
import contextlib
import enum
import functools
import importlib.util
import logging
import os
import sys
import types
from collections.abc import Mapping
from typing import Any

from hayate.code_objects import (
    EMPTY,
    attribute,
    cell_content,
    is_builtin,
    is_capsule,
    is_code,
    is_declared_or_code,
    is_method,
    module_name,
)
from hayate.components import Components
from hayate.digest import Digester, NoContentError, digest_text
from hayate.dynamic import is_dynamic
from hayate.errors import UsageError, Where
from hayate.loading import project_files, project_modules
from hayate.ownership import is_project, is_project_module
from hayate.parameters import Param, kind_of, location_of, name_of, type_of
from hayate.sources import Source
from hayate.stages import Stage, StageOutput
from hayate.syntax import (
    bytecode_meaning,
    chains,
    code_of,
    effects,
    global_names,
    imports,
    meaning,
)

#: Calls at module level that change nothing that a stage could see.
_HARMLESS = {"print", "logging", "warnings"}
#: Globals that every module has; any other name may be the user's.
_OF_EVERY_MODULE = {*vars(types.ModuleType("any")), "__builtins__", "__cached__", "__file__"}
#: Stands for any logger.
_LOGGER = "a logger"


class CodeWalk:
    """One walk from a function over all that it reaches."""

    def __init__(self, main: str, module_of_file: Any) -> None:
        self.components = Components()
        self._main = main
        self._module_of_file = module_of_file
        # Values are told apart by name, too: equal numbers may be one object.
        self._labels: dict[tuple[int, str], str] = {}
        self._kept: list[Any] = []  # keeps the ids in _labels from being used again
        self._whole_project_counts = False
        self._digester = Digester(lambda value: self.reach(value, ""), is_declared_or_code)

    # What can be reached. `reach` gives the label that stands for the thing in a digest: what is in
    # it beyond text that is a component of its own, such as a closure, must be in the label.

    def reach(self, value: Any, name: str, where: Where | None = None) -> str:
        """Takes in any object; `name` is what the code that reached it calls it."""
        known = (id(value), "" if is_code(value) else name)
        if known in self._labels:
            return self._labels[known]
        self._kept.append(value)
        self._labels[known] = name
        label = self._reach(value, name, where or Where())
        self._labels[known] = label
        return label

    def _reach(self, value: Any, name: str, where: Where) -> str:
        if isinstance(value, Stage):
            return self.reach(value.function, value.name)
        if isinstance(value, (Param, Source, StageOutput)):
            raise _read_as_global(value, name, where)
        if isinstance(value, types.FunctionType):
            return self._function(value, name)
        if isinstance(value, types.ModuleType):
            return self._whole_module(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, functools.partial):
            inner = self.reach(value.func, name)
            given = self.value((value.args, value.keywords), f"arguments of {name}", where)
            return f"partial {inner} {given}"
        if isinstance(value, types.MethodType):
            method = self.reach(value.__func__, name)
            return f"{method} of {self.value(value.__self__, f'global {name}', where)}"
        if isinstance(value, (staticmethod, classmethod)):
            return self.reach(value.__func__, name)
        if isinstance(value, property):
            parts = (value.fget, value.fset, value.fdel)
            return " ".join(self.reach(one, name) for one in parts if one is not None)
        wrapped = getattr(value, "__wrapped__", None) or getattr(value, "py_func", None)
        if callable(wrapped):
            # A cache, a compiled function: the settings stand in the decorator's text.
            self.components.type(type(value))
            return f"{type(value).__qualname__} {self.reach(wrapped, name)}"
        if isinstance(value, types.GenericAlias):
            alias = (value.__origin__, value.__args__)
            return f"alias {self.value(alias, f'global {name}', where)}"
        if isinstance(value, logging.Logger):
            return _LOGGER
        if is_builtin(value):
            called = getattr(value, "__qualname__", None) or getattr(value, "__name__", name)
            label = f"{module_name(value)}.{called}"
            self.components.module(module_name(value))
            owner = getattr(value, "__self__", None)
            if owner is None or isinstance(owner, (type, types.ModuleType)) or is_capsule(owner):
                return label
            return f"{label} of {self.value(owner, f'global {name}', where)}"
        label = f"global {name}"
        self.value(value, label, where)
        return label

    def value(self, value: Any, label: str, where: Where) -> str:
        """Takes in a value by its content and gives the digest."""
        if isinstance(value, (Param, Source, StageOutput)):
            raise _read_as_global(value, label.removeprefix("global "), where)
        try:
            digest = self._digester.digest(value)
        except NoContentError as error:
            raise UsageError(
                f"{label} cannot be compared between runs: {error}",
                where,
                "Make it inside of the stage, or read it as a source or a parameter.",
            ) from None
        self.components.type(type(value))
        self.components.add(label, digest)
        return digest

    def parameter(self, parameter: Param, name: str) -> None:
        """Takes in the type, which gives the parameter's text its meaning."""
        kind = kind_of(parameter)
        self.components[f"type of {name}"] = type_of(parameter)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            self.reach(kind, kind.__name__)
            values = {one: member.value for one, member in kind.__members__.items()}
            self.value(values, f"members of {kind.__qualname__}", location_of(parameter).where())

    # Functions

    def _function(self, function: types.FunctionType, name: str) -> str:
        code = function.__code__
        owner = module_name(function)
        if not is_project(owner, code.co_filename):
            self.components.module(owner)
            wrapped = getattr(function, "__wrapped__", None)
            if wrapped is not None:
                self.reach(wrapped, name)
            for cell in function.__closure__ or ():
                content = cell_content(cell)
                if isinstance(content, (types.FunctionType, type)):
                    self.reach(content, name)
            return f"{owner}.{function.__qualname__}"
        called = code.co_qualname if code.co_name != "<lambda>" else name or "lambda"
        label = self._qualified(owner, called) + "()"
        module = self._module_of_file(code.co_filename)
        node = module.function(code) if module is not None else None
        text = meaning(node) if node is not None else bytecode_meaning(code)
        label = self.components.add(label, digest_text(text))
        self._labels[id(function), ""] = label
        where = Where(object=code.co_filename, line=code.co_firstlineno)
        used = chains(node) if node is not None else {}
        names = global_names(code)
        if node is not None and not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                names |= chains(decorator).keys()
        self._names(names, used, function.__globals__, where)
        self._follow_names(code, function.__globals__)
        bound = []  # what tells functions of one text apart
        for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            bound.append(self._variable(cell_content(cell), variable, used, label, where))
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        if defaults:
            bound.append(self.value(defaults, f"defaults of {label}", where))
        attributes = {name: one for name, one in vars(function).items() if name != "__wrapped__"}
        if attributes:
            bound.append(self.value(attributes, f"attributes of {label}", where))
        if node is not None:
            self._imports(node, used, function.__globals__, where)
        return f"{label} {digest_text(*bound)}" if bound else label

    def _variable(
        self,
        value: Any,
        variable: str,
        used: Mapping[str, set[tuple[str, ...]]],
        label: str,
        where: Where,
    ) -> str:
        """A variable of an enclosing function; gives what stands for it."""
        if value is EMPTY:
            return ""
        called = f"variable {variable} of {label}"
        if not is_code(value):
            return self.value(value, called, where)
        found = self._chains(value, variable, used.get(variable, {()}), where)
        self.components.add(called, found)
        return found

    def _names(
        self,
        names: set[str],
        used: Mapping[str, set[tuple[str, ...]]],
        namespace: Mapping[str, Any],
        where: Where,
    ) -> None:
        for name in sorted(names):
            if name in namespace and name not in _OF_EVERY_MODULE:
                self._chains(namespace[name], name, used.get(name, {()}), where, namespace)

    def _chains(
        self,
        value: Any,
        name: str,
        attributes: set[tuple[str, ...]],
        where: Where,
        namespace: Mapping[str, Any] | None = None,
    ) -> str:
        """What `name.a.b` stands for: modules are looked through, anything else is taken in.

        Gives what stands for all of it, and notes it where the names alone do not say it.
        """
        found = []
        for chain in sorted(attributes):
            current, called, rest = value, name, list(chain)
            owner = str((namespace or {}).get("__name__", self._main))
            while isinstance(current, types.ModuleType) and rest:
                inner = attribute(current, rest[0])
                if inner is EMPTY:
                    break
                if not is_project_module(current) and not isinstance(inner, types.ModuleType):
                    break
                found.append(self._stands_for(owner, called, f"module {current.__name__}"))
                owner, current, called = current.__name__, inner, rest.pop(0)
            plain = not is_code(current)
            label = self.reach(
                current, self._qualified_value(owner, called) if plain else called, where
            )
            found.append(self._stands_for(owner, called, label))
        return " ".join(found)

    def _stands_for(self, owner: str, name: str, label: str) -> str:
        """Notes what a name stands for, unless it is what is defined under this name there."""
        called = self._qualified_value(owner, name)
        defined = {
            *(_LOGGER, f"global {called}", f"class {called}", f"{self._qualified(owner, name)}()"),
            *(f"module {name}", f"module {owner}.{name}"),
        }
        if label not in defined:
            self.components.add(f"name {called}", label)
        return label

    def _qualified(self, module: str, name: str) -> str:
        return name if module == self._main else f"module {module}.{name}"

    def _qualified_value(self, module: str, name: str) -> str:
        return name if module == self._main else f"{module}.{name}"

    # Classes

    def _class(self, kind: type) -> str:
        owner, qualname = kind.__module__, kind.__qualname__
        module = sys.modules.get(owner)
        path = str(getattr(module, "__file__", "") or "")
        if not is_project(owner, path):
            self.components.module(owner)
            return f"{owner}.{qualname}"
        label = self._qualified(owner, f"class {qualname}")
        if owner != self._main:
            label = f"class {owner}.{qualname}"
        self._labels[id(kind), ""] = label
        where = Where(object=path)
        source = self._module_of_file(path)
        nodes = source.classes(qualname) if source is not None else []
        self.components.add(label, digest_text(*map(meaning, nodes)))
        for base in (*kind.__bases__, type(kind)):
            self.reach(base, base.__name__)
        namespace = vars(module) if module is not None else {}
        for node in nodes:
            used = chains(node)
            compiled = code_of(node)
            self._follow_names(compiled, namespace)
            names = {
                name
                for name in global_names(compiled)
                if not isinstance(namespace.get(name), (Param, Source))
            }
            self._names(names, used, namespace, where)
            self._imports(node, used, namespace, where)
        for member in vars(kind).values():
            self._member(member, bool(nodes), where)
        values = {name: one for name, one in vars(kind).items() if not is_method(one)}
        if nodes:
            self._held(values, self._qualified_value(owner, qualname), where)
        if not nodes:
            plain = {name: one for name, one in vars(kind).items() if not name.startswith("__")}
            self.value(plain, f"members of {label}", where)
        return label

    def _member(self, member: Any, has_source: bool, where: Where) -> None:
        """A method may close over variables, read a parameter as a global, or come from a call."""
        function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if not isinstance(function, types.FunctionType):
            return
        written = function.__code__.co_filename == where.object
        if not (has_source and written):
            if written:
                self.reach(function, function.__name__)
            return
        method = Where(object=where.object, line=function.__code__.co_firstlineno)
        for name in global_names(function.__code__):
            found = function.__globals__.get(name)
            if isinstance(found, (Param, Source)):
                raise _read_as_global(found, name, method)
        for variable, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            if variable != "__class__":
                label = f"{function.__qualname__}()"
                self._variable(cell_content(cell), variable, {}, label, method)

    # Modules

    def _whole_module(self, module: types.ModuleType) -> str:
        name = module.__name__
        label = f"module {name}"
        self.components.module(name)
        if not is_project_module(module):
            return label
        self._labels[id(module), ""] = label
        source = self._module_of_file(str(module.__file__ or ""))
        if source is not None:
            self.components.add(label, digest_text(meaning(source.tree)))
        self._held(vars(module), name, Where(object=str(module.__file__ or "")))
        return label

    def _held(self, namespace: Mapping[str, Any], owner: str, where: Where) -> None:
        """What a module or a class holds, however the stage comes by it."""
        for name, value in sorted(namespace.items()):
            if name.startswith("__") and name.endswith("__"):
                continue
            # Perhaps nothing reads it, so one without content is no reason to stop.
            with contextlib.suppress(UsageError):
                if is_code(value):
                    self.reach(value, name)
                else:
                    self.value(value, f"global {owner}.{name}", where)

    def _follow_names(self, code: types.CodeType, namespace: Mapping[str, Any]) -> None:
        """Takes in the whole project where code looks things up by names made at run time."""
        if self._whole_project_counts or not is_dynamic(code, namespace):
            return
        self._whole_project_counts = True
        loaded = list(project_modules())
        for module in loaded:
            self.reach(module, module.__name__)
        paths = {str(module.__file__) for module in loaded}
        folder = os.path.dirname(str(sys.modules[self._main].__file__))
        for path in project_files(folder):
            if path in paths:
                continue
            # What is not imported yet may be when the stage runs.
            label = f"file {os.path.relpath(path, folder)}"
            source = self._module_of_file(path) if path.endswith(".py") else None
            if source is None:
                self.components.file(label, path)
            else:
                self.components.add(label, digest_text(meaning(source.tree)))

    def effects_of(self, module: types.ModuleType) -> None:
        """Statements of a project's module that act on others, whoever reads what they set."""
        source = self._module_of_file(str(module.__file__ or ""))
        if source is None:
            return
        namespace = vars(module)
        texts = []
        for node in effects(source):
            if _is_quiet(node, namespace):
                continue
            used = chains(node)
            texts.append(meaning(node))
            where = Where(object=str(module.__file__), line=node.lineno)
            for name in sorted(global_names(code_of(node))):
                # No stage reads these by name, so one without content is no reason to stop.
                with contextlib.suppress(UsageError):
                    self._names({name}, used, namespace, where)
        if texts:
            file = os.path.basename(str(module.__file__))
            self.components.add(f"module-level statements of {file}", digest_text(*texts))

    def _imports(
        self,
        node: ast.AST,
        used: Mapping[str, set[tuple[str, ...]]],
        namespace: Mapping[str, Any],
        where: Where,
    ) -> None:
        """Imports inside of a function."""
        package = str(namespace.get("__package__") or "")
        for one in imports(node):
            if isinstance(one, ast.Import):
                for alias in one.names:
                    module = self.components.imported(alias.name)
                    if module is None:
                        continue
                    bound = alias.asname or alias.name.partition(".")[0]
                    start = module if alias.asname else sys.modules[bound]
                    self._chains(start, bound, used.get(bound, {()}), where)
                continue
            target = "." * one.level + (one.module or "")
            if one.level:
                target = importlib.util.resolve_name(target, package)
            module = self.components.imported(target)
            if module is None:
                continue
            for alias in one.names:
                value = attribute(module, alias.name)
                if value is EMPTY:
                    value = self.components.imported(f"{target}.{alias.name}")
                if alias.name == "*" or value is None:
                    self.reach(module, target)
                    continue
                bound = alias.asname or alias.name
                self._chains(value, bound, used.get(bound, {()}), where, vars(module))


def _is_quiet(statement: ast.stmt, namespace: Mapping[str, Any]) -> bool:
    """Whether it only says something: a call of these whose arguments call nothing themselves."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    call = statement.value
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if any(isinstance(part, ast.Call) for argument in given for part in ast.walk(argument)):
        return False
    called: ast.expr = call.func
    while isinstance(called, (ast.Attribute, ast.Call)):
        called = called.value if isinstance(called, ast.Attribute) else called.func
    if not isinstance(called, ast.Name):
        return False
    return called.id in _HARMLESS or isinstance(namespace.get(called.id), logging.Logger)


def _read_as_global(value: Any, name: str, where: Where) -> UsageError:
    kind = "parameter" if isinstance(value, Param) else "source"
    called = name_of(value) if isinstance(value, Param) else value.name
    return UsageError(
        f"{kind} {called or name} is read as a global, where it has no value",
        where,
        f"Take it as an argument of the stage, def stage(…, {called or name}), and pass it on to "
        "helpers.",
    )
