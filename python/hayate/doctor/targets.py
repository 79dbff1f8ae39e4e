"""What of BigQuery and Cloud Storage is to be looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hayate.errors import UsageError, Where
from hayate.google.statement import folder_uri

#: A project may have the domain of its organisation in front: example.com:project.
_PROJECT = r"(?:[a-z0-9.\-]+:)?[a-z][a-z0-9\-]{0,62}"
_DATASET = re.compile(rf"({_PROJECT})\.(\w{{1,1024}})", re.ASCII)


@dataclass(frozen=True)
class Targets:
    """Plain names, whoever named them: the command line, a job file.

    Attributes:
        folders: of exports and staging: gs://bucket/…/, each once.
        datasets: project.dataset, each once.
        project: that jobs run in; empty: that of the credentials.
        location: of jobs; empty: found from the data.
    """

    folders: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    project: str = ""
    location: str = ""

    @property
    def is_any(self) -> bool:
        """Whether there is anything to look at, so that credentials have to be there."""
        return bool(self.folders or self.datasets or self.project)

    def joined(self, other: Targets) -> Targets:
        """All of both; where only one can be, that of this."""
        return Targets(
            tuple(dict.fromkeys(self.folders + other.folders)),
            tuple(dict.fromkeys(self.datasets + other.datasets)),
            self.project or other.project,
            self.location or other.location,
        )


def make_targets(
    folders: Iterable[str], datasets: Iterable[str], project: str = "", location: str = ""
) -> Targets:
    """Targets of texts.

    Args:
        folders: gs://bucket or gs://bucket/folder.
        datasets: project.dataset, or dataset alone where `project` is given.

    Raises:
        UsageError: a text is none of these.
    """
    named = []
    for text in datasets:
        full = f"{project}.{text}" if "." not in text and project else text
        if _DATASET.fullmatch(full) is None:
            raise UsageError(
                f'"{text}" names no dataset',
                Where(object="--dataset"),
                "Write --dataset project.dataset.",
            )
        named.append(full)
    found = []
    for text in folders:
        try:
            found.append(folder_uri(text))
        except UsageError as error:
            remedy = "Write --bucket gs://bucket or --bucket gs://bucket/folder."
            raise UsageError(
                error.what.replace("export=", "--bucket"), error.where, remedy
            ) from None
    return Targets(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(named)), project, location)
