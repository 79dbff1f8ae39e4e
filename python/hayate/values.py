"""Values of parameters: their types, their text on the command line, their JSON."""

from __future__ import annotations

import datetime as dt
import enum
import math
import os
import pathlib
import typing
from typing import Any

_SIMPLE_TYPES: dict[type, str] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    dt.date: "date",
    dt.datetime: "datetime",
    pathlib.Path: "path",
}
TYPES_TEXT = (
    "str, int, float, bool, datetime.date, datetime.datetime, pathlib.Path, an Enum or Literal[…]"
)
_TRUE_WORDS = ("true", "1", "yes", "on")
_FALSE_WORDS = ("false", "0", "no", "off")
_INT64_MAX = 2**63 - 1


def type_name(kind: Any) -> str | None:
    """Name of a parameter's type in the job description; None if it cannot be one."""
    if isinstance(kind, type) and kind in _SIMPLE_TYPES:
        return _SIMPLE_TYPES[kind]
    if isinstance(kind, type) and issubclass(kind, enum.Enum) and len(kind) > 0:
        return "enum"
    if typing.get_origin(kind) is typing.Literal and all(
        isinstance(one, (str, int, bool)) for one in typing.get_args(kind)
    ):
        return "literal"
    return None


def accepts(kind: Any, name: str, value: Any) -> bool:
    """Whether `value` is of the type; an int is a float, a bool is no int."""
    match name:
        case "literal":
            choices = typing.get_args(kind)
            return any(value == one and type(value) is type(one) for one in choices)
        case "enum":
            return isinstance(value, kind)
        case "float":
            return type(value) in (int, float) and math.isfinite(value)
        case "int":
            return type(value) is int and -_INT64_MAX - 1 <= value <= _INT64_MAX
        case "path":
            return isinstance(value, pathlib.PurePath)
    return type(value) is kind


def parse(kind: Any, name: str, text: str, working_directory: str) -> Any:
    """The value that `text` means; a relative path is joined to `working_directory`.

    Raises:
        ValueError: it means none.
    """
    match name:
        case "int":
            number = int(text)
            if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
                raise ValueError(text)
            return number
        case "float":
            real = float(text)
            if not math.isfinite(real):
                raise ValueError(text)
            return real
        case "bool":
            word = text.strip().lower()
            if word not in _TRUE_WORDS + _FALSE_WORDS:
                raise ValueError(text)
            return word in _TRUE_WORDS
        case "date":
            return dt.date.fromisoformat(text)
        case "datetime":
            return dt.datetime.fromisoformat(text)
        case "path":
            if not text:
                raise ValueError(text)
            return pathlib.Path(working_directory, os.path.expanduser(text))
        case "enum":
            # Names before values: one member's value may be another one's name.
            if text in kind.__members__:
                return kind[text]
            for member in kind:
                if text == str(member.value):
                    return member
            raise ValueError(text)
        case "literal":
            for choice in typing.get_args(kind):
                if text == _literal_text(choice):
                    return choice
            raise ValueError(text)
    return text


def description(kind: Any, name: str) -> str:
    """What a text of this type has to be, for an error."""
    if name == "enum":
        return "one of " + ", ".join(member.name for member in kind)
    if name == "literal":
        return "one of " + ", ".join(_literal_text(one) for one in typing.get_args(kind))
    return {
        "int": "an integer (int, 64 bits)",
        "float": "a finite number (float)",
        "bool": "true or false (bool)",
        "date": "a date (datetime.date, as 2026-11-24)",
        "datetime": "a date and time (datetime.datetime, as 2026-11-24T06:30:00)",
        "path": "a path (pathlib.Path)",
    }.get(name, name)


def example(kind: Any, name: str) -> str:
    """What one could write after ``--set name=``."""
    if name == "enum":
        return str(next(iter(kind)).name)
    if name == "literal":
        return _literal_text(typing.get_args(kind)[0])
    return {
        "int": "1",
        "float": "0.5",
        "bool": "true",
        "date": "2026-11-24",
        "datetime": "2026-11-24T06:30:00",
        "path": "PATH",
    }.get(name, "TEXT")


def _literal_text(choice: Any) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def to_text(value: Any) -> str:
    """Text that parse() reads back as the same value (what hy.run passes on)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, pathlib.PurePath):
        return os.path.abspath(value)
    return str(value)


def to_json(value: Any) -> Any:
    """The value as the job description and the task message carry it."""
    if isinstance(value, (enum.Enum, dt.date, dt.datetime, pathlib.PurePath)):
        return to_text(value)
    return value


def from_json(kind: Any, name: str, value: Any) -> Any:
    """Inverse of to_json."""
    if name == "float" and value is not None:
        return float(value)
    if not isinstance(value, str) or name in ("str", "literal"):
        return value
    if name == "enum":
        return kind[value]
    return parse(kind, name, value, os.sep)
