"""hayate doctor against the stand-ins: the command as users run it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from emulators.bigquery import BigQuery
from emulators.cloud_storage import CloudStorage
from emulators.exported_files import Dialect, arrow_type
from google.cloud import bigquery

from hayate.doctor import awkward_values
from hayate.google.statement import export_statement

Doctor = Callable[..., tuple[int, str, dict[str, dict[str, Any]]]]

#: DuckDB has neither so many digits nor the service's form of GEOGRAPHY.
NOT_IN_DUCKDB = ("numeric", "geography")


def planted() -> tuple[list[dict[str, Any]], pa.Table]:
    """The schema and the rows of the probe's query, as the service has them."""
    rest = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
    rows = range(awkward_values.row_count())
    fields, columns = [], []
    by_name = {column.name: column for column in awkward_values.COLUMNS}
    for name in awkward_values.header():
        column = by_name.get(name)
        kind = "INT64" if column is None else column.type
        field = {"name": name, "type": rest.get(kind, kind)}
        values: list[Any] = list(rows)
        if column is not None:
            values = [column.value(row).read for row in rows]
        if kind == "BYTES":
            values = [None if one is None else base64.b64decode(one) for one in values]
            values[0] = b""
        elif kind == "GEOGRAPHY":
            values = [None if one is None else one.encode() for one in values]
        elif kind == "TIMESTAMP":
            values = [None if one is None else one.replace(tzinfo=None) for one in values]
        fields.append(field)
        columns.append(pa.array(values, arrow_type(field)))
    return fields, pa.table(columns, names=[field["name"] for field in fields])


@pytest.fixture
def doctor(
    project, big_query: BigQuery, cloud_storage: CloudStorage, bucket: str, dataset: str
) -> Doctor:
    """Runs the command with the probe; its exit code, its screen, and the findings by name."""
    big_query.settings.plant(awkward_values.query(), *planted())

    def run(*words: str) -> tuple[int, str, dict[str, dict[str, Any]]]:
        named = [
            *("--bucket", f"gs://{bucket}/exports", "--dataset", f"{big_query.project}.{dataset}"),
            *("--project", big_query.project, "--probe", "--save", "probe"),
        ]
        ran = project.hayate(
            "doctor",
            *named,
            *words,
            BIGQUERY_EMULATOR_HOST=big_query.endpoint,
            STORAGE_EMULATOR_HOST=cloud_storage.endpoint,
        )
        assert ran.err == ""
        found = json.loads(ran.out)["findings"] if "--json" in words else []
        return ran.code, ran.out, {one["name"]: one for one in found}

    return run


def test_the_query_makes_the_values_that_are_expected(
    client: bigquery.Client, cloud_storage: CloudStorage, bucket: str
) -> None:
    columns = [one for one in awkward_values.COLUMNS if one.name not in NOT_IN_DUCKDB]
    sql = awkward_values.query(columns)
    client.query(export_statement(sql, f"gs://{bucket}/part-", "csv")).result()
    (stored,) = cloud_storage.objects(bucket)
    text = gzip.decompress(cloud_storage.read(bucket, stored.name))
    assert text == awkward_values.expected_csv(columns)


def test_a_probe_of_the_expected_dialect_is_equal_and_leaves_nothing(
    doctor: Doctor, project, cloud_storage: CloudStorage, bucket: str
) -> None:
    code, _, found = doctor("--json")
    assert found["export"]["level"] == "ok", found
    assert found["bytes"]["what"] == "as this version expects, byte for byte"
    assert found["NULL and ''"]["what"].startswith("are apart")
    assert found["permissions"]["level"] == "ok"
    assert code == 0
    saved: Path = project.folder / "probe"
    assert (saved / "actual.csv").read_bytes() == (saved / "expected.csv").read_bytes()
    assert [one.name for one in (saved / "raw").iterdir()] == ["part-000000000000.csv.gz"]
    assert json.loads((saved / "report.json").read_text())["nulls_are_distinct"] is True
    assert cloud_storage.objects(bucket) == []


def test_another_dialect_that_is_read_right_is_advice(doctor: Doctor, big_query: BigQuery) -> None:
    big_query.settings.dialect = Dialect(nan="nan", infinity="inf", datetime_separator=" ")
    code, screen, _ = doctor()
    assert code == 0
    assert "are read right: FLOAT64 nan: 'nan'" in " ".join(screen.split())
    assert max(len(line) for line in screen.splitlines()) <= 100


def test_a_dialect_without_quotes_around_nothing_keeps_the_marks(
    doctor: Doctor, big_query: BigQuery
) -> None:
    big_query.settings.dialect = Dialect(empty_string="")
    code, _, found = doctor("--json")
    assert code == 0
    assert found["bytes"]["level"] == "advice"
    assert found["NULL and ''"]["what"].startswith("are not apart")


def test_a_value_that_cannot_be_read_is_a_problem(
    doctor: Doctor, big_query: BigQuery, cloud_storage: CloudStorage, bucket: str
) -> None:
    big_query.settings.dialect = Dialect(nan="not a number")
    code, _, found = doctor("--json")
    assert code == 1
    assert found["bytes"]["level"] == "problem"
    assert "parquet" in found["bytes"]["remedy"]
    assert cloud_storage.objects(bucket) == []
