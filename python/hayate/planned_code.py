"""That a worker runs the code that the keys of a run were made of."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from hayate.code_key import CodeKeys
from hayate.digest import digest_text
from hayate.errors import UsageError, Where
from hayate.job import Job
from hayate.loading import executed_source
from hayate.stages import Constant, Stage


class PlannedCode:
    """The code of a job when its run was planned, compared with what this process imported.

    A worker imports the job after the plan, and some modules only when a stage is called. What an
    edit in between computes must never be kept under the key of the text before it.
    """

    def __init__(self, path: str, job: Job) -> None:
        """Reads the run's ``code.json`` (docs/formats/job.md)."""
        with open(path, encoding="utf-8") as file:
            planned = json.load(file)
        self._job = job
        self._code: dict[str, dict[str, str]] = planned["code"]
        self._not_imported: dict[str, str] = planned["sources"]
        self._edited: list[str] = []
        self._same: set[str] = set()
        self._constants: set[tuple[str, str]] = set()
        self._modules = 0

    def stage(self, name: str) -> Stage[..., Any]:
        """The stage, once it is known to be the planned one.

        Raises:
            UsageError: it was edited.
        """
        stage = self._job.stages.get(name)
        if stage is None:
            raise _was_edited(self._job.path)
        self.check(stage)
        return stage

    def check(self, stage: Stage[..., Any]) -> None:
        """To be called when modules may have been imported, before results are kept.

        Raises:
            UsageError: the text of a module differs from the planned one, and so does the meaning
                of the stage.
        """
        self._compare_texts()
        if not self._edited or stage.name in self._same:
            return
        try:
            same = CodeKeys(self._job.module.__name__).of(stage) == self._code[stage.name]
        except UsageError:
            same = False
        if not same:
            raise _was_edited(self._edited[0])
        self._same.add(stage.name)

    def check_constant(self, stage: Stage[..., Any], spec: Mapping[str, Any]) -> None:
        """To be called before a constant of the job file is used that the task names by its digest.

        Raises:
            UsageError: this import of the job file has made another value.
        """
        place = (stage.name, spec["param"])
        bound = stage.inputs[spec["param"]]
        if not isinstance(bound, Constant) or spec.get("type") != "constant":
            return
        if place in self._constants:
            return
        label, where = f'inputs["{spec["param"]}"]', stage.location.where()
        keys = CodeKeys(self._job.module.__name__)
        if keys.constant(bound.value, label, where) != spec["value"]:
            raise UsageError(
                f"{label} of stage {stage.name} is another value each time the job is imported",
                where,
                "Make it inside of the stage, or pass it as a parameter (hy.param).",
            )
        self._constants.add(place)

    def _compare_texts(self) -> None:
        # Called after each call of a stage, so nothing is looked through without need.
        if not self._not_imported or len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        files = {getattr(one, "__dict__", {}).get("__file__") for one in list(sys.modules.values())}
        for path in [one for one in self._not_imported if one in files]:
            if digest_text(executed_source(path)) != self._not_imported.pop(path):
                self._edited.append(path)
                self._same.clear()


def _was_edited(path: str) -> UsageError:
    return UsageError(
        f"{os.path.basename(path)} was edited while the job ran",
        Where(object=path),
        "Run again: what was finished before the edit is kept.",
    )
