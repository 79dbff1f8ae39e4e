"""Slow Python machine-learning batch jobs, made fast by default.

A job file declares parameters, sources, stages and outputs; ``hayate run job.py`` runs it. The four
calls `read_csv`, `map`, `save` and `load` serve scripts that exist already.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from hayate.declare import output, stage
from hayate.errors import (
    BusyError,
    HayateError,
    InputError,
    InternalError,
    InterruptedRunError,
    StageError,
    StorageError,
    UsageError,
    Where,
    WorkerDiedError,
)
from hayate.parameters import param, today
from hayate.run import result, run
from hayate.sources import bigquery, csv, parquet

if TYPE_CHECKING:
    from hayate.frames import Frame, load, save
    from hayate.google.read import read_bigquery
    from hayate.pool import map
    from hayate.read import read_csv, read_parquet
    from hayate.stream import iter_csv

__version__ = "0.1.0"

# These need pandas or pyarrow, so they are imported when first used.
_LAZY = {
    "Frame": "hayate.frames",
    "iter_csv": "hayate.stream",
    "load": "hayate.frames",
    "save": "hayate.frames",
    "map": "hayate.pool",
    "read_bigquery": "hayate.google.read",
    "read_csv": "hayate.read",
    "read_parquet": "hayate.read",
}

__all__ = [
    "BusyError",
    "Frame",
    "HayateError",
    "InputError",
    "InternalError",
    "InterruptedRunError",
    "StageError",
    "StorageError",
    "UsageError",
    "Where",
    "WorkerDiedError",
    "__version__",
    "bigquery",
    "csv",
    "iter_csv",
    "load",
    "map",
    "output",
    "param",
    "parquet",
    "read_bigquery",
    "read_csv",
    "read_parquet",
    "result",
    "run",
    "save",
    "stage",
    "today",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'hayate' has no attribute {name!r}")
    value = getattr(_import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
