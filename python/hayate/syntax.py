"""The meaning of source text: syntax trees without comments, docstrings, annotations, positions."""

from __future__ import annotations

import ast
import dis
import types
from collections.abc import Iterator
from typing import Any, TypeVar

from hayate.loading import executed_source

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
CodeNode = FunctionNode | ast.Lambda | ast.ClassDef

#: The last one: class bodies from Python 3.12 on.
_GLOBAL_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")

_F = TypeVar("_F", ast.FunctionDef, ast.AsyncFunctionDef)


class Module:
    """The syntax of one file, with the places of its functions and classes."""

    def __init__(self, text: str) -> None:
        """Raises SyntaxError if `text` is no Python."""
        self.tree = ast.parse(text)
        self._functions: dict[tuple[int, str], FunctionNode] = {}
        self._lambdas: dict[int, list[ast.Lambda]] = {}
        self._classes: dict[str, list[ast.ClassDef]] = {}
        # Positions are taken before the trees lose their decorators.
        self._index(self.tree, "")
        self.hayate_names = _names_of_hayate(self.tree)
        _Meaning(self.hayate_names).visit(self.tree)

    @classmethod
    def of_file(cls, path: str) -> Module | None:
        """The file as it was imported; None if its text is not to be had."""
        text = executed_source(path)
        try:
            return cls(text) if text else None
        except (SyntaxError, ValueError):
            return None

    def function(self, code: types.CodeType) -> FunctionNode | ast.Lambda | None:
        """The definition that `code` was compiled from."""
        if code.co_name != "<lambda>":
            return self._functions.get((code.co_firstlineno, code.co_name))
        # Several lambdas may share a line; code knows the columns of its own body.
        spans = {(p[0], p[2], p[1], p[3]) for p in code.co_positions()}
        found = [one for one in self._lambdas.get(code.co_firstlineno, []) if _span(one) in spans]
        # A lambda's body may be another one; only the outer one has its whole body as a span, and
        # that comes first.
        return found[0] if found else None

    def classes(self, qualname: str) -> list[ast.ClassDef]:
        """Every definition of that name: which of them ran is not known."""
        return self._classes.get(qualname, [])

    def _index(self, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                self._functions[first, child.name] = child
                inner = f"{prefix}{child.name}.<locals>."
            elif isinstance(child, ast.ClassDef):
                self._classes.setdefault(prefix + child.name, []).append(child)
                inner = f"{prefix}{child.name}."
            elif isinstance(child, ast.Lambda):
                self._lambdas.setdefault(child.lineno, []).append(child)
                inner = f"{prefix}<lambda>.<locals>."
            self._index(child, inner)


def _span(node: ast.Lambda) -> tuple[int | None, int | None, int | None, int | None]:
    body = node.body
    return body.lineno, body.col_offset, body.end_lineno, body.end_col_offset


def meaning(node: ast.AST) -> str:
    """Canonical text of a tree of a `Module`: equal for texts that mean the same."""
    return ast.dump(node, annotate_fields=False)


def chains(node: ast.AST) -> dict[str, set[tuple[str, ...]]]:
    """Every name that is read, with the attributes that follow: `a.b.c(…)` gives a → (b, c)."""
    found: dict[str, set[tuple[str, ...]]] = {}

    def walk(current: ast.AST) -> None:
        attributes: list[str] = []
        root: ast.AST = current
        while isinstance(root, ast.Attribute):
            attributes.insert(0, root.attr)
            root = root.value
        if isinstance(root, ast.Name):
            found.setdefault(root.id, set()).add(tuple(attributes))
            return
        if root is not current:
            walk(root)
            return
        for child in ast.iter_child_nodes(current):
            walk(child)

    walk(node)
    return found


def imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements in a tree, nested ones too."""
    for one in ast.walk(node):
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            yield one


def global_names(code: types.CodeType) -> set[str]:
    """Names that code, or code nested in it, looks up outside of its functions."""
    names = {str(one.argval) for one in dis.get_instructions(code) if one.opname in _GLOBAL_LOADS}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= global_names(constant)
    return names


def code_of(node: ast.stmt) -> types.CodeType:
    """A statement compiled by itself, for `global_names`."""
    module = ast.Module([node], [])
    return compile(ast.fix_missing_locations(module), "<stage>", "exec")


def bytecode_meaning(code: types.CodeType) -> str:
    """For functions without source text: instructions and constants, without positions."""
    parts: list[Any] = [code.co_argcount, code.co_kwonlyargcount, code.co_varnames, code.co_flags]
    for one in dis.get_instructions(code):
        nested = isinstance(one.argval, types.CodeType)
        parts.append((one.opname, bytecode_meaning(one.argval) if nested else repr(one.argval)))
    return repr(parts)


def effects(module: Module) -> Iterator[ast.stmt]:
    """Statements at module level that may act on others: calls, and assignments into objects.

    Definitions and plain assignments are not among them: what a stage reads of those is followed
    from the stage.
    """
    yield from _effects(module.tree.body, module.hayate_names)


def _effects(body: list[ast.stmt], hayate_names: set[str]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and _is_script_guard(node.test):
            yield from _effects(node.orelse, hayate_names)
            continue
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            if not hayate_names & chains(node.value).keys():
                yield node
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(one, (ast.Attribute, ast.Subscript)) for one in targets):
                yield node
        for name in ("body", "orelse", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield from _effects(getattr(node, name, []), hayate_names)
        for inner in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
            yield from _effects(inner.body, hayate_names)


def _is_script_guard(test: ast.expr) -> bool:
    names = chains(test)
    return "__name__" in names or "TYPE_CHECKING" in names


def _names_of_hayate(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in imports(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "hayate":
                    names.add(alias.asname or "hayate")
        elif node.level == 0 and (node.module or "").partition(".")[0] == "hayate":
            names |= {alias.asname or alias.name for alias in node.names}
    return names


class _Meaning(ast.NodeTransformer):
    """Takes out what does not change what a module does."""

    def __init__(self, hayate_names: set[str]) -> None:
        self._hayate_names = hayate_names
        self._in_function = False

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        node.body = _without_texts(node.body)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        # Annotations of a class body mean something: fields of a dataclass, for one.
        outer, self._in_function = self._in_function, False
        self.generic_visit(node)
        self._in_function = outer
        node.body = _without_texts(node.body)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if not self._in_function:
            return node
        if node.value is None:
            # It still makes the name local.
            node.annotation = ast.Constant(None)
            return node
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        node.kind = None  # u"…" is "…"
        return node

    def _function(self, node: _F) -> _F:
        outer, self._in_function = self._in_function, True
        # How a stage is split and named is described beside its code.
        node.decorator_list = [
            one for one in node.decorator_list if not self._hayate_names & chains(one).keys()
        ]
        # Other decorators may read annotations (validators, command lines).
        if not node.decorator_list:
            node.returns = None
            for one in ast.walk(node.args):
                if isinstance(one, ast.arg):
                    one.annotation = None
        self.generic_visit(node)
        self._in_function = outer
        node.body = _without_texts(node.body)
        return node


def _without_texts(body: list[ast.stmt]) -> list[ast.stmt]:
    """Without docstrings, other bare texts, and `pass`."""
    kept = [
        one
        for one in body
        if not isinstance(one, ast.Pass)
        and not (
            isinstance(one, ast.Expr)
            and isinstance(one.value, ast.Constant)
            and isinstance(one.value.value, str)
        )
    ]
    return kept or [ast.copy_location(ast.Pass(), body[0])] if body else kept
