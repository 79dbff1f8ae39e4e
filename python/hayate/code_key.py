"""The meaning of a stage's code: a digest for each thing that its function reaches."""

from __future__ import annotations

import sys
from typing import Any

from hayate.code_walk import CodeWalk
from hayate.digest import digest_text
from hayate.errors import Where
from hayate.loading import executed_source, project_modules
from hayate.parameters import Param
from hayate.stages import Constant, Stage
from hayate.syntax import Module

#: What a stage gets where nothing is said.
_DISTRIBUTION_OF_AS = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}


class CodeKeys:
    """Digests of the stages of one job; what several stages share is parsed once.

    Args:
        main: name of the job file's module, whose things are called without it.
    """

    def __init__(self, main: str) -> None:
        self._main = main
        self._modules: dict[str, Module | None] = {}

    def of(self, stage: Stage[..., Any]) -> dict[str, str]:
        """Component → digest, the components named for people.

        Raises:
            UsageError: the code reads a parameter or source as a global, or a value that cannot be
                compared between runs.
        """
        walk = CodeWalk(self._main, self.module_of_file)
        walk.reach(stage.function, stage.name)
        for module in list(project_modules()):
            walk.effects_of(module)
        for name, bound in stage.inputs.items():
            if isinstance(bound, Constant):
                walk.components[f"type of {name}"] = type(bound.value).__qualname__
            elif isinstance(bound, Param):
                walk.parameter(bound, name)
            else:
                # The function works with this library whether its text names it or not; hayate's
                # own frames are no library's.
                as_ = stage.as_.get(name) or "pandas"
                if as_ in _DISTRIBUTION_OF_AS:
                    walk.components.distribution(_DISTRIBUTION_OF_AS[as_])
        walk.components["python"] = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return walk.components

    def constant(self, value: Any, label: str, where: Where) -> str:
        """Digest of a value given by ``inputs=``, with the code in it.

        Raises:
            UsageError: it cannot be compared between runs.
        """
        walk = CodeWalk(self._main, self.module_of_file)
        walk.value(value, label, where)
        return digest_text(*(text for pair in sorted(walk.components.items()) for text in pair))

    def sources(self) -> dict[str, str]:
        """Path → digest of its text, as imported, of every file of the project that was read."""
        texts = {path: executed_source(path) for path in sorted(self._modules)}
        return {path: digest_text(text) for path, text in texts.items() if text}

    def module_of_file(self, path: str) -> Module | None:
        if path not in self._modules:
            self._modules[path] = Module.of_file(path)
        return self._modules[path]
