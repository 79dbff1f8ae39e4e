"""hayate.google.stream_read: a table through the Storage Read API."""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from google.api_core import exceptions

import hayate as hy
from hayate import _core
from hayate.google import stream_read
from hayate.google.stream_read import TableRead

_TABLE = {"projectId": "p", "datasetId": "d", "tableId": "t"}
_SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string())])


def _answer(batch: pa.RecordBatch, count: int | None = None) -> Any:
    content = batch.serialize().to_pybytes()
    return SimpleNamespace(
        arrow_record_batch=SimpleNamespace(serialized_record_batch=content),
        row_count=batch.num_rows if count is None else count,
    )


def _batch(first: int, rows: int) -> pa.RecordBatch:
    numbers = list(range(first, first + rows))
    return pa.record_batch([numbers, [f"r{n}" for n in numbers]], schema=_SCHEMA)


class _Call:
    """An open stream."""

    def __init__(self, answers: Iterator[Any], cancelled: threading.Event) -> None:
        self._answers = answers
        self.cancelled = cancelled

    def __iter__(self) -> Iterator[Any]:
        return self._answers

    def cancel(self) -> None:
        self.cancelled.set()


class _Client:
    """Streams of rows, some answers of which fail.

    Attributes:
        rows: of each stream.
        faults: (stream, how often it was opened) → (rows after which it fails, error).
        opened: (stream, offset) of each opening.
    """

    def __init__(self, rows: dict[str, int]) -> None:
        self.rows = rows
        self.faults: dict[tuple[str, int], tuple[int, Exception | Callable[[_Call], None]]] = {}
        self.session_faults: list[Exception] = []
        self.opened: list[tuple[str, int]] = []
        self.request: Any = None
        self.lock = threading.Lock()
        self.wrong_count: int | None = None

    def create_read_session(self, request: Any, retry: Any, timeout: float) -> Any:
        self.request = request
        if self.session_faults:
            raise self.session_faults.pop(0)
        schema = SimpleNamespace(serialized_schema=_SCHEMA.serialize().to_pybytes())
        streams = [SimpleNamespace(name=name) for name in self.rows]
        return SimpleNamespace(streams=streams, arrow_schema=schema)

    def read_rows(self, read_stream: str, offset: int, retry: Any, timeout: Any) -> _Call:
        with self.lock:
            self.opened.append((read_stream, offset))
            times = sum(name == read_stream for name, _ in self.opened)
        cancelled = threading.Event()
        call: list[_Call] = []

        def answers() -> Iterator[Any]:
            base = 1000 * list(self.rows).index(read_stream)
            fault = self.faults.get((read_stream, times))
            for at in range(offset, self.rows[read_stream], 10):
                if fault is not None and at - offset >= fault[0]:
                    if isinstance(fault[1], Exception):
                        raise fault[1]
                    fault[1](call[0])
                yield _answer(
                    _batch(base + at, min(10, self.rows[read_stream] - at)), self.wrong_count
                )

        call.append(_Call(answers(), cancelled))
        return call[0]


def _read(client: _Client, directory: pathlib.Path, said: list[str], **more: Any) -> TableRead:
    directory.mkdir(exist_ok=True)
    return TableRead(
        client,
        _TABLE,
        "payer",
        more.pop("schema", _SCHEMA),
        str(directory),
        said.append,
        lambda *at: None,
        keep_order=more.pop("keep_order", False),
        threads=3,
        sleep=lambda seconds: None,
        **more,
    )


def _frame(directory: pathlib.Path) -> pa.Table:
    _core.commit(str(directory), "bigquery")
    return hy.Frame(directory).to_arrow()


def test_streams_become_parts_in_order(tmp_path: pathlib.Path) -> None:
    client = _Client({"s0": 25, "s1": 0, "s2": 40, "s3": 5})
    said: list[str] = []
    assert _read(client, tmp_path, said).run() == 70
    numbers = _frame(tmp_path)["a"].to_pylist()
    expected = [*range(25), *range(2000, 2040), *range(3000, 3005)]
    assert numbers == expected
    assert not said
    assert client.request.parent == "projects/payer"
    assert client.request.read_session.table == "projects/p/datasets/d/tables/t"
    assert client.request.max_stream_count == 6


def test_an_order_is_kept_by_one_stream(tmp_path: pathlib.Path) -> None:
    client = _Client({"s0": 25})
    assert _read(client, tmp_path, [], keep_order=True).run() == 25
    assert client.request.max_stream_count == 1


def test_a_broken_stream_goes_on_behind_its_last_row(tmp_path: pathlib.Path) -> None:
    client = _Client({"s0": 100, "s1": 30})
    client.session_faults = [exceptions.ServiceUnavailable("busy")]
    client.faults = {
        ("s0", 1): (30, exceptions.ServiceUnavailable("gone")),
        ("s0", 2): (0, exceptions.InternalServerError("RST_STREAM")),
        ("s0", 3): (20, exceptions.GatewayTimeout("late")),
    }
    said: list[str] = []
    reading = _read(client, tmp_path, said)
    assert reading.run() == 130 and reading.retries == 4
    assert [offset for name, offset in client.opened if name == "s0"] == [0, 30, 30, 50]
    assert _frame(tmp_path)["a"].to_pylist() == [*range(100), *range(1000, 1030)]
    assert len(said) == 4 and "attempt 2 of 8" in said[1]


def test_a_stream_that_always_fails_ends_the_reading(tmp_path: pathlib.Path) -> None:
    client = _Client({"s0": 100, "s1": 30})
    client.faults = {
        ("s0", number): (0, exceptions.ServiceUnavailable("down")) for number in range(1, 99)
    }
    said: list[str] = []
    with pytest.raises(hy.InputError, match="down") as caught:
        _read(client, tmp_path, said).run()
    assert caught.value.where.object == "p.d.t"
    assert len(said) == 7
    assert not os.path.exists(tmp_path / "frame.json")


def test_what_is_refused_is_not_tried_again(tmp_path: pathlib.Path) -> None:
    client = _Client({"s0": 100})
    client.session_faults = [exceptions.PermissionDenied("bigquery.readsessions.create")]
    said: list[str] = []
    with pytest.raises(hy.UsageError, match="readsessions"):
        _read(client, tmp_path, said).run()
    assert not said


def test_a_stream_that_stalls_is_opened_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_read, "STALL_S", 0.0)
    client = _Client({"s0": 50})

    def stall(call: _Call) -> None:
        assert call.cancelled.wait(30)
        raise exceptions.Cancelled("cancelled")

    client.faults = {("s0", 1): (20, stall)}
    said: list[str] = []
    assert _read(client, tmp_path, said).run() == 50
    assert [offset for _, offset in client.opened] == [0, 20]
    assert "TimeoutError" in said[0]


def test_rows_that_are_not_what_is_said_are_an_error(tmp_path: pathlib.Path) -> None:
    client = _Client({"s0": 20})
    client.wrong_count = 11
    with pytest.raises(hy.InputError, match="says 11 rows and sends 10"):
        _read(client, tmp_path, []).run()
    schema = pa.schema([("other", pa.int64())])
    with pytest.raises(hy.InputError, match="do not have the query's schema"):
        _read(_Client({"s0": 20}), tmp_path / "x", [], schema=schema).run()


def test_an_empty_table_has_columns(tmp_path: pathlib.Path) -> None:
    assert _read(_Client({}), tmp_path, []).run() == 0
    table = _frame(tmp_path)
    assert table.num_rows == 0 and table.schema.names == ["a", "b"]
