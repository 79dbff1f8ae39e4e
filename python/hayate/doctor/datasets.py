"""BigQuery: whether queries may run in the project, and where the datasets are."""

from __future__ import annotations

from collections.abc import Iterator

from hayate.doctor.finding import Check, Finding, NotTried
from hayate.doctor.google_access import Access
from hayate.doctor.targets import Targets
from hayate.google.client import query_configuration

SECTION = "BigQuery"
_LIMIT_S = 30.0


def checks(access: Access, targets: Targets, *, is_needed: bool) -> list[Check]:
    """All that is to be looked at here.

    Args:
        is_needed: whether anything of BigQuery is going to be used.
    """
    if not is_needed:
        return []

    def of_dataset(name: str) -> Check:
        return Check(
            SECTION,
            "dataset",
            lambda _: dataset(access, name, targets.location),
            _LIMIT_S,
            waits_for=access.last_retry,
        )

    first = Check(
        SECTION,
        "queries",
        lambda _: queries(access, targets.location),
        _LIMIT_S,
        waits_for=access.last_retry,
    )
    return [first, *(of_dataset(name) for name in targets.datasets)]


def queries(access: Access, location: str) -> Iterator[Finding]:
    """Whether we may run jobs: a query is checked, nothing runs, nothing is billed."""
    from hayate.google.dry_run import dry_run

    bigquery = access.bigquery()
    found = dry_run(bigquery, "SELECT 1 AS one", query_configuration([]), location or None)
    yield Finding("ok", "queries", f"may run in {found.project}, by default in {found.location}")


def dataset(access: Access, name: str, location: str) -> Iterator[Finding]:
    """Where a dataset is."""
    place = access.dataset_location(name)
    if not place:
        raise NotTried("BigQuery does not say where it is")
    what = f"{name} in {place}"
    if location and location.upper() != place.upper():
        yield Finding(
            "problem",
            "dataset",
            f"{what}, and queries are to run in {location}",
            f"Give --location {place}, and location= in the job: a query reads tables of one "
            "location.",
        )
    else:
        yield Finding("ok", "dataset", what)
