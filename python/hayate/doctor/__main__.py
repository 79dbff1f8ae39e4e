"""``python -m hayate.doctor``: what the command ``hayate doctor`` starts."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

import hayate
from hayate.doctor import buckets, datasets, identity, job_file, machine, packages
from hayate.doctor.finding import Check, Results, run_checks
from hayate.doctor.google_access import Access
from hayate.doctor.job_file import JobFile
from hayate.doctor.screen import Screen, has_colour, to_json
from hayate.doctor.secrets_in_use import SecretsInUse
from hayate.doctor.targets import Targets, make_targets
from hayate.errors import HayateError, UsageError


class _Parser(argparse.ArgumentParser):
    """Errors in hayate's own shape."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, fix="See hayate doctor --help.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Looks, and says what it has found.

    Returns:
        The exit code: 0 nothing is wrong, 1 there is a problem, 2 wrong use, 130 interrupted.
    """
    secrets = SecretsInUse.from_environment()
    _keep_libraries_quiet()
    ended_by = _interrupt_at_end()
    try:
        return _doctor(_parse(arguments), secrets)
    except UsageError as error:
        sys.stderr.write(secrets.remove_from(f"hayate: error: {error}\n"))
        return 2
    except HayateError as error:
        sys.stderr.write(secrets.remove_from(f"hayate: error: {error}\n"))
        return 1
    except KeyboardInterrupt:
        sys.stdout.flush()
        # The interpreter would wait for a thread that may never end.
        os._exit(128 + (ended_by[0] if ended_by else signal.SIGINT))
    except BrokenPipeError:
        # Who read has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _interrupt_at_end() -> list[int]:
    """Makes SIGTERM an interrupt as well, so that what lies in a bucket is removed.

    Returns:
        The signals that came so far.
    """
    came: list[int] = []

    def interrupt(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    return came


def _keep_libraries_quiet() -> None:
    """Google's libraries warn of what the findings say better, in the middle of the screen."""
    logging.getLogger("google").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="hayate doctor", add_help=False, allow_abbrev=False)
    parser.add_argument("job", nargs="?", default="")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--store", default="")
    parser.add_argument("--bucket", action="append", default=[])
    parser.add_argument("--dataset", action="append", default=[])
    parser.add_argument("--project", default="")
    parser.add_argument("--location", default="")
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--save", default="")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def _doctor(options: argparse.Namespace, secrets: SecretsInUse) -> int:
    given = _pairs(options.set)
    if given and not options.job:
        raise UsageError("--set is given without a job file", fix="Give it: hayate doctor job.py.")
    if options.save and not options.probe:
        raise UsageError("--save is given without --probe", fix="Give --probe as well.")
    named = make_targets(options.bucket, options.dataset, options.project, options.location)
    job = job_file.load(options.job, given) if options.job else None
    targets = named if job is None else named.joined(job.targets)
    base = os.path.dirname(job.path) if job else os.getcwd()
    store = os.path.abspath(options.store or os.path.join(base, ".hayate"))
    checks = _checks(options, targets, job, store, secrets)
    if options.json:
        results = run_checks(checks)
        print(to_json(results, secrets.remove_from, hayate.__version__), flush=True)
    else:
        colour = has_colour(sys.stdout)
        screen = Screen(sys.stdout, secrets.remove_from, colour=colour)
        results = run_checks(checks, screen.show)
        screen.close(results, _notes(options, targets, job))
    return _leave(results)


def _checks(
    options: argparse.Namespace,
    targets: Targets,
    job: JobFile | None,
    store: str,
    secrets: SecretsInUse,
) -> list[Check]:
    access = Access(targets.project, secrets)
    needs_google = targets.is_any or options.probe or (job is not None and job.needs_bigquery)
    found = machine.checks()
    found += packages.checks(needs_bigquery=needs_google)
    found += identity.checks(access, is_needed=needs_google)
    found += datasets.checks(access, targets, is_needed=needs_google)
    found += buckets.checks(access, targets)
    if options.probe:
        from hayate.doctor import probe  # loads pyarrow, which may be what is missing

        found += probe.checks(
            access, targets, store, os.path.abspath(options.save) if options.save else ""
        )
    if job is not None:
        found += job_file.checks(job, store)
    return found


def _notes(options: argparse.Namespace, targets: Targets, job: JobFile | None) -> list[str]:
    """What was not looked at, and how it would be."""
    notes = []
    if job is None:
        notes.append("A job's sources and store: hayate doctor job.py")
    if not targets.folders:
        notes.append("A bucket, its location and what we may do there: --bucket gs://bucket/folder")
    if not targets.datasets:
        notes.append("Where a dataset is: --dataset project.dataset")
    if targets.folders and not options.probe:
        notes.append(
            "How BigQuery writes CSV here: --probe, which exports a few rows. It costs one small "
            "query that reads no table."
        )
    return ["Not looked at:", *notes] if notes else []


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(
                f'--set "{text}" is no name with a value', fix="Write --set name=value."
            )
        found[name] = value
    return found


def _leave(results: Results) -> int:
    code = 1 if results.worst == "problem" else 0
    if results.has_unfinished:
        # The interpreter would wait for a thread that may never end.
        sys.stdout.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
