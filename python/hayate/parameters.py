"""Parameters of a job: their types, their text on the command line, their defaults."""

from __future__ import annotations

import datetime as dt
import pathlib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from hayate import values
from hayate.errors import UsageError
from hayate.location import Location, caller
from hayate.registry import register

_REQUIRED: Any = object()


@dataclass(frozen=True)
class Today:
    """A default that is the date of the run: ``hy.today(tz="Asia/Tokyo")``.

    ``hy.today() - datetime.timedelta(days=1)`` is the day before. Every process of one run sees the
    same date, also when the run passes midnight.
    """

    tz: str = "UTC"
    days: int = 0

    def __add__(self, delta: dt.timedelta) -> Today:
        if delta != dt.timedelta(days=delta.days):
            raise UsageError(
                f"hy.today() moves by whole days, not by {delta}",
                caller().where(),
                "Add or subtract datetime.timedelta(days=n).",
            )
        return replace(self, days=self.days + delta.days)

    def __sub__(self, delta: dt.timedelta) -> Today:
        return self + (-delta)

    def resolve(self, as_of: dt.datetime) -> dt.date:
        """The date in the time zone at the instant `as_of` (aware)."""
        return as_of.astimezone(_zone(self.tz)).date() + dt.timedelta(days=self.days)


def _zone(name: str) -> dt.tzinfo:
    if name == "UTC":
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f'time zone "{name}" is not known on this machine',
            caller().where(),
            'Write it as "Asia/Tokyo"; if it is right, install the package tzdata.',
        ) from error


def today(tz: str = "UTC") -> Today:
    """The date of the run in a time zone, as the default of a parameter.

    Args:
        tz: name in the IANA database, such as "Asia/Tokyo".

    Raises:
        UsageError: the time zone is not known.
    """
    _zone(tz)
    return Today(tz)


class Param:
    """A value that is given to a job when it is run (``--set day=2026-11-24``).

    It reaches a stage as an argument of the same name. As a global it has no value: every use of it
    in an expression is an error that says so.
    """

    def __init__(self, kind: Any, default: Any, location: Location) -> None:
        self._name = ""
        self._kind = kind
        self._location = location
        type_name = values.type_name(kind)
        if type_name is None:
            raise UsageError(
                f"hy.param cannot be of type {kind!r}",
                location.where(),
                f"Use one of {values.TYPES_TEXT}.",
            )
        self._type = type_name
        self._default = default
        if default is not _REQUIRED:
            self._default = self._checked_default(default)

    def _checked_default(self, default: Any) -> Any:
        if isinstance(default, Today):
            if self._type == "date":
                return default
            raise UsageError(
                f"hy.today() is a date, and the parameter is of type {self._type}",
                self._location.where(),
                "Declare it as hy.param(datetime.date, default=hy.today()).",
            )
        if default is None or values.accepts(self._kind, self._type, default):
            return float(default) if self._type == "float" and default is not None else default
        raise UsageError(
            f"default {default!r} is not of the parameter's type {self._type}",
            self._location.where(),
            "Give a default of that type.",
        )

    # What follows turns a use as a global into an error with a remedy.

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        name = self._name or _name_in(self._location.namespace, self) or "day"
        raise UsageError(
            f"parameter {name} is used as a global, where it has no value",
            caller().where(),
            f"Take it as an argument of the stage, def stage(…, {name}), and pass it on to "
            f'helpers; in a path write "{{{name}}}" in a plain string.',
        )

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        self._refuse()

    def __eq__(self, other: object) -> bool:
        self._refuse()

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<parameter {self._name or '?'}: {self._type}>"


_OPERATORS = (
    *("str", "format", "bytes", "bool", "int", "float", "complex", "index", "len", "iter", "next"),
    *("reversed", "contains", "getitem", "setitem", "call", "ne", "lt", "le", "gt", "ge"),
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv"),
    *("mod", "rmod", "pow", "rpow", "divmod", "rdivmod", "matmul", "rmatmul"),
    *("and", "rand", "or", "ror", "xor", "rxor", "lshift", "rlshift", "rshift", "rrshift"),
    *("neg", "pos", "abs", "invert", "round", "trunc", "floor", "ceil", "fspath", "enter"),
)
for _operator in _OPERATORS:
    setattr(Param, f"__{_operator}__", Param._refuse)


def param(kind: Any, *, default: Any = _REQUIRED) -> Any:
    """Declares a parameter of the job; its name is that of the module variable it is bound to.

    Args:
        kind: str, int, float, bool, datetime.date, datetime.datetime, pathlib.Path, an Enum
            class or typing.Literal[…]. A path given by ``--set`` is relative to the directory in
            which the command was started, a default to the job file.
        default: a value of that type, None, or ``hy.today(…)``. Without one the parameter is
            required.

    Raises:
        UsageError: the type is none of these, or the default is not of the type.
    """
    return register(Param(kind, default, caller()))


def name_of(parameter: Param) -> str:
    return parameter._name


def type_of(parameter: Param) -> str:
    """Name of the type in the job description: "date", "int", "enum", …"""
    return parameter._type


def kind_of(parameter: Param) -> Any:
    """The type itself."""
    return parameter._kind


def location_of(parameter: Param) -> Location:
    return parameter._location


def is_required(parameter: Param) -> bool:
    return parameter._default is _REQUIRED


def bind_name(parameter: Param) -> str:
    """Finds the variable that holds the parameter and keeps its name; empty if there is none."""
    parameter._name = _name_in(parameter._location.namespace, parameter)
    return parameter._name


def _name_in(namespace: Mapping[str, Any], wanted: object) -> str:
    for name, value in namespace.items():
        if value is wanted:
            return name
    return ""


def default_value(parameter: Param, as_of: dt.datetime, directory: str) -> Any:
    """The default as a value: the date of the run for hy.today(), absolute for a path."""
    default = parameter._default
    if isinstance(default, Today):
        return default.resolve(as_of)
    if isinstance(default, pathlib.PurePath):
        return pathlib.Path(
            directory, default.expanduser() if isinstance(default, pathlib.Path) else default
        )
    return default


def parse_value(parameter: Param, text: str, working_directory: str) -> Any:
    """The value that `text` (from ``--set name=text``) means for this parameter.

    Raises:
        UsageError: names the parameter, the text and the type.
    """
    kind, name = parameter._kind, parameter._type
    try:
        return values.parse(kind, name, text, working_directory)
    except ValueError:
        raise UsageError(
            f'parameter {parameter._name}: "{text}" is not {values.description(kind, name)}',
            parameter._location.where(),
            f"Write --set {parameter._name}={values.example(kind, name)}",
        ) from None


def example_text(parameter: Param) -> str:
    """What one could write after ``--set name=``."""
    return values.example(parameter._kind, parameter._type)


def value_from_json(parameter: Param, value: Any) -> Any:
    """The value of a task message, as the job's own type."""
    return values.from_json(parameter._kind, parameter._type, value)
