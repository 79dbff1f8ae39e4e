"""hayate.google.reuse: when a result is still the same, and where it is kept."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any

import pytest

from hayate.google.dry_run import DryRun, Table
from hayate.google.reuse import Key, Results, key

_PATH = {"projectId": "p", "datasetId": "d", "tableId": "t"}
_FIELDS = ({"name": "a", "type": "INTEGER"},)
_BASE: dict[str, Any] = {
    "type": "TABLE",
    "lastModifiedTime": "1000",
    "creationTime": "1",
    "numRows": "3",
}
_NOW_MS = 1_800_000_000_000
_HOUR_MS = 3_600_000


def _found(**more: Any) -> DryRun:
    found = DryRun(_FIELDS, 5, "US", "p", (_PATH,), ())
    return dataclasses.replace(found, **more)


def _table(**more: Any) -> Table:
    return Table(_PATH, {**_BASE, **more})


def _key(**more: Any) -> Key:
    arguments: dict[str, Any] = {
        "sql": "SELECT a FROM d.t",
        "parameters_digest": "x",
        "found": _found(),
        "tables": [_table()],
        "columns": None,
        "who": "me",
        "now_ms": _NOW_MS,
    }
    return key(**{**arguments, **more})


def test_the_same_query_over_the_same_table_has_the_same_key() -> None:
    one = _key()
    assert one.is_reusable and not one.reasons
    assert _key(sql="SELECT a -- the a\n  FROM d.t;").digest == one.digest
    assert _key(now_ms=_NOW_MS + 10 * _HOUR_MS).digest == one.digest
    # Bytes that a query reads are an estimate; they are no part of what it gives.
    assert _key(found=_found(bytes_processed=6)).digest == one.digest


@pytest.mark.parametrize(
    "changed",
    [
        {"sql": "SELECT a AS A FROM d.t"},
        {"sql": "SELECT a FROM d.t WHERE a > 'x -- y'"},
        {"parameters_digest": "y"},
        {"found": _found(location="EU")},
        {"found": _found(project="q")},
        {"found": _found(schema=({"name": "a", "type": "STRING"},))},
        {"tables": [_table(lastModifiedTime="1001")]},
        {"tables": [_table(creationTime="2")]},
        {"columns": ["a"]},
        {"who": "you"},
    ],
)
def test_what_the_result_depends_on_is_in_the_key(changed: dict[str, Any]) -> None:
    assert _key(**changed).digest != _key().digest


def test_the_definition_of_a_view_is_in_the_key() -> None:
    def view(sql: str) -> Table:
        path = {**_PATH, "tableId": "v"}
        return Table(path, {"type": "VIEW", "view": {"query": sql, "useLegacySql": False}})

    one = _key(tables=[_table(), view("SELECT a FROM d.t")])
    assert one.is_reusable
    assert one.digest != _key(tables=[_table(), view("SELECT a + 1 AS a FROM d.t")]).digest
    varying = _key(tables=[_table(), view("SELECT a, RAND() FROM d.t")])
    assert varying.reasons == ("the view p.d.v has RAND in line 1",)


def test_partitions_that_end_are_in_the_key() -> None:
    def at(hours: int, kind: str) -> str:
        partitioning = {"type": kind, "expirationMs": str(48 * _HOUR_MS)}
        table = _table(timePartitioning=partitioning)
        return _key(tables=[table], now_ms=hours * _HOUR_MS + 1).digest

    day = 500_000 * 24
    assert at(day, "DAY") == at(day + 23, "DAY") != at(day + 24, "DAY")
    assert at(day, "HOUR") != at(day + 1, "HOUR")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sql": "SELECT CURRENT_DATE FROM d.t"}, "the SQL has CURRENT_DATE in line 1"),
        ({"sql": "SELECT a\nFROM d.t WHERE RAND() < 0.1"}, "the SQL has RAND in line 2"),
        ({"tables": [_table(streamingBuffer={"estimatedRows": "1"})]},
         "rows are being streamed into p.d.t"),
        ({"tables": [_table(type="EXTERNAL")]}, "no table of BigQuery's own (external)"),
        ({"tables": [_table(biglakeConfiguration={"uri": "x"})]}, "no table of BigQuery's own"),
        ({"tables": [_table(type="VIEW", view={"query": "x"})]}, "is in legacy SQL"),
        ({"tables": [_table(type="VIEW")]}, "the definition of the view p.d.t cannot be seen"),
        ({"tables": [_table(lastModifiedTime="")]}, "has no time of change"),
        ({"tables": []}, "p.d.t is not found any more"),
        ({"tables": [Table(_PATH, {}, is_visible=False)]}, "we may not look at p.d.t"),
        ({"found": _found(routines=("d.f",))}, "the SQL calls the function d.f"),
        ({"sql": "SELECT * FROM d.INFORMATION_SCHEMA.TABLES"}, "no time of change"),
        ({"found": _found(referenced=(_PATH,) * 50)}, "not all are listed"),
    ],
)  # fmt: skip
def test_why_a_result_cannot_be_used_again(changed: dict[str, Any], reason: str) -> None:
    found = _key(**changed)
    assert not found.is_reusable
    assert reason in "; ".join(found.reasons)


def _build(results: Results, run: str) -> str:
    path = results.unfinished_path(run)
    os.makedirs(path)
    (pathlib.Path(path) / "frame.json").write_text("{}")
    return path


def test_results_are_found_by_their_whole_key(tmp_path: pathlib.Path) -> None:
    results, wanted = Results(str(tmp_path)), _key()
    assert results.find(wanted) is None
    stored = results.publish(_build(results, "a"), wanted, {"rows": 3})
    assert os.path.basename(stored.directory) == f"bigquery-{wanted.digest[:16]}"
    found = results.find(wanted)
    assert found is not None and found.record["rows"] == 3
    assert results.find(_key(who="you")) is None
    # Another key whose first digits are the same is not taken for it.
    record = pathlib.Path(stored.directory) / "bigquery.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "key": "other"}))
    assert results.find(wanted) is None
    assert os.listdir(tmp_path / "frames") == [os.path.basename(stored.directory)]


def test_of_two_runs_the_first_gives_the_result(tmp_path: pathlib.Path) -> None:
    results, wanted = Results(str(tmp_path)), _key()
    one, two = _build(results, "a"), _build(results, "b")
    first = results.publish(one, wanted, {"rows": 3})
    second = results.publish(two, wanted, {"rows": 3})
    assert second.directory == first.directory
    assert len(os.listdir(tmp_path / "frames")) == 1


def test_what_is_damaged_makes_room(tmp_path: pathlib.Path) -> None:
    results, wanted = Results(str(tmp_path)), _key()
    first = results.publish(_build(results, "a"), wanted, {"rows": 3})
    os.unlink(os.path.join(first.directory, "frame.json"))
    assert results.find(wanted) is None
    again = results.publish(_build(results, "b"), wanted, {"rows": 4})
    assert again.directory == first.directory and results.find(wanted) is not None
    results.discard(again)
    assert results.find(wanted) is None
    assert os.listdir(tmp_path / "frames") == []


def test_why_a_query_runs_again_is_said(tmp_path: pathlib.Path) -> None:
    results = Results(str(tmp_path))
    assert results.difference(_key()) == ""
    results.publish(_build(results, "a"), _key(), {"rows": 3})
    changed = _key(tables=[_table(lastModifiedTime="1001")], who="you")
    assert results.difference(changed) == "table p.d.t changed, who changed"
    assert results.difference(_key(sql="SELECT 1")) == ""


def test_only_unfinished_folders_are_discarded(tmp_path: pathlib.Path) -> None:
    results = Results(str(tmp_path))
    stored = results.publish(_build(results, "a"), _key(), {"rows": 3})
    unfinished = _build(results, "b")
    foreign = tmp_path / "data"
    foreign.mkdir()
    (tmp_path / "frame").mkdir()
    temporary = tmp_path / "hayate-frame-abc" / "frame"
    temporary.mkdir(parents=True)
    kept = (stored.directory, str(foreign), str(tmp_path / "frame"))
    for path in (*kept, unfinished, str(temporary)):
        results.discard_unfinished(path)
    assert results.find(_key()) is not None
    assert all(os.path.isdir(path) for path in kept)
    assert not os.path.exists(unfinished) and not temporary.parent.exists()
