"""Queries and tables of BigQuery in a job file: what is declared, and what the planner says."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from google_service import FakeBigQuery, error, serving
from job_files import load, wrong_use

import hayate as hy
from hayate.describe import describe
from hayate.google.service_task import Heartbeat

JOB = """
day = hy.param(dt.date)
least = hy.param(int, default=3)
clicks = hy.bigquery(
    "SELECT * FROM shop.clicks WHERE day = @day AND n >= @n",
    params={"n": least}, export="gs://bucket/{day}", project="test-project", min_rows=1,
)

@hy.stage
def model(clicks):
    return clicks
"""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBigQuery]:
    made = FakeBigQuery()
    reference = {"projectId": "test-project", "datasetId": "shop", "tableId": "clicks"}
    made.dry = {
        "schema": {"fields": [{"name": "n", "type": "INTEGER"}]},
        "totalBytesProcessed": "100",
        "referencedTables": [reference],
    }
    made.tables["test-project.shop.clicks"] = {
        "tableReference": reference,
        "type": "TABLE",
        "lastModifiedTime": "1000",
        "creationTime": "1",
        "numRows": "7",
        "location": "US",
    }
    with serving(made) as address:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", address)
        yield made


def described(folder: pathlib.Path, text: str = JOB, **given: str) -> dict[str, Any]:
    return describe(load(folder, text, **{"day": "2026-11-24", **given}))


def test_a_query_is_described_by_what_its_result_depends_on(
    tmp_path: pathlib.Path, service: FakeBigQuery
) -> None:
    first = described(tmp_path)["nodes"][0]
    assert (first["kind"], first["name"], first["format"]) == ("source", "clicks", "bigquery")
    assert first["min_rows"] == 1
    assert "rerun" not in first
    assert "paths" not in first
    assert first["key"]["parameter day"] == "2026-11-24"
    assert first["key"]["parameter n"] == "3"
    assert [one["name"] for one in first["query"]["parameters"]] == ["n", "day"]
    assert first["query"]["options"]["export"] == "gs://bucket/2026-11-24"
    assert described(tmp_path)["nodes"][0] == first
    # Nothing was run for it.
    assert not service.inserted

    other_day = described(tmp_path, day="2026-11-25")["nodes"][0]["key"]
    assert {name for name in other_day if other_day[name] != first["key"][name]} == {
        "parameter day"
    }
    service.tables["test-project.shop.clicks"]["lastModifiedTime"] = "2000"
    changed = described(tmp_path)["nodes"][0]["key"]
    assert {name for name in changed if changed[name] != first["key"][name]} == {
        "table test-project.shop.clicks"
    }


def test_a_query_whose_result_does_not_count_twice_says_why(
    tmp_path: pathlib.Path, service: FakeBigQuery
) -> None:
    text = JOB.replace("day = @day", "day = CURRENT_DATE()")
    first, second = (described(tmp_path, text)["nodes"][0] for _ in range(2))
    assert "CURRENT_DATE" in first["rerun"]
    assert first["key"]["run"] != second["key"]["run"]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("day = @day", "day = @dya", "@dya"),
        ('params={"n": least}', 'params={"n": least, "m": 1}', '"m"'),
        ('export="gs://bucket/{day}"', 'export="bucket/tmp"', "gs://"),
        ("SELECT * FROM", "DELETE FROM", "SELECT"),
        ('project="test-project"', 'project="test-project", columns=["x"]', '"x"'),
        ('project="test-project"', 'project="test-project", max_bytes_billed=10', "max_bytes"),
    ],
)
def test_what_is_wrong_names_the_job_file_and_its_line(
    tmp_path: pathlib.Path, service: FakeBigQuery, before: str, after: str, says: str
) -> None:
    assert before in JOB
    job = load(tmp_path, JOB.replace(before, after), day="2026-11-24")
    with pytest.raises(hy.UsageError) as caught:
        describe(job)
    assert caught.value.where.object == str(tmp_path / "job.py")
    assert caught.value.where.line == 5
    assert says in f"{caught.value.what} {caught.value.fix}"
    assert not service.inserted


def test_a_refused_query_tells_what_the_service_says(
    tmp_path: pathlib.Path, service: FakeBigQuery
) -> None:
    service.dry_answer = lambda sql: error(400, "invalidQuery", "Unrecognized name: nn at [1:8]")
    job = load(tmp_path, JOB, day="2026-11-24")
    with pytest.raises(hy.UsageError, match="Unrecognized name: nn") as caught:
        describe(job)
    assert caught.value.where.line == 5


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("hy.bigquery('')", "no SQL"),
        ("hy.bigquery('SELECT 1', params=3)", "params=3"),
        ("hy.bigquery('SELECT 1', min_rows=-1)", "min_rows=-1"),
        ("hy.bigquery('SELECT 1', columns='n')", "columns"),
        ("hy.output('a', 'bigquery://p.d.t')", "staging="),
        ("hy.output('a', 'a.csv', staging='gs://bucket/x')", "staging="),
        ("hy.output('a', 'a.csv', write='append')", "write="),
        ("hy.output('a', 'gs://bucket/a.csv')", "local"),
    ],
)
def test_what_is_declared_wrong_is_refused_at_once(
    tmp_path: pathlib.Path, call: str, says: str
) -> None:
    refused = wrong_use(tmp_path, f"a = {call}\n")
    assert says in refused.what
    assert refused.where.line == 3


def test_a_table_is_described_with_its_state(tmp_path: pathlib.Path, service: FakeBigQuery) -> None:
    text = JOB + (
        'hy.output(model, "bigquery://test-project.shop.scores${day}",\n'
        '          staging="gs://bucket/{day}", write="append", project="test-project")\n'
    )
    (output,) = described(tmp_path, text)["outputs"]
    assert output["path"] == "bigquery://test-project.shop.scores$20261124"
    assert output["load"]["table"] == "test-project.shop.scores$20261124"
    assert output["load"]["staging"] == "gs://bucket/2026-11-24"
    assert output["load"]["write"] == "append"
    assert "state" not in output

    table = {"projectId": "test-project", "datasetId": "shop", "tableId": "scores"}
    service.tables["test-project.shop.scores"] = {
        "tableReference": table,
        "lastModifiedTime": "5",
        "numRows": "9",
    }
    (first,) = described(tmp_path, text)["outputs"]
    service.tables["test-project.shop.scores"]["lastModifiedTime"] = "6"
    (second,) = described(tmp_path, text)["outputs"]
    assert first["state"] != second["state"]


def test_a_heartbeat_tells_how_far_a_task_is_and_ends_with_it() -> None:
    told: list[dict[str, Any]] = []
    with Heartbeat(7, told.append) as heartbeat:
        heartbeat.show(1, 2, 3, 4, 5)
        heartbeat.show(10, 20, 30, 4, 5)  # too soon after the first
    assert told == [{"type": "progress", "task": 7, "rows": 1, "bytes_read": 2, "bytes_total": 3}]
