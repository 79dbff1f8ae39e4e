"""hayate.google.dry_run: what is known and refused before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import google_service
import pytest
from google_service import FakeBigQuery, FakeStorage, error, serving

import hayate as hy
from hayate.google.client import BigQuery, query_configuration
from hayate.google.credentials import Endpoints, find
from hayate.google.dry_run import (
    DryRun,
    Table,
    billed,
    check_bucket,
    check_cost,
    check_locations,
    choose_format,
    choose_plan,
    dry_run,
    tables,
)
from hayate.google.parameters import query_parameters
from hayate.google.regions import relation
from hayate.google.retries import Retries

_MIB = 1024 * 1024


@pytest.fixture
def service() -> FakeBigQuery:
    return FakeBigQuery()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def bigquery(service: FakeBigQuery, said: list[str]) -> Iterator[BigQuery]:
    with serving(service) as address:
        credentials = find("test-project", Endpoints(bigquery=address))
        client = BigQuery(credentials, Retries(said.append, sleep=lambda seconds: None))
        yield client
        client.close()


def _path(name: str) -> dict[str, str]:
    return dict(zip(("projectId", "datasetId", "tableId"), name.split("."), strict=True))


def _fields(*fields: tuple[str, str]) -> dict[str, Any]:
    return {"fields": [{"name": name, "type": kind} for name, kind in fields]}


def test_a_dry_run_says_what_the_query_is(service: FakeBigQuery, bigquery: BigQuery) -> None:
    service.dry = {
        "schema": _fields(("a", "INTEGER"), ("b", "STRING")),
        "totalBytesProcessed": "123",
        "referencedTables": [_path("test-project.d.t")],
        "referencedRoutines": [{"projectId": "p", "datasetId": "d", "routineId": "f"}],
    }
    configuration = query_configuration(
        query_parameters({"day": 1}), max_bytes_billed=5, labels={"team": "x"}
    )
    found = dry_run(bigquery, "SELECT @day", configuration, "EU")
    assert [field["name"] for field in found.schema] == ["a", "b"]
    assert (found.bytes_processed, found.bytes_billed) == (123, 10 * _MIB)
    assert (found.location, found.project) == ("EU", "test-project")
    assert found.referenced == (_path("test-project.d.t"),)
    assert found.routines == ("d.f",)
    # What was asked is a dry run, with everything that the real one will have.
    [sent] = service.dry_runs
    assert sent["dryRun"] is True
    assert sent["query"]["maximumBytesBilled"] == "5"
    assert sent["query"]["parameterMode"] == "NAMED"
    assert sent["query"]["queryParameters"][0]["name"] == "day"
    assert sent["query"]["useLegacySql"] is False
    assert sent["labels"] == {"team": "x"}
    assert not service.inserted


def test_busy_answers_are_retried_and_said(
    service: FakeBigQuery, bigquery: BigQuery, said: list[str]
) -> None:
    service.dry = {"schema": _fields(("a", "INTEGER"))}
    service.faults[("POST", "/jobs")] = [
        error(503, "backendError"),
        error(429, "rateLimitExceeded"),
        (500, {}),
        (502, {}),
        error(403, "rateLimitExceeded"),
        "lost",
    ]
    assert dry_run(bigquery, "SELECT 1 AS a", query_configuration([]), None).schema
    assert len(said) == 6 == bigquery.retries.count
    assert said[0].startswith("checking the query failed (503 backendError); attempt 2 of 8 in")


def test_retries_have_a_bound(service: FakeBigQuery, bigquery: BigQuery, said: list[str]) -> None:
    service.faults[("POST", "/jobs")] = [error(503, "backendError", "busy")] * 99
    with pytest.raises(hy.InputError, match="busy"):
        dry_run(bigquery, "SELECT 1", query_configuration([]), None)
    assert len(said) == 7
    assert len(service.requests) == 8


@pytest.mark.parametrize(
    ("answer", "kind", "what", "fix"),
    [
        (error(400, "invalidQuery", "Unrecognized name: x at [2:8]"), hy.UsageError,
         "Unrecognized name: x", "Correct the SQL"),
        (error(403, "accessDenied", "Access Denied: Table d.t"), hy.UsageError,
         "Access Denied", "bigquery.jobs.create"),
        (error(403, "quotaExceeded", "Quota exceeded"), hy.InputError, "Quota exceeded", "quota"),
        (error(404, "notFound", "Not found: Table d.t was not found in location US"),
         hy.InputError, "was not found", "location="),
        (error(400, "bytesBilledLimitExceeded", "limit"), hy.UsageError, "limit",
         "max_bytes_billed="),
        (error(401, "authError", "Invalid"), hy.UsageError, "credentials were refused",
         "gcloud auth application-default login"),
    ],
)  # fmt: skip
def test_refusals_have_their_remedies(
    service: FakeBigQuery,
    bigquery: BigQuery,
    said: list[str],
    answer: google_service.Answer,
    kind: type[hy.HayateError],
    what: str,
    fix: str,
) -> None:
    service.faults[("POST", "/jobs")] = [answer]
    with pytest.raises(kind, match=what) as caught:
        dry_run(bigquery, "SELECT\n  a, x", query_configuration([]), None)
    assert fix in caught.value.fix
    assert not said


def test_a_syntax_error_shows_its_place(service: FakeBigQuery, bigquery: BigQuery) -> None:
    service.faults[("POST", "/jobs")] = [
        error(400, "invalidQuery", "Unrecognized name: x at [2:6]")
    ]
    with pytest.raises(hy.UsageError) as caught:
        dry_run(bigquery, "SELECT\n  a, x\nFROM t", query_configuration([]), None)
    assert caught.value.where.line == 2
    assert caught.value.what == (
        "the query is refused: Unrecognized name: x at [2:6] (invalidQuery)\n    a, x\n       ^"
    )


def test_what_is_no_select_and_what_has_no_schema(
    service: FakeBigQuery, bigquery: BigQuery
) -> None:
    service.dry = {"statementType": "DELETE"}
    with pytest.raises(hy.UsageError, match="DELETE"):
        dry_run(bigquery, "x", query_configuration([]), None)
    service.dry = {}
    with pytest.raises(hy.InputError, match="no schema"):
        dry_run(bigquery, "x", query_configuration([]), None)


def test_no_project_is_an_error_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(hy.UsageError, match="no project") as caught:
        BigQuery(find(None, Endpoints(bigquery="http://127.0.0.1:1")), Retries(print))
    assert "project=" in caught.value.fix


def _dry(processed: int = 0, referenced: int = 1, location: str = "US") -> DryRun:
    paths = tuple(_path(f"test-project.d.t{number}") for number in range(referenced))
    return DryRun((), processed, location, "test-project", paths, ())


@pytest.mark.parametrize(
    ("processed", "of_tables", "expected"),
    [(0, 1, 0), (1, 1, 10 * _MIB), (1, 3, 30 * _MIB), (11 * _MIB + 1, 1, 12 * _MIB)],
)
def test_what_is_billed(processed: int, of_tables: int, expected: int) -> None:
    assert billed(processed, of_tables) == expected


def test_more_than_may_be_billed_is_refused() -> None:
    check_cost(_dry(11 * _MIB), None)
    check_cost(_dry(11 * _MIB), 11 * _MIB)
    with pytest.raises(hy.UsageError, match="11,534,336 bytes") as caught:
        check_cost(_dry(11 * _MIB), 11 * _MIB - 1)
    assert f"max_bytes_billed={11 * _MIB}" in caught.value.fix


def test_tables_are_those_listed_those_named_and_those_in_views(
    service: FakeBigQuery, bigquery: BigQuery
) -> None:
    for name, resource in {
        "test-project.d.base": {"type": "TABLE", "lastModifiedTime": "5", "location": "US"},
        "test-project.d.view": {
            "type": "VIEW",
            "view": {"query": "SELECT * FROM other.e.inner", "useLegacySql": False},
        },
        "other.e.inner": {"type": "TABLE", "streamingBuffer": {"estimatedRows": "1"}},
    }.items():
        service.tables[name] = {"tableReference": _path(name), **resource}
    found = tables(
        bigquery, _dry(referenced=0), "SELECT * FROM d.base, d.base.x JOIN `d.view` USING (a)"
    )
    assert [one.name for one in found] == [
        "other.e.inner",
        "test-project.d.base",
        "test-project.d.view",
    ]
    inner, base, view = found
    assert inner.has_streaming_buffer and not base.has_streaming_buffer
    assert (base.type, base.last_modified) == ("TABLE", "5")
    assert view.view_sql == "SELECT * FROM other.e.inner"


def test_tables_elsewhere_are_refused() -> None:
    table = Table(_path("p.d.t"), {"location": "asia-northeast1"})
    check_locations(_dry(location="ASIA-NORTHEAST1"), [table])
    with pytest.raises(hy.UsageError, match="asia-northeast1") as caught:
        check_locations(_dry(location="US"), [table])
    assert 'location="asia-northeast1"' in caught.value.fix
    assert caught.value.where.object == "p.d.t"


def test_formats() -> None:
    flat = [{"name": "a", "type": "STRING"}]
    nested = [*flat, {"name": "b", "type": "INTEGER", "mode": "REPEATED"}]
    assert choose_format("auto", flat, None) == "parquet"
    assert choose_format("csv", flat, None) == "csv"
    assert choose_format("auto", nested, None) == "parquet"
    assert choose_format("csv", nested, ["a"]) == "csv"
    with pytest.raises(hy.UsageError, match="ARRAY or a STRUCT") as caught:
        choose_format("csv", nested, None)
    assert 'format="parquet"' in caught.value.fix and "TO_JSON_STRING(b)" in caught.value.fix
    with pytest.raises(hy.UsageError, match="'avro'"):
        choose_format("avro", flat, None)


def test_plans() -> None:
    assert choose_plan("SELECT * FROM d.t ORDER BY a") == ("export", "")
    assert choose_plan("SELECT * FROM `d.t_*`") == ("extract", "EXPORT DATA cannot read d.t_*")
    plan, why = choose_plan("SELECT * FROM d.INFORMATION_SCHEMA.TABLES ORDER BY table_name")
    assert plan == "table_then_export" and "INFORMATION_SCHEMA" in why


def test_buckets_are_tried_before_anything_is_spent() -> None:
    storage = FakeStorage()
    storage.resource = {
        "location": "ASIA-NORTHEAST1",
        "softDeletePolicy": {"retentionDurationSeconds": "604800"},
    }
    found = check_bucket(storage, "gs://bucket/a/", "US")
    assert (found.name, found.location, found.relation) == ("bucket", "ASIA-NORTHEAST1", "far")
    assert found.soft_delete_s == 604800

    storage.held = ["storage.objects.create", "storage.objects.get", "storage.objects.list"]
    with pytest.raises(hy.UsageError, match=r"allow us storage\.objects\.delete\n") as caught:
        check_bucket(storage, "gs://bucket/a/", "US")
    assert "roles/storage.objectUser" in caught.value.fix
    # Whoever may use objects need not be allowed to look at the bucket: then nobody knows where.
    storage.held = None
    storage.fails = {"bucket"}
    unknown = check_bucket(storage, "gs://bucket/a/", "US")
    assert (unknown.location, unknown.relation) == ("", "same")
    storage.fails = set()
    storage.held = []
    storage.resource = None
    with pytest.raises(hy.InputError, match="no such bucket"):
        check_bucket(storage, "gs://bucket/a/", "US")


def test_a_bucket_that_forbids_deleting_is_refused() -> None:
    storage = FakeStorage()
    storage.resource = {"location": "US", "retentionPolicy": {"retentionPeriod": "86400"}}
    with pytest.raises(hy.UsageError, match="retention policy"):
        check_bucket(storage, "gs://bucket/", "US")


@pytest.mark.parametrize(
    ("data", "bucket", "expected"),
    [
        ("US", "US", "same"),
        ("asia-northeast1", "ASIA-NORTHEAST1", "same"),
        ("US", "us-central1", "near"),
        ("US", "NAM4", "near"),
        ("us-central1", "NAM4", "near"),
        ("europe-west1", "EU", "near"),
        ("us-central1", "us-east1", "far"),
        ("US", "EU", "far"),
        ("US", "asia-northeast1", "far"),
        ("asia-northeast1", "ASIA1", "near"),
    ],
)
def test_how_far_a_bucket_is(data: str, bucket: str, expected: str) -> None:
    assert relation(data, bucket) == expected
