"""The worker: tasks in, parts out, errors in words."""

from __future__ import annotations

import asyncio
import itertools
import json
import pathlib
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from shuffled import shuffled

import hayate as hy
from hayate import _core, codecs, pickling
from hayate.frames import write_table
from hayate.protocol import FD_VARIABLE, Channel
from hayate.worker import Worker

_IDS = itertools.count(1)


class Harness:
    """Sends tasks to a worker in this process and commits what it writes."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.worker = Worker(None)  # type: ignore[arg-type]

    def frame(self, table: pa.Table, name: str = "in") -> str:
        directory = str(self.folder / name)
        write_table(table, directory, 0)
        _core.commit(directory, name, 1)
        return directory

    def value(self, value: Any, name: str) -> str:
        directory = str(self.folder / name)
        codecs.write_value(value, directory, 0, {"mode": "once"})
        _core.commit(directory, name, 1)
        return directory

    def task(
        self,
        function: Callable[..., Any],
        inputs: list[dict[str, Any]],
        mode: str = "once",
        outputs: tuple[str, ...] = ("out",),
        **members: Any,
    ) -> dict[str, Any]:
        pickled = self.folder / f"function-{next(_IDS)}.pkl"
        with open(pickled, "wb") as file:
            pickling.dump(function, file)
        number = members.get("partition", 0)
        return {
            "type": "task",
            "id": next(_IDS),
            "kind": "stage",
            "stage": "features",
            "mode": mode,
            "threads": 1,
            "function": {"cloudpickle": str(pickled)},
            "inputs": inputs,
            "outputs": [
                {"name": name, "dir": str(self.folder / name), "part": number} for name in outputs
            ],
            **members,
        }

    def run(self, function: Callable[..., Any], inputs: list[dict[str, Any]], **rest: Any) -> Any:
        """The first output after the call, committed and loaded."""
        answer = self.worker.run(self.task(function, inputs, **rest))
        assert answer["type"] == "done", answer
        return self.committed()

    def committed(self, name: str = "out", parts: int = -1) -> Any:
        _core.commit(str(self.folder / name), name, parts)
        return hy.load(self.folder / name)

    def error(self, function: Callable[..., Any], inputs: list[dict[str, Any]], **rest: Any) -> Any:
        answer = self.worker.run(self.task(function, inputs, **rest))
        assert answer["type"] == "failed", answer
        return answer["error"]


@pytest.fixture
def harness(tmp_path: pathlib.Path) -> Harness:
    return Harness(tmp_path)


def _whole(path: str, param: str = "data", as_: str | None = None) -> dict[str, Any]:
    return {"param": param, "mode": "whole", "frame": path, "as": as_}


def _part(path: str, number: int, param: str = "data", as_: str | None = None) -> dict[str, Any]:
    return {"param": param, "mode": "partition", "frame": path, "partition": number, "as": as_}


def test_whole_frame_goes_through_the_function(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1, 2, 3]}))
    result = harness.run(lambda data: data.assign(b=data["a"] * 2), [_whole(path)])
    assert result["b"].tolist() == [2, 4, 6]


def test_answer_says_what_was_written_and_what_it_took(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1, 2, 3]}))
    answer = harness.worker.run(harness.task(lambda data: data, [_whole(path)]))
    (summary,) = answer["result"]["parts"]
    assert (summary["rows"], summary["parts"], summary["table"]) == (3, 1, True)
    assert summary["columns"] == [["a", "int64"]]
    assert summary["bytes"] > 0
    assert answer["usage"]["max_rss_bytes"] > 1 << 20
    assert answer["usage"]["user_cpu_s"] <= answer["usage"]["cpu_s"]


def test_time_of_the_function_is_measured_alone(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1]}))

    def spin(data: Any) -> Any:
        import time

        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return data

    usage = harness.worker.run(harness.task(spin, [_whole(path)]))["usage"]
    assert 0.05 <= usage["user_cpu_s"] <= usage["cpu_s"]


@pytest.mark.parametrize(
    ("as_", "kind"),
    [(None, pd.DataFrame), ("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("arrow", pa.Table)],
)
def test_input_comes_in_the_form_asked_for(harness: Harness, as_: str | None, kind: type) -> None:
    path = harness.frame(pa.table({"a": [1, None]}))
    seen = harness.run(
        lambda data: {"kind": type(data).__name__, "rows": len(data)}, [_whole(path, as_=as_)]
    )
    assert seen == {"kind": kind.__name__, "rows": 2}


def test_partitions_and_slices(harness: Harness) -> None:
    table = pa.table({"k": [1, 2, 1, 3], "v": [1.0, 2.0, 3.0, 4.0]})
    path = shuffled(harness.folder / "s", table, [0, 1, 0, 1], parts=2)
    for number in (0, 1):
        answer = harness.worker.run(
            harness.task(
                lambda data: data, [_part(path, number)], mode="partition", partition=number
            )
        )
        assert answer["type"] == "done", answer
    assert harness.committed(parts=2)["v"].tolist() == [1.0, 3.0, 2.0, 4.0]
    spec = {"param": "data", "mode": "rows", "frame": path, "start": 1, "stop": 3, "as": None}
    rows = harness.run(lambda data: data, [spec], mode="rows", partition=0, outputs=("out2",))
    assert rows is not None
    assert hy.load(harness.folder / "out2" / "part-00000.arrow")["v"].tolist() == [2.0, 3.0]


def test_partition_without_rows_is_not_called(harness: Harness) -> None:
    path = shuffled(harness.folder / "s", pa.table({"k": [1, 2]}), [0, 2])

    def refuse_empty(data: Any) -> Any:
        assert len(data) == 1
        return data.assign(x=data["k"] * 1.5)

    for number in range(3):
        answer = harness.worker.run(
            harness.task(refuse_empty, [_part(path, number)], mode="partition", partition=number)
        )
        assert answer["type"] == "done", answer
    result = harness.committed(parts=3)
    assert result["x"].tolist() == [1.5, 3.0]
    assert result.columns.tolist() == ["k", "x"]


def test_input_without_any_row_is_called_for_its_columns(harness: Harness) -> None:
    table = pa.table({"k": pa.array([], pa.int64())})
    path = shuffled(harness.folder / "s", table, [])
    result = harness.run(
        lambda data: data.assign(x=1.0), [_part(path, 0)], mode="partition", partition=0
    )
    assert result.columns.tolist() == ["k", "x"]


def test_groups_are_called_one_by_one_in_order_of_first_appearance(harness: Harness) -> None:
    table = pa.table({"k": ["b", "a", None, "b", "c", "a"], "v": [1, 2, 3, 4, 5, 6]})
    path = shuffled(harness.folder / "s", table, [1, 0, 1, 1, 0, 0], parts=2, numbered=True)

    def total(data: Any) -> Any:
        assert data.columns.tolist() == ["k", "v"]
        assert data.index.tolist() == list(range(len(data)))
        return pd.DataFrame({"k": data["k"][:1], "sum": [data["v"].sum()]})

    for number in (0, 1):
        answer = harness.worker.run(
            harness.task(total, [_part(path, number)], mode="group", by=["k"], partition=number)
        )
        assert answer["type"] == "done", answer
    result = harness.committed(parts=2)
    assert result["sum"].tolist() == [5, 8, 3, 5]
    assert result["k"].fillna("null").tolist() == ["b", "a", "null", "c"]


def test_values_of_groups_are_a_list_by_first_appearance(harness: Harness) -> None:
    table = pa.table({"k": [1, 2, 1, 3]})
    path = shuffled(harness.folder / "s", table, [1, 0, 1, 1], numbered=True)
    for number in (0, 1):
        harness.worker.run(
            harness.task(
                _rows_of,
                [_part(path, number)],
                mode="group",
                by=["k"],
                partition=number,
            )
        )
    assert harness.committed(parts=2) == [2, 1, 1]


@pytest.mark.parametrize("as_value", [True, False])
def test_input_without_any_group_gives_no_value_and_no_row(
    harness: Harness, as_value: bool
) -> None:
    table = pa.table({"k": pa.array([], pa.int64())})
    path = shuffled(harness.folder / "s", table, [], numbered=True)
    result = harness.run(
        lambda data: len(data) if as_value else data.assign(n=len(data)),
        [_part(path, 0)], mode="group", by=["k"], partition=0,
    )  # fmt: skip
    assert result == [] if as_value else result.columns.tolist() == ["k", "n"]


def test_groups_of_two_inputs_meet_by_key(harness: Harness) -> None:
    one = shuffled(harness.folder / "a", pa.table({"k": [1, 2, 1]}), [0, 0, 0], numbered=True)
    keys = pa.table({"k": pa.array([2, 3], pa.int32())})
    other = shuffled(harness.folder / "b", keys, [0, 0], numbered=True)
    result = harness.run(
        lambda a, b: [len(a), len(b)],
        [_part(one, 0, "a"), _part(other, 0, "b")],
        mode="group",
        by=["k"],
        partition=0,
    )
    assert result == [[2, 0], [1, 1], [0, 1]]


def test_groups_whose_types_differ_are_unified(harness: Harness) -> None:
    path = shuffled(harness.folder / "s", pa.table({"k": [1, 2]}), [0, 0], numbered=True)

    def sometimes_missing(data: Any) -> Any:
        value = 1 if data["k"][0] == 1 else 1.5
        return pd.DataFrame({"x": [value], "s": [None if value == 1 else "text"]})

    result = harness.run(sometimes_missing, [_part(path, 0)], mode="group", by=["k"], partition=0)
    assert result["x"].tolist() == [1.0, 1.5]
    assert result["s"].tolist()[1] == "text"


@pytest.mark.parametrize("alike", [True, False])
def test_rows_that_groups_keep_are_numbered_anew(harness: Harness, alike: bool) -> None:
    path = shuffled(harness.folder / "s", pa.table({"k": [1, 1, 2, 2]}), [0] * 4, numbered=True)

    def kept(data: Any) -> Any:
        # Filters of pandas 3 leave either, by chance of the rows that they keep.
        if data["k"][0] == 1:
            return data.assign(x=1).set_axis(pd.RangeIndex(0, 4, 2))
        return data.assign(x=1 if alike else 1.0).set_axis([0, 3])

    result = harness.run(kept, [_part(path, 0)], mode="group", by=["k"], partition=0)
    assert result.columns.tolist() == ["k", "x"]
    assert result.index.tolist() == [0, 1, 2, 3]


def test_several_outputs(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1, 2]}))
    answer = harness.worker.run(
        harness.task(lambda data: (data[:1], data[1:]), [_whole(path)], outputs=("train", "valid"))
    )
    assert [part["rows"] for part in answer["result"]["parts"]] == [1, 1]
    assert harness.committed("valid")["a"].tolist() == [2]


def test_several_outputs_by_name(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1, 2]}))
    names = ("train", "valid")
    answer = harness.worker.run(
        harness.task(lambda data: {"valid": data[1:], "train": data}, [_whole(path)], outputs=names)
    )
    assert [part["rows"] for part in answer["result"]["parts"]] == [2, 1]
    error = harness.error(lambda data: {"train": data, "x": 1}, [_whole(path)], outputs=names)
    assert "a dict of train, x for its 2 outputs" in error["what"]


def test_async_function_is_run(harness: Harness) -> None:
    async def later(data: Any) -> Any:
        return data

    path = harness.frame(pa.table({"a": [1]}))
    assert harness.run(later, [_whole(path)])["a"].tolist() == [1]


def test_items_are_called_one_by_one(harness: Harness) -> None:
    path = harness.folder / "items.pkl"
    path.write_bytes(cloudpickle.dumps([1, None, "x"]))
    spec = {"param": "", "mode": "items", "path": str(path)}
    assert harness.run(lambda item: item, [spec], mode="items", partition=0) == [1, None, "x"]


def test_writing_to_a_whole_input_is_not_seen_by_the_next_task(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1.0, 2.0], "i": [1, 2]}))
    array = harness.value(np.arange(3), "array")

    def spoil(data: Any, array: Any) -> Any:
        seen = [data["a"][0], array[0]]
        data.loc[0, "a"] = -1.0
        data["new"] = 1
        array[0] = -1
        return [float(seen[0]), int(seen[1]), len(data.columns)]

    for _ in range(2):
        result = harness.run(spoil, [_whole(path), _whole(array, "array")])
        assert result == [1.0, 0, 3]


@pytest.mark.parametrize(
    ("value", "spoil"),
    [
        ({"seen": {1, 2}}, lambda value: value["seen"].add(len(value["seen"]) + 1)),
        ({"lists": [b"x"]}, lambda value: value["lists"].append(b"y")),
        ({1, 2}, lambda value: value.add(9)),
        (np.array([b"x", None], dtype=object), lambda value: value.put(0, b"y")),
        ((b"x", [b"x"]), lambda value: value[1].append(b"y")),
        ({"bytes": b"x"}, lambda value: value.update(other=b"y")),
        ({"frame": pd.DataFrame({"a": [1]})}, lambda value: value["frame"].insert(0, "b", 1)),
    ],
    ids=["sets", "lists", "set", "objects", "tuple", "dict", "frame"],
)
def test_writing_to_a_whole_value_is_not_seen_by_the_next_task(
    harness: Harness, value: Any, spoil: Callable[[Any], Any]
) -> None:
    path = harness.value(value, "value")

    def seen(data: Any) -> str:
        before = repr(data)
        spoil(data)
        return before

    assert [harness.run(seen, [_whole(path)]) for _ in range(2)] == [repr(value)] * 2


def test_writing_to_a_whole_polars_frame_is_not_seen_by_the_next_task(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1, 2]}))

    def seen(data: Any) -> Any:
        before = [data.columns, data["a"].to_list()]
        data[0, "a"] = 7
        data.columns = ["renamed"]
        return before

    spec = _whole(path, as_="polars")
    assert [harness.run(seen, [spec]) for _ in range(2)] == [[["a"], [1, 2]]] * 2


@pytest.mark.parametrize("wrapped", [False, True])
def test_model_is_loaded_once_for_a_stage(harness: Harness, wrapped: bool) -> None:
    made = OrderedModel()
    model = harness.value({"model": made, "n": 1} if wrapped else made, "model")
    seen = []
    for _ in range(2):
        task = harness.task(_identity_of, [_whole(model, "model")])
        harness.worker.run(task)
        seen.append(harness.committed())
    assert seen[0] == seen[1]


def _rows_of(data: Any) -> int:
    return len(data)


def _identity_of(model: Any) -> int:
    return id(model["model"] if isinstance(model, dict) else model)


class OrderedModel:
    """Some object that only a pickle can hold."""


def _where(error: dict[str, Any]) -> dict[str, Any]:
    where: dict[str, Any] = error["where"]
    return where


def test_exception_comes_back_with_the_users_own_frames(harness: Harness) -> None:
    path = shuffled(harness.folder / "s", pa.table({"k": [1]}), [0])

    def inner(data: Any) -> Any:
        return data["missing"]

    def outer(data: Any) -> Any:
        return inner(data)

    error = harness.error(outer, [_part(path, 0)], mode="partition", partition=0)
    assert error["fault"] == "user_code"
    assert error["what"] == "KeyError: 'missing'"
    assert _where(error)["stage"] == "features"
    assert _where(error)["partition"] == 0
    assert _where(error)["object"] == __file__
    assert _where(error)["line"] == inner.__code__.co_firstlineno + 1
    assert "in outer" in error["traceback"]
    assert "in inner" in error["traceback"]
    assert "hayate/worker.py" not in error["traceback"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda data: None, "returned None"),
        (lambda data: data["a"], "returned a Series"),
        (lambda data: pd.DataFrame({"bad": [1, "x"]}, dtype=object), 'column "bad"'),
        (lambda data: sys.stdout, "cannot be stored"),
        (lambda data: sys.exit(3), "sys.exit(3)"),
    ],
    ids=["none", "series", "mixed", "file", "exit"],
)
def test_result_that_cannot_be_stored_names_stage_and_line(
    harness: Harness, function: Callable[..., Any], said: str
) -> None:
    path = harness.frame(pa.table({"a": [1]}))
    error = harness.error(function, [_whole(path)])
    assert error["fault"] == "user_code"
    assert said in error["what"]
    assert error["fix"]
    assert _where(error)["stage"] == "features"
    assert _where(error)["object"] == __file__
    assert _where(error)["line"] == function.__code__.co_firstlineno


def test_wrong_number_of_results_names_the_outputs(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1]}))
    error = harness.error(lambda data: data, [_whole(path)], outputs=("train", "valid"))
    assert "2 outputs" in error["what"]
    assert "train, valid" in error["fix"]
    error = harness.error(lambda data: (data, None), [_whole(path)], outputs=("train", "valid"))
    assert "None for its output valid" in error["what"]


def test_mixed_results_of_groups_are_an_error(harness: Harness) -> None:
    path = shuffled(harness.folder / "s", pa.table({"k": [1, 2]}), [0, 0], numbered=True)
    error = harness.error(
        lambda data: data if data["k"][0] == 1 else 5,
        [_part(path, 0)],
        mode="group",
        by=["k"],
        partition=0,
    )
    assert "for some groups" in error["what"]
    error = harness.error(
        lambda data: pd.DataFrame({"x": ["a" if data["k"][0] == 1 else 5]}),
        [_part(path, 0)],
        mode="group",
        by=["k"],
        partition=0,
    )
    assert "types that do not go together" in error["what"]


def test_worker_goes_on_after_a_failure(harness: Harness) -> None:
    path = harness.frame(pa.table({"a": [1]}))
    harness.error(lambda data: 1 / 0, [_whole(path)])
    assert harness.run(lambda data: data, [_whole(path)])["a"].tolist() == [1]


def test_what_is_no_exception_but_raised_is_reported_like_one(harness: Harness) -> None:
    async def cancelled(data: Any) -> Any:
        raise asyncio.CancelledError("by itself")

    def interrupted(data: Any) -> Any:
        raise KeyboardInterrupt

    path = harness.frame(pa.table({"a": [1]}))
    for function, what in [
        (cancelled, "CancelledError: by itself"),
        (interrupted, "KeyboardInterrupt"),
    ]:
        error = harness.error(function, [_whole(path)])
        assert (error["fault"], error["what"]) == ("user_code", what)
        assert _where(error)["object"] == __file__


def test_value_cannot_be_split(harness: Harness) -> None:
    path = harness.value({"a": 1}, "value")
    error = harness.error(lambda data: data, [_part(path, 0)], mode="partition", partition=0)
    assert error["fault"] == "usage"
    assert "cannot be split" in error["what"]


def test_worker_process_runs_a_stage_of_a_job_file(harness: Harness) -> None:
    job = harness.folder / "job.py"
    job.write_text(
        textwrap.dedent(
            """
            import logging
            import hayate as hy

            times = hy.param(int)
            data = hy.csv("data.csv")

            @hy.stage
            def features(data, times):
                print("printed")
                logging.info("logged")
                logging.basicConfig(level=logging.DEBUG, format="the job's: %(message)s")
                logging.debug("configured")
                return data.assign(b=data["a"] * times)
            """
        )
    )
    path = harness.frame(pa.table({"a": [1, 2]}))
    task = harness.task(len, [_whole(path)])
    del task["function"]
    task["inputs"].append({"param": "times", "mode": "value", "type": "int", "value": 3})
    code = harness.folder / "code.json"
    code.write_text(json.dumps({"sources": {}, "code": {}}))
    task |= {"job": str(job), "set": {"times": "3"}, "code": str(code)}
    ours, theirs = _socket_pair()
    process = subprocess.Popen(
        [sys.executable, "-m", "hayate.worker"],
        pass_fds=(theirs.fileno(),),
        env={**_environment(), FD_VARIABLE: str(theirs.fileno())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    theirs.close()
    channel = Channel(ours)
    hello = channel.receive()
    assert hello is not None
    assert (hello["type"], hello["role"], hello["pid"]) == ("hello", "python", process.pid)
    channel.send(task)
    answer = channel.receive()
    assert answer is not None
    assert answer["type"] == "done", json.dumps(answer)
    channel.send({"type": "exit"})
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "printed\n" in said
    assert "INFO root: logged\n" in said
    assert "the job's: configured\n" in said
    assert harness.committed()["b"].tolist() == [3, 6]
    channel.close()


def _socket_pair() -> tuple[Any, Any]:
    import socket

    return socket.socketpair()


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_preparing_loads_the_job_and_keeps_its_errors_for_the_task(harness: Harness) -> None:
    job = harness.folder / "job.py"
    message = {"type": "prepare", "modules": ["decimal", "no_such_module"], "job": str(job)}
    job.write_text("raise SystemExit(1)\n")
    harness.worker.prepare(message)
    job.write_text("import hayate as hy\n\nopen('loaded', 'a').write('x')\n")
    job.write_text(job.read_text().replace("'loaded'", repr(str(harness.folder / "loaded"))))
    harness.worker.prepare(message)
    harness.worker.prepare(message)
    assert (harness.folder / "loaded").read_text() == "x"
