"""Paths of a job file: parameters filled in, relative to the job file."""

from __future__ import annotations

import glob
import os
import string
from collections.abc import Mapping
from typing import Any

from hayate.errors import UsageError
from hayate.location import Location
from hayate.resolve import suggestion


def fill(path: str, parameters: Mapping[str, Any], location: Location) -> str:
    """`path` with ``{day}`` and ``{day:%Y%m%d}`` replaced; ``{{`` is a brace.

    Raises:
        UsageError: it names no parameter of the job, or the value cannot be written so.
    """
    where = location.where()
    parts: list[str] = []
    try:
        for text, field, spec, conversion in string.Formatter().parse(path):
            parts.append(text)
            if field is None:
                continue
            if conversion is not None:
                raise ValueError(f"!{conversion} is not known here")
            if field not in parameters:
                raise UsageError(
                    f'path "{path}" names "{field}", which is no parameter of the job',
                    where,
                    suggestion(field, parameters, "Its parameters are")
                    + " A brace itself is written twice: {{.",
                )
            if parameters[field] is None:
                raise UsageError(
                    f'path "{path}" names parameter {field}, which is None',
                    where,
                    f"Give it a value: --set {field}=….",
                )
            parts.append(format(parameters[field], spec or ""))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f'path "{path}" cannot be filled in: {error}',
            where,
            "Write {day} or {day:%Y%m%d}; a brace itself is written twice: {{.",
        ) from None
    return "".join(parts)


def absolute(path: str, directory: str, *, is_pattern: bool) -> str:
    """`path` relative to `directory`; its characters are no pattern even where `path` is one."""
    path = os.path.expanduser(path)
    if os.path.isabs(path):
        return path
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return os.path.join(glob.escape(directory) if is_pattern else directory, path)
