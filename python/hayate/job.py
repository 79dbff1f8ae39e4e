"""A job: what a job file declares, with every name resolved."""

from __future__ import annotations

import datetime as dt
import os
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hayate import parameters as params
from hayate.errors import UsageError, Where
from hayate.loading import import_job
from hayate.parameters import Param
from hayate.registry import collecting
from hayate.resolve import Graph, quoted, resolve, suggestion
from hayate.stages import Stage


@dataclass
class Job:
    """A job file after its import.

    Attributes:
        path: absolute path of the file.
        module: the imported file.
        set: the texts given by ``--set``; read by `values`.
        graph: its parameters, sources, stages and outputs.
    """

    path: str
    module: types.ModuleType
    set: dict[str, str]
    graph: Graph

    @property
    def directory(self) -> str:
        return os.path.dirname(self.path)

    @property
    def stages(self) -> dict[str, Stage[..., Any]]:
        """By name, in the order of the file; every input is resolved."""
        return self.graph.stages

    @property
    def params(self) -> dict[str, Param]:
        return self.graph.params

    def values(
        self, as_of: dt.datetime | None = None, working_directory: str | None = None
    ) -> dict[str, Any]:
        """The value of every parameter.

        Args:
            as_of: the aware instant that hy.today() means; by default now.
            working_directory: what paths in `set` are relative to; by default the current one.

        Raises:
            UsageError: unknown, missing or unreadable; all of one kind at once.
        """
        as_of = as_of or dt.datetime.now(dt.UTC)
        unknown = [name for name in self.set if name not in self.params]
        if unknown:
            raise UsageError(
                f"the job has no parameter {quoted(unknown)}",
                Where(object=self.path),
                suggestion(unknown[0], self.params, "Its parameters are"),
            )
        missing = [
            name
            for name, one in self.params.items()
            if params.is_required(one) and name not in self.set
        ]
        if missing:
            where = params.location_of(self.params[missing[0]]).where()
            noun = "parameter has" if len(missing) == 1 else "parameters have"
            given = " ".join(
                f"--set {name}={params.example_text(self.params[name])}" for name in missing
            )
            raise UsageError(
                f"{len(missing)} required {noun} no value: {', '.join(missing)}",
                where,
                f"Add {given}",
            )
        return {
            name: params.parse_value(one, self.set[name], working_directory or os.getcwd())
            if name in self.set
            else params.default_value(one, as_of, self.directory)
            for name, one in self.params.items()
        }


def load_job(path: str, set: Mapping[str, str] | None = None) -> Job:
    """Imports a job file and resolves what its stages read.

    The file's directory comes first on sys.path; the working directory stays. Parameters are only
    read by `Job.values`, so a worker may leave `set` out.

    Args:
        path: the file.
        set: parameter → text, as given by ``--set``.

    Raises:
        UsageError: a cycle, an unknown or duplicate name, a stage that cannot be split.
        Exception: whatever the file itself raises while it is imported.
    """
    with collecting() as registry:
        module = import_job(path)
    return Job(os.path.abspath(path), module, dict(set or {}), resolve(registry))
