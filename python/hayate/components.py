"""What a stage's code is made of: a digest for each thing, under a name for people."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types

from hayate.digest import digest_text
from hayate.distributions import distributions_of, versions
from hayate.loading import is_installed
from hayate.ownership import is_project_module


class Components(dict[str, str]):
    """Name → digest, or a distribution's version."""

    def add(self, name: str, digest: str) -> str:
        """Adds a thing and gives the name it has got: several may be called alike."""
        free, count = name, 1
        while self.get(free, digest) != digest:
            count += 1
            free = f"{name} #{count}"
        self[free] = digest
        return free

    def file(self, name: str, path: str) -> None:
        """Adds a file by its bytes."""
        with open(path, "rb") as file:
            self.add(name, digest_text(file.read().hex()))

    def distribution(self, name: str) -> None:
        """Adds an installed distribution and all that it requires."""
        self.update(versions(name))

    def type(self, kind: type) -> None:
        """Adds what a type comes from."""
        self.module(kind.__module__)

    def module(self, name: str) -> None:
        """Adds what a module comes from: its distribution, or its file where it has no text.

        The text of the project's own modules is not added: of that, only what is reached counts.
        """
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("hayate", "__main__", ""):
            return
        module = sys.modules.get(top)
        if module is None or not is_project_module(module):
            self._distribution_of(top)
            return
        path = str(getattr(sys.modules.get(name), "__file__", "") or "")
        if path.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
            self.file(f"module {name}", path)

    def _distribution_of(self, top: str) -> None:
        found = distributions_of(top)
        for name in found:
            self.distribution(name)
        path = str(getattr(sys.modules.get(top), "__file__", "") or "")
        if not found and os.path.isfile(path):
            self.file(f"module {top}", path)

    def imported(self, name: str) -> types.ModuleType | None:
        """The module if it is the project's own; a library is only added, not imported."""
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == "hayate":
            return None
        if top not in sys.modules:
            spec = importlib.util.find_spec(top)
            if spec is None:
                self.add(f"import {top}", "absent")
                return None
            places = [spec.origin or "", *(spec.submodule_search_locations or [])]
            if any(is_installed(place) for place in places):
                self._distribution_of(top)
                return None
        elif not is_project_module(sys.modules[top]):
            self.module(top)
            return None
        try:
            return importlib.import_module(name)
        except ImportError:
            # The function may be ready for that; one that is not says so when it is called.
            self.add(f"import {name}", "absent")
            return None
