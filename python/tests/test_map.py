"""hy.map from start to end: the supervisor, its pool, workers."""

from __future__ import annotations

import functools
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from data_frames import assert_same

import hayate as hy
from hayate.frames import write_table
from hayate.pool import packages_of
from hayate.to_pandas import text_dtype


@pytest.fixture(scope="module")
def clicks() -> pd.DataFrame:
    random = np.random.default_rng(1)
    count = 5_000
    return pd.DataFrame(
        {
            "user": random.integers(0, 300, count),
            "price": random.normal(size=count),
            "item": pd.Series(random.choice(["a", "b", "日本"], count), dtype=text_dtype()),
        }
    )


def _first_appearance(frame: pd.DataFrame) -> list[Any]:
    return frame["user"].drop_duplicates().tolist()


def test_partitions_hold_whole_groups_and_every_row(clicks: pd.DataFrame) -> None:
    def totals(part: pd.DataFrame) -> pd.DataFrame:
        return part.groupby("user", as_index=False)["price"].sum()

    result = hy.map(totals, clicks, partition_by="user")
    expected = clicks.groupby("user", as_index=False)["price"].sum()
    found = result.sort_values("user", ignore_index=True)
    assert_same(found, expected)


def test_groups_come_in_order_of_first_appearance(clicks: pd.DataFrame) -> None:
    result = hy.map(
        lambda rows: pd.DataFrame({"user": rows["user"][:1], "n": [len(rows)]}),
        clicks,
        group_by="user",
    )
    assert result["user"].tolist() == _first_appearance(clicks)
    assert result["n"].sum() == len(clicks)
    counts = hy.map(len, clicks, group_by=["user"])
    assert counts == result["n"].tolist()


def test_slices_keep_the_order(clicks: pd.DataFrame) -> None:
    result = hy.map(lambda rows: rows.assign(twice=rows["price"] * 2), clicks, rows=700)
    assert_same(result, clicks.assign(twice=clicks["price"] * 2))


def test_closures_and_lambdas_carry_what_they_need(clicks: pd.DataFrame) -> None:
    factor, helper = 3.0, np.abs
    result = hy.map(lambda rows: rows.assign(x=helper(rows["price"]) * factor), clicks, rows=1000)
    np.testing.assert_array_equal(result["x"], np.abs(clicks["price"]) * 3.0)


def test_form_of_the_data_is_kept_or_chosen(clicks: pd.DataFrame) -> None:
    polars = hy.map(
        lambda rows: rows.with_columns(x=pl.col("price") + 1), pl.from_pandas(clicks), rows=2000
    )
    assert isinstance(polars, pl.DataFrame)
    assert polars["x"].len() == len(clicks)
    table = hy.map(lambda rows: rows, clicks, rows=2000, as_="arrow")
    assert isinstance(table, pa.Table)
    frame = hy.map(lambda rows: rows.to_arrow(), clicks, rows=2000, as_="frame")
    assert isinstance(frame, hy.Frame)
    assert frame.rows == len(clicks)
    again = hy.map(lambda rows: rows, frame, rows=2000)
    assert_same(again, clicks)


def test_frame_without_rows_has_no_groups(clicks: pd.DataFrame) -> None:
    empty = clicks.iloc[:0]
    assert hy.map(len, empty, group_by="user") == []
    assert_same(hy.map(lambda rows: rows[["user"]], empty, group_by="user"), empty[["user"]])


def test_iterable_gives_a_list_in_its_order() -> None:
    assert hy.map(lambda x: x * x, range(1000)) == [x * x for x in range(1000)]
    assert hy.map(lambda x: x, iter(["a", None, {"b": 1}])) == ["a", None, {"b": 1}]
    assert hy.map(lambda x: x, []) == []


def test_async_function_is_run() -> None:
    async def later(x: int) -> int:
        return x + 1

    assert hy.map(later, [1, 2]) == [2, 3]


def test_work_happens_in_other_processes_that_stay() -> None:
    first = set(hy.map(lambda _: os.getpid(), range(64)))
    second = set(hy.map(lambda _: os.getpid(), range(64)))
    assert os.getpid() not in first
    assert first & second


def test_exception_carries_the_users_own_traceback(clicks: pd.DataFrame) -> None:
    def inner(rows: pd.DataFrame) -> Any:
        return rows["no such column"]

    def outer(rows: pd.DataFrame) -> Any:
        return inner(rows)

    with pytest.raises(hy.StageError) as caught:
        hy.map(outer, clicks, partition_by="user")
    assert "KeyError" in caught.value.what
    assert "in inner" in caught.value.user_traceback
    assert caught.value.where.object == __file__
    assert caught.value.where.stage == "outer"
    assert hy.map(lambda x: x, [1]) == [1]


def test_none_for_a_part_is_an_error(clicks: pd.DataFrame) -> None:
    with pytest.raises(hy.StageError, match="returned None"):
        hy.map(lambda rows: None, clicks, rows=2500)


def test_killed_worker_is_reported_and_the_next_call_works() -> None:
    with pytest.raises(hy.WorkerDiedError) as caught:
        hy.map(lambda x: os.kill(os.getpid(), signal.SIGKILL), [1])
    assert "SIGKILL" in str(caught.value) or "signal 9" in str(caught.value)
    assert hy.map(lambda x: x + 1, [1]) == [2]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda df: hy.map(len, df), "how to split"),
        (lambda df: hy.map(len, df, partition_by="user", rows=3), "exclude each other"),
        (lambda df: hy.map(len, df, rows=0), "not a number of rows"),
        (lambda df: hy.map(len, df, group_by=[]), "names no columns"),
        (lambda df: hy.map(len, [1], rows=3), "only a data frame"),
        (lambda df: hy.map(3, [1]), "needs a function"),
        (lambda df: hy.map(len, 3), "or an iterable"),
        (lambda df: hy.map(len, df, rows=3, as_="numpy"), "no form of data"),
        (lambda df: hy.map(lambda x, f=sys.stdout: x, [1]), "cannot be sent"),
        (lambda df: hy.map(len, df, partition_by="usr"), "usr"),
    ],
)
def test_wrong_use_is_told(clicks: pd.DataFrame, call: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(hy.UsageError, match=said):
        call(clicks)


def test_temporary_files_are_removed(
    clicks: pd.DataFrame, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAYATE_TMP", str(tmp_path))
    result = hy.map(lambda rows: rows, clicks, partition_by="user")
    assert list(tmp_path.iterdir()) == []
    assert result["item"].value_counts().sum() == len(clicks)


def test_frame_in_a_directory_is_used_as_it_is(tmp_path: pathlib.Path) -> None:
    from hayate import _core

    write_table(pa.table({"a": [1, 2, 3]}), str(tmp_path / "f"), 0)
    _core.commit(str(tmp_path / "f"), "f", 1)
    result = hy.map(lambda rows: rows.assign(b=1), hy.Frame(tmp_path / "f"), rows=2)
    assert result["b"].tolist() == [1, 1, 1]


def _run_script(folder: pathlib.Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(textwrap.dedent(text))
    (folder / "beside.py").write_text("def double(x):\n    return 2 * x\n")
    return subprocess.run(
        [sys.executable, str(folder / "script.py")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HAYATE_TMP": str(folder)},
        check=False,
    )


def test_plain_script_without_a_main_guard(tmp_path: pathlib.Path) -> None:
    done = _run_script(
        tmp_path,
        """
        import hayate as hy
        import beside

        def function(x):
            print("in the worker", x)
            return beside.double(x)

        print(hy.map(function, [1, 2, 3]))
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[2, 4, 6]\n"
    assert "in the worker 3" in done.stderr
    left = {one.name for one in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"script.py", "beside.py"}


_CELLS = """
import hayate as hy
import pandas as pd

class Scale:
    def __init__(self, by):
        self.by = by
    def __call__(self, rows):
        return rows.assign(x=rows["x"] * self.by + offset())

def offset():
    return SHIFT

SHIFT = 1
data = pd.DataFrame({"k": [1, 2, 1], "x": [1, 2, 3]})
print(sorted(hy.map(Scale(10), data, partition_by="k")["x"]))
SHIFT = 2
print(sorted(hy.map(lambda rows: Scale(10)(rows), data, partition_by="k")["x"]))
print([type(one).__name__ + str(one.by) for one in hy.map(Scale, [1, 2])])
"""

# What a notebook's kernel does: cells are executed in __main__, which has no file, and what is
# written to stderr goes to an object without a descriptor.
_KERNEL = """
import io, sys
sys.stderr = io.StringIO()
del globals()["__file__"]
for cell in CELLS.split("\\n\\n"):
    exec(compile(cell, "<cell>", "exec"), globals())
"""


@pytest.mark.parametrize("how", ["-c", "stdin", "interactive", "notebook"])
def test_functions_of_a_session_without_a_file(tmp_path: pathlib.Path, how: str) -> None:
    arguments, fed = ["-c", _CELLS], ""
    if how in ("stdin", "interactive"):
        arguments, fed = ["-i"] if how == "interactive" else ["-"], _CELLS
    elif how == "notebook":
        (tmp_path / "kernel.py").write_text(f"CELLS = {_CELLS!r}\n{_KERNEL}")
        arguments = [str(tmp_path / "kernel.py")]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=fed,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout == "[11, 21, 31]\n[12, 22, 32]\n['Scale1', 'Scale2']\n", done.stderr


def test_closures_and_partials_carry_what_they_bind() -> None:
    def power_of(exponent: int) -> Callable[[int], int]:
        return lambda x: pow(x, exponent)

    assert hy.map(power_of(3), [1, 2]) == [1, 8]
    assert hy.map(functools.partial(pow, 2), [1, 2]) == [2, 4]
    assert hy.map(str.upper, ["a"]) == ["A"]


def test_module_that_was_edited_and_reloaded_is_seen_by_workers(tmp_path: pathlib.Path) -> None:
    done = _run_script(
        tmp_path,
        """
        import importlib, pathlib
        import hayate as hy
        import beside

        print(hy.map(lambda x: beside.double(x), [1, 2]))
        pathlib.Path(beside.__file__).write_text("def double(x):\\n    return 2000 * x\\n")
        importlib.reload(beside)
        print(hy.map(lambda x: beside.double(x), [1, 2]), hy.map(beside.double, [3]))
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[2, 4]\n[2000, 4000] [6000]\n"


def test_module_from_a_folder_that_is_searched_later_is_found(tmp_path: pathlib.Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "later.py").write_text("def triple(x):\n    return 3 * x\n")
    done = _run_script(
        tmp_path,
        """
        import os, sys
        import hayate as hy

        print(hy.map(len, ["a"]))
        sys.path.append(os.path.join(os.environ["HAYATE_TMP"], "more"))
        import later

        print(hy.map(lambda x: later.triple(x), [1, 2]))
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[1]\n[3, 6]\n"


@pytest.mark.parametrize("stderr", ["None", "io.StringIO()"])
def test_workers_may_print_without_a_stderr(tmp_path: pathlib.Path, stderr: str) -> None:
    done = _run_script(
        tmp_path,
        f"""
        import io, sys
        import hayate as hy

        sys.stderr = {stderr}
        hy.map(len, ["start"])
        getattr(sys.stderr, "close", lambda: None)()
        print(hy.map(lambda x: print("x" * 200_000) or x, [1, 2]))
        """,
    )
    assert done.stdout == "[1, 2]\n", done.stderr


def test_interrupt_ends_the_call_and_every_process(tmp_path: pathlib.Path) -> None:
    done = _run_script(
        tmp_path,
        """
        import os, signal, threading, time
        import hayate as hy

        def slow(x):
            open(os.path.join(os.environ["HAYATE_TMP"], "started"), "w").close()
            signal.pause()

        def interrupt():
            while not os.path.exists(os.path.join(os.environ["HAYATE_TMP"], "started")):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        try:
            hy.map(slow, [1])
        except KeyboardInterrupt:
            print("interrupted", hy.map(len, ["ab"]))
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "interrupted [2]\n"


def test_packages_that_a_function_names_are_found() -> None:
    assert packages_of(lambda rows: pd.concat([rows, np.zeros(3)])) == ["numpy", "pandas"]
    assert packages_of(len) == []
