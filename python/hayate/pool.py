"""hy.map: a function over parts of a data frame, or over items, on every core."""

from __future__ import annotations

import functools
import itertools
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import cloudpickle
import pyarrow as pa

from hayate import _core
from hayate.convert import As, check_as, is_data_frame, one_chunk_per_column, to_table
from hayate.errors import UsageError
from hayate.frames import Frame, load, write_table
from hayate.loading import is_installed
from hayate.ownership import is_project_module
from hayate.pickling import dump
from hayate.pool_process import SHARED
from hayate.temporary import TemporaryFolder

# Items travel in files of several, so that short calls do not wait for each other's messages.
_FILES_PER_CORE = 8
_ROWS_PER_PART = 200_000


def map(
    fn: Callable[[Any], Any],
    data: Any,
    *,
    partition_by: str | Sequence[str] | None = None,
    group_by: str | Sequence[str] | None = None,
    rows: int | None = None,
    as_: As | None = None,
    cores: int | None = None,
) -> Any:
    """Calls a function for parts of the data, in worker processes, and puts the results together.

    Works in scripts, notebooks and tests; lambdas and closures may be given. The workers start with
    the first call (some tenths of a second) and are kept until the interpreter ends.

    Args:
        fn: a function of one argument; ``async def`` is run to its end. What else it needs is bound
            in it (a closure, ``functools.partial``).
        data: a data frame (pandas, Polars, pyarrow, hy.Frame), or any iterable of items.
        partition_by: columns; a call gets many whole groups of equal keys.
        group_by: columns; a call for each key, in order of first appearance.
        rows: a call gets a slice of that many rows, in order.
        as_: what the function gets and what is returned, "pandas", "polars", "arrow" or "frame"; by
            default what `data` is (pandas for a hy.Frame).
        cores: at most this many calls at a time; by default one for each core.

    Returns:
        For a data frame: the concatenation of the data frames that were returned, or the list of
        other results, in the order of the parts. For an iterable: the list of results in its order.

    Raises:
        StageError: the function raised, or returned None for a part of a data frame; carries the
            function's own traceback.
        UsageError: the arguments do not go together, a column does not exist, or the function
            cannot be pickled.
        WorkerDiedError: a worker was killed twice (memory) or crashed.
    """
    if not callable(fn):
        raise UsageError(f"hy.map needs a function, not {type(fn).__name__}")
    mode, by, slice_rows = _mode(partition_by, group_by, rows)
    if not is_data_frame(data):
        if mode:
            raise UsageError(
                f"only a data frame can be split by {mode}=, not {type(data).__name__}",
                fix="Give a data frame, or leave the argument out to call the function per item.",
            )
        return _map_items(fn, data, cores or 0)
    if not mode:
        raise UsageError(
            "hy.map needs to know how to split the data frame",
            fix='Add partition_by="column", group_by="column" or rows=100_000.',
        )
    form = check_as(as_) if as_ is not None else _form_of(data)
    with _folder() as folder:
        with _stored(data, folder, mode) as frame:
            task = _task(fn, folder, cores or 0)
            task |= {"mode": mode, "by": by, "rows": slice_rows, "frame": frame, "as": form}
            SHARED.run(task)
        if form != "frame":
            return load(task["dir"], as_=form)
        # Mapped files stay readable after they are removed; a handle opens them later.
        kept = TemporaryFolder("hayate-frame-")
        directory = os.path.join(kept.path, "frame")
        os.replace(task["dir"], directory)
        return Frame(directory, folder=kept)


def _mode(
    partition_by: str | Sequence[str] | None, group_by: str | Sequence[str] | None, rows: int | None
) -> tuple[str, list[str], int]:
    given = [one for one in (partition_by, group_by, rows) if one is not None]
    if len(given) > 1:
        raise UsageError("partition_by=, group_by= and rows= exclude each other", fix="Use one.")
    if rows is not None:
        if type(rows) is not int or rows < 1:
            raise UsageError(f"rows={rows!r} is not a number of rows", fix="Give 1 or more.")
        return "rows", [], rows
    columns = partition_by if partition_by is not None else group_by
    if columns is None:
        return "", [], 0
    by = [columns] if isinstance(columns, str) else list(columns)
    if not by or not all(isinstance(one, str) for one in by):
        raise UsageError(f"{columns!r} names no columns", fix="Give a name or a list of names.")
    return ("partition" if partition_by is not None else "group"), by, 0


def _form_of(data: Any) -> As:
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return "arrow"
    return "polars" if type(data).__module__.partition(".")[0] == "polars" else "pandas"


def _map_items(fn: Callable[[Any], Any], data: Iterable[Any], cores: int) -> list[Any]:
    try:
        items = list(data)
    except TypeError as error:
        raise UsageError(
            f"hy.map goes over a data frame or an iterable, not {type(data).__name__}"
        ) from error
    if not items:
        return []
    files = min(len(items), _FILES_PER_CORE * (cores or _core.available_cores()))
    with _folder() as folder:
        paths = []
        ends = [len(items) * (at + 1) // files for at in range(files)]
        for at, (start, end) in enumerate(itertools.pairwise([0, *ends])):
            paths.append(os.path.join(folder, f"items-{at}.pkl"))
            _pickle(items[start:end], paths[-1], "items")
        task = _task(fn, folder, cores)
        SHARED.run(task | {"mode": "items", "by": [], "rows": 0, "frame": None, "items": paths})
        results: list[Any] = load(task["dir"])
        return results


def _task(fn: Callable[[Any], Any], folder: str, cores: int) -> dict[str, Any]:
    path = os.path.join(folder, "function.pkl")
    _pickle(fn, path, "function")
    return {
        "kind": "map",
        "name": getattr(_unwrapped(fn), "__name__", type(fn).__name__),
        "items": [],
        "function": {"cloudpickle": path},
        "as": None,
        "cores": cores,
        "preload": packages_of(fn),
        "start": "fork",
        "dir": os.path.join(folder, "out"),
    }


def _unwrapped(fn: Any) -> Any:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def _pickle(value: Any, path: str, noun: str) -> None:
    """Pickles with the module of `value` itself by value, where it is the user's own: workers may
    not find it by its name."""
    module = sys.modules.get(getattr(_unwrapped(value), "__module__", None) or "")
    by_value = module is not None and is_project_module(module)
    if by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        with open(path, "wb") as file:
            dump(value, file)
    except OSError:
        raise
    except Exception as error:
        raise UsageError(
            f"the {noun} of hy.map cannot be sent to workers: {error}",
            fix="Open files, connections and locks inside of the function.",
        ) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)


def packages_of(fn: Callable[..., Any]) -> list[str]:
    """Installed packages that a function names as globals, for the workers to import early."""
    function = _unwrapped(fn)
    code = getattr(function, "__code__", None)
    namespace = getattr(function, "__globals__", {})
    found: set[str] = set()
    pending = [code] if code is not None else []
    while pending:
        current = pending.pop()
        pending += [one for one in current.co_consts if isinstance(one, types.CodeType)]
        for name in current.co_names:
            value = namespace.get(name)
            owner = value if isinstance(value, types.ModuleType) else None
            module = owner.__name__ if owner else getattr(value, "__module__", None)
            top = module.partition(".")[0] if isinstance(module, str) else ""
            package = sys.modules.get(top)
            if package is not None and is_installed(getattr(package, "__file__", None) or ""):
                found.add(top)
    return sorted(found)


@contextmanager
def _stored(data: Any, folder: str, mode: str) -> Iterator[str]:
    """The directory of a frame with the data; a whole hy.Frame of a directory is used as it is."""
    if isinstance(data, Frame) and data.is_whole_directory:
        yield data.path
        return
    table = to_table(data)
    directory = os.path.join(folder, "in")
    # Slices of one part are mapped without a copy; a shuffle reads parts in parallel.
    count = 1
    if mode != "rows":
        count = max(1, min(4 * _core.available_cores(), table.num_rows // _ROWS_PER_PART))
    ends = [table.num_rows * (at + 1) // count for at in range(count)]
    parts = [table.slice(start, end - start) for start, end in itertools.pairwise([0, *ends])]
    with ThreadPoolExecutor(_core.available_cores()) as threads:
        list(
            threads.map(
                lambda at: write_table(one_chunk_per_column(parts[at]), directory, at), range(count)
            )
        )
    _core.commit(directory, "data", count)
    yield directory


@contextmanager
def _folder() -> Iterator[str]:
    """A folder of one call."""
    folder = TemporaryFolder("hayate-map-")
    try:
        yield folder.path
    finally:
        folder.remove()
