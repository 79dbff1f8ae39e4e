"""The stand-in for BigQuery behaves as the real service does, where bqemulator does not."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from emulators import faults
from emulators.bigquery import BigQuery
from emulators.cloud_storage import CloudStorage
from emulators.exported_files import Dialect
from emulators.http_client import ask
from emulators.jobs import INSTANT, JobError, JobPlan
from emulators.memory_storage import MemoryStorage
from emulators.sql import TableName
from google.api_core import exceptions
from google.cloud import bigquery

WAIT_S = 30

AWKWARD = """
SELECT 1 AS i, 'plain' AS s, TIMESTAMP '2024-02-29 23:59:01.000017+00' AS ts,
  DATETIME '2024-02-29 01:02:03.5' AS dt, TIME '01:02:03' AS t, DATE '0001-01-01' AS d,
  FROM_BASE64('AP8=') AS y, NUMERIC '1.50' AS n, TRUE AS b,
  CAST('nan' AS FLOAT64) AS f, JSON '{"a": 1}' AS j, ST_GEOGPOINT(1, 2) AS g
UNION ALL
SELECT 2, '', TIMESTAMP '2024-01-01 00:00:00+00', DATETIME '9999-12-31 23:59:59.999999',
  TIME '01:02:03.000001', DATE '9999-12-31', FROM_BASE64(''), NUMERIC '0.001',
  FALSE, CAST('-inf' AS FLOAT64), JSON 'null', NULL
UNION ALL
SELECT 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
ORDER BY i
"""


@dataclass
class Exports:
    """Exports into one bucket, through the official client."""

    client: bigquery.Client
    storage: CloudStorage
    bucket: str

    def start(self, query: str, **options: Any) -> bigquery.QueryJob:
        chosen = {
            "uri": f"gs://{self.bucket}/run/*.csv.gz",
            "format": "CSV",
            "header": True,
            "overwrite": True,
            "compression": "GZIP",
        } | options
        listed = ", ".join(
            f"{name}={value!r}" for name, value in chosen.items() if value is not None
        )
        return self.client.query(f"EXPORT DATA OPTIONS({listed}) AS {query}")

    def parquet(self, query: str, **options: Any) -> pq.ParquetFile:
        """The only file of an export as Parquet."""
        uri = f"gs://{self.bucket}/run/*.parquet"
        job = self.start(query, uri=uri, format="PARQUET", header=None, compression="SNAPPY")
        job.result()
        (name,) = self.names()
        return pq.ParquetFile(io.BytesIO(self.storage.read(self.bucket, name)))

    def names(self) -> list[str]:
        return self.storage.names(self.bucket)

    def texts(self) -> list[str]:
        """The text of every file, in the order of their names."""
        return [
            gzip.decompress(self.storage.read(self.bucket, name)).decode() for name in self.names()
        ]


@pytest.fixture
def exports(client: bigquery.Client, cloud_storage: CloudStorage, bucket: str) -> Exports:
    return Exports(client, cloud_storage, bucket)


def poll(client: bigquery.Client, job: bigquery.QueryJob) -> bigquery.QueryJob:
    """The job after one poll."""
    return client.get_job(job.job_id, location=job.location)


def dry_run(client: bigquery.Client, query: str, **options: Any) -> bigquery.QueryJob:
    return client.query(query, bigquery.QueryJobConfig(dry_run=True, **options))


def rows(client: bigquery.Client, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(query).result()]


def failure(job: Any) -> str:
    """How a job failed: its reason, and its message."""
    with pytest.raises(exceptions.GoogleAPICallError):
        job.result()
    job.reload()
    return f"{job.error_result['reason']}: {job.error_result['message']}"


# Exports: what is in the files.


def test_csv_is_spelled_as_the_service_spells_it(exports: Exports) -> None:
    exports.start(AWKWARD).result()
    assert exports.names() == ["run/000000000000.csv.gz"]
    assert exports.texts() == [
        "i,s,ts,dt,t,d,y,n,b,f,j,g\n"
        "1,plain,2024-02-29 23:59:01.000017 UTC,2024-02-29T01:02:03.5,01:02:03,0001-01-01,AP8=,"
        '1.5,true,NaN,"{""a"":1}",POINT(1 2)\n'
        '2,"",2024-01-01 00:00:00 UTC,9999-12-31T23:59:59.999999,01:02:03.000001,9999-12-31,,'
        "0.001,false,-Infinity,null,\n"
        "3,,,,,,,,,,,\n"
    ]


def test_spelling_that_is_not_known_of_the_service_can_be_chosen(
    exports: Exports, big_query: BigQuery
) -> None:
    big_query.settings.dialect = Dialect(nan="nan", datetime_separator=" ", empty_string="")
    exports.start(AWKWARD).result()
    (text,) = exports.texts()
    assert ",2024-02-29 01:02:03.5," in text and ",nan," in text and "\n2,,2024" in text


def test_text_with_quotes_delimiters_and_line_ends_is_quoted(exports: Exports) -> None:
    query = (
        r"""SELECT 'a,b' AS x, 'c\nd' AS y UNION ALL SELECT CONCAT('"', 'q'), 'r\rs' ORDER BY 1"""
    )
    exports.start(query).result()
    assert exports.texts() == ['x,y\n"""q","r\rs"\n"a,b","c\nd"\n']


def test_header_is_off_unless_asked_for_and_the_delimiter_is_free(exports: Exports) -> None:
    exports.start("SELECT 1 AS a, 'x|y' AS b", header=None, field_delimiter="|").result()
    assert exports.texts() == ['1|"x|y"\n']


def test_null_in_the_only_column_is_a_blank_line(exports: Exports) -> None:
    exports.start("SELECT CAST(NULL AS STRING) AS a UNION ALL SELECT ''").result()
    assert sorted(exports.texts()[0].splitlines()) == ["", '""', "a"]


def test_parquet_has_the_types_of_the_service(exports: Exports) -> None:
    file = exports.parquet(AWKWARD)
    described = {
        column.name: f"{column.physical_type} {column.logical_type}".split(", is_from")[0]
        for column in (file.schema.column(i) for i in range(len(file.schema)))
    }
    local = "INT64 Timestamp(isAdjustedToUTC=false, timeUnit=microseconds"
    assert described == {
        "i": "INT64 None",
        "s": "BYTE_ARRAY String",
        "ts": local,
        "dt": local,
        "t": "INT64 Time(isAdjustedToUTC=true, timeUnit=microseconds)",
        "d": "INT32 Date",
        "y": "BYTE_ARRAY None",
        "n": "FIXED_LEN_BYTE_ARRAY Decimal(precision=38, scale=9)",
        "b": "BOOLEAN None",
        "f": "DOUBLE None",
        "j": "BYTE_ARRAY String",
        "g": "BYTE_ARRAY None",
    }
    assert b"geo" in file.metadata.metadata
    first, second, third = file.read().to_pylist()
    assert first["ts"] == dt.datetime(2024, 2, 29, 23, 59, 1, 17)
    assert first["n"] == Decimal("1.5") and second["s"] == "" and third["s"] is None


def test_export_is_split_and_keeps_the_order(exports: Exports, big_query: BigQuery) -> None:
    big_query.plan_next(JobPlan(shards=4))
    job = exports.start("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 10)) AS x ORDER BY x")
    job.result()
    assert exports.names() == [f"run/{i:012d}.csv.gz" for i in range(4)]
    values = [line for text in exports.texts() for line in text.splitlines() if line != "x"]
    assert values == [str(i) for i in range(1, 11)]
    counts = job._properties["statistics"]["query"]["exportDataStatistics"]
    assert counts == {"fileCount": "4", "rowCount": "10"}


def test_more_shards_than_rows_leaves_some_empty(exports: Exports, big_query: BigQuery) -> None:
    big_query.plan_next(JobPlan(shards=3))
    exports.start("SELECT 1 AS x").result()
    assert sorted(exports.texts()) == ["x\n", "x\n", "x\n1\n"]


@pytest.mark.all
def test_export_of_very_many_shards(client: bigquery.Client, big_query: BigQuery) -> None:
    storage = MemoryStorage()
    storage.make_bucket("many")
    big_query.use_storage(storage)
    big_query.plan_next(JobPlan(shards=20_000))
    query = "SELECT x FROM UNNEST(GENERATE_ARRAY(1, 15000)) AS x ORDER BY x"
    client.query(f"EXPORT DATA OPTIONS(uri='gs://many/*', format='CSV') AS {query}").result()
    written = storage.names("many")
    assert len(written) == 20_000
    text = b"".join(storage.read("many", name) for name in written)
    assert text.split() == [b"%d" % i for i in range(1, 15_001)]


def test_no_rows_are_one_file(exports: Exports) -> None:
    job = exports.start("SELECT x FROM UNNEST([1]) AS x WHERE x > 1")
    job.result()
    assert exports.texts() == ["x\n"]
    counts = job._properties["statistics"]["query"]["exportDataStatistics"]
    assert counts == {"fileCount": "1", "rowCount": "0"}


def test_parameters_reach_an_export(exports: Exports) -> None:
    parameter = bigquery.ScalarQueryParameter("least", "INT64", 2)
    exports.client.query(
        f"EXPORT DATA OPTIONS(uri='gs://{exports.bucket}/*.csv', format='CSV') AS "
        "SELECT x FROM UNNEST([1, 2, 3]) AS x WHERE x >= @least ORDER BY x",
        bigquery.QueryJobConfig(query_parameters=[parameter]),
    ).result()
    (name,) = exports.names()
    assert exports.storage.read(exports.bucket, name) == b"2\n3\n"


def test_planted_result_is_what_the_query_gives(exports: Exports, big_query: BigQuery) -> None:
    digits = "9" * 29 + "." + "9" * 9
    small = Decimal("0." + "0" * 37 + "1")
    table = pa.table(
        {
            "n": pa.array([Decimal(digits), Decimal(f"-{digits}")], pa.decimal128(38, 9)),
            "bn": pa.array([small, Decimal("-0.5")], pa.decimal256(76, 38)),
        }
    )
    fields = [{"name": "n", "type": "NUMERIC"}, {"name": "bn", "type": "BIGNUMERIC"}]
    big_query.settings.plant("SELECT extremes", fields, table)
    schema = dry_run(exports.client, "SELECT  extremes").schema
    assert [field.field_type for field in schema] == ["NUMERIC", "BIGNUMERIC"]
    exports.start("SELECT extremes").result()
    assert exports.texts() == [f"n,bn\n{digits},{small:f}\n-{digits},-0.5\n"]
    exports.storage.empty(exports.bucket)
    file = exports.parquet("SELECT extremes")
    assert str(file.schema.column(1).logical_type) == "Decimal(precision=76, scale=38)"
    assert file.read().equals(table)


# Exports: what is refused.


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"uri": "gs://{bucket}/run/one.csv"}, "must be a wild card URI"),
        ({"uri": "gs://{bucket}/run/*-*.csv"}, "must be a wild card URI"),
        ({"uri": "gs://{bucket}/*/one.csv"}, "must be a wild card URI"),
        ({"uri": "gs://missing-bucket/*.csv"}, "notFound: Not found: Bucket missing-bucket"),
        ({"compression": "SNAPPY"}, "compression"),
        ({"format": "PARQUET", "compression": "SNAPPY"}, "'header' is not allowed"),
    ],
)
def test_export_with_wrong_options_fails(
    exports: Exports, options: dict[str, str], problem: str
) -> None:
    filled = {name: value.format(bucket=exports.bucket) for name, value in options.items()}
    assert problem in failure(exports.start("SELECT 1 AS x", **filled))
    assert exports.names() == []


def test_nested_columns_do_not_go_into_csv(exports: Exports) -> None:
    for query in ("SELECT 1 AS a, [1] AS x", "SELECT STRUCT(1 AS y) AS x"):
        problem = "Operation cannot be performed on a nested schema. Field: x"
        assert problem in failure(exports.start(query))
        with pytest.raises(exceptions.BadRequest, match=problem):
            dry_run(
                exports.client,
                f"EXPORT DATA OPTIONS(uri='gs://{exports.bucket}/*', format='CSV') AS {query}",
            )


def test_export_over_what_is_there_needs_overwrite(exports: Exports) -> None:
    exports.start("SELECT 1 AS x").result()
    assert "not empty" in failure(exports.start("SELECT 2 AS x", overwrite=None))
    assert exports.texts() == ["x\n1\n"]
    exports.start("SELECT 2 AS x").result()
    assert exports.texts() == ["x\n2\n"]


def test_overwrite_deletes_no_leftovers(exports: Exports, big_query: BigQuery) -> None:
    big_query.plan_next(JobPlan(shards=3))
    exports.start("SELECT 1 AS x").result()
    exports.start("SELECT 2 AS x").result()
    assert len(exports.names()) == 3


def test_wildcard_tables_and_information_schema_are_not_exported(
    exports: Exports, dataset: str
) -> None:
    client = exports.client
    client.query(f"CREATE TABLE {dataset}.events_1 AS SELECT 1 AS a").result()
    client.query(f"CREATE TABLE {dataset}.events_2 AS SELECT 2 AS a").result()
    wildcard = f"SELECT a FROM `{dataset}.events_*`"
    assert "wildcard tables" in failure(exports.start(wildcard))
    information = f"SELECT table_name FROM {dataset}.INFORMATION_SCHEMA.TABLES"
    assert "INFORMATION_SCHEMA" in failure(exports.start(information))
    # Both can be written to a table, and that can be extracted.
    target = f"{client.project}.{dataset}.result"
    config = bigquery.QueryJobConfig(destination=target, write_disposition="WRITE_TRUNCATE")
    client.query(wildcard, config).result()
    assert client.get_table(target).num_rows == 2
    client.query(information, config).result()
    assert sorted(rows(client, f"SELECT * FROM {dataset}.result"))[:2] == [
        ("events_1",),
        ("events_2",),
    ]


def test_bucket_that_may_not_be_written_to_is_denied(exports: Exports, big_query: BigQuery) -> None:
    big_query.settings.denied_buckets.add(exports.bucket)
    assert failure(exports.start("SELECT 1 AS x")).startswith("accessDenied")


def test_more_bytes_than_may_be_billed_is_an_error(exports: Exports, big_query: BigQuery) -> None:
    big_query.settings.bytes_processed = 30 << 20
    config = bigquery.QueryJobConfig(maximum_bytes_billed=20 << 20)
    job = exports.client.query("SELECT 1 AS x", config)
    assert failure(job).startswith("bytesBilledLimitExceeded: Query exceeded limit for bytes")


def test_extract_writes_a_table_and_an_anonymous_result(
    exports: Exports, dataset: str, big_query: BigQuery
) -> None:
    client, storage = exports.client, exports.storage
    big_query.settings.plan = INSTANT
    client.query(f"CREATE TABLE {dataset}.t AS SELECT 1 AS a").result()
    uri = f"gs://{exports.bucket}/table-*.csv"
    job = client.extract_table(f"{dataset}.t", uri)
    job.result()
    assert job.destination_uri_file_counts == [1]
    select = client.query("SELECT x FROM UNNEST([5, 6]) AS x ORDER BY x")
    select.result()
    client.extract_table(select.destination, f"gs://{exports.bucket}/anonymous.csv").result()
    read = {name: storage.read(exports.bucket, name) for name in exports.names()}
    assert read == {"anonymous.csv": b"x\n5\n6\n", "table-000000000000.csv": b"a\n1\n"}


# Jobs.


def test_job_is_pending_then_running_then_done(
    client: bigquery.Client, big_query: BigQuery
) -> None:
    big_query.plan_next(JobPlan(pending_polls=1, running_polls=2))
    body = {"configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}}}
    made = client._connection.api_request("POST", "/projects/test-project/jobs", data=body)
    assert made["status"]["state"] == "PENDING"
    job_id = made["jobReference"]["jobId"]
    states = [client.get_job(job_id, location="US").state for _ in range(4)]
    assert states == ["PENDING", "RUNNING", "RUNNING", "DONE"]


def test_id_is_good_for_one_job(client: bigquery.Client, big_query: BigQuery) -> None:
    job_id = str(uuid.uuid4())
    client.query("SELECT 1", job_id=job_id, job_retry=None).result()
    with pytest.raises(exceptions.Conflict, match="Already Exists: Job") as caught:
        client._connection.api_request(
            "POST",
            "/projects/test-project/jobs",
            data={
                "jobReference": {"projectId": "test-project", "jobId": job_id},
                "configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}},
            },
        )
    assert caught.value.errors[0]["reason"] == "duplicate"
    assert len([job for job in big_query.jobs() if job.job_id == job_id]) == 1


def test_insert_whose_answer_is_lost_has_made_the_job(
    client: bigquery.Client, big_query: BigQuery
) -> None:
    big_query.faults.add(faults.drop("/jobs", method="POST"))
    job_id = str(uuid.uuid4())
    config = bigquery.QueryJobConfig(use_query_cache=False)
    with pytest.raises(Exception, match=r"(?i)reset|aborted"):
        client.query("SELECT 1", config, job_id=job_id, retry=None, job_retry=None)
    assert client.get_job(job_id, location="US").result().total_rows == 1


def test_job_stays_until_it_is_released(client: bigquery.Client, big_query: BigQuery) -> None:
    big_query.plan_next(JobPlan(stays="PENDING"), JobPlan(stays="RUNNING"))
    for state in ("PENDING", "RUNNING"):
        job = client.query("SELECT 1")
        assert [poll(client, job).state for _ in range(3)] == [state] * 3
        big_query.release(job.job_id)
        assert [one[0] for one in job.result()] == [1]


def test_job_that_fails_keeps_what_it_has_written(exports: Exports, big_query: BigQuery) -> None:
    error = JobError("backendError", "Something went wrong.")
    big_query.plan_next(JobPlan(shards=4, visible_shards=(2,), error=error))
    job = exports.start("SELECT x FROM UNNEST([1, 2, 3, 4]) AS x")
    while (seen := poll(exports.client, job)).state != "DONE":
        pass
    assert seen.error_result == {"reason": "backendError", "message": "Something went wrong."}
    assert len(exports.names()) == 2


def test_job_that_fails_or_is_cancelled_has_changed_nothing(
    client: bigquery.Client, dataset: str, big_query: BigQuery
) -> None:
    client.query(f"CREATE TABLE {dataset}.t AS SELECT 1 AS a").result()
    insert = f"INSERT INTO {dataset}.t VALUES (2)"
    error = JobError("quotaExceeded", "Too many of them.")
    big_query.plan_next(JobPlan(error=error), JobPlan(stays="PENDING"), JobPlan(stays="RUNNING"))
    assert failure(client.query(insert)) == "quotaExceeded: Too many of them."
    for _ in range(2):
        job = client.query(insert)
        poll(client, job)
        job.cancel()
        assert failure(job).startswith("stopped")
    assert rows(client, f"SELECT a FROM {dataset}.t") == [(1,)]


def test_cancelled_job_stops(exports: Exports, big_query: BigQuery) -> None:
    big_query.plan_next(JobPlan(shards=4, visible_shards=(1,), running_polls=99))
    job = exports.start("SELECT x FROM UNNEST([1, 2, 3, 4]) AS x")
    while poll(exports.client, job).state != "RUNNING":
        pass
    assert job.cancel()
    assert poll(exports.client, job).error_result["reason"] == "stopped"
    assert len(exports.names()) <= 1


def test_wrong_sql_fails_the_job_and_the_dry_run(client: bigquery.Client) -> None:
    assert "invalidQuery" in failure(client.query("SELECT nothing FROM UNNEST([1])"))
    with pytest.raises(exceptions.BadRequest):
        dry_run(client, "SELECT nothing FROM UNNEST([1])")


def test_job_is_found_only_where_it_runs(client: bigquery.Client, big_query: BigQuery) -> None:
    big_query.settings.location = "asia-northeast1"
    job = client.query("SELECT 1")
    job.result()
    assert job.location == "asia-northeast1"
    for location in (None, "US"):
        with pytest.raises(exceptions.NotFound):
            client.get_job(job.job_id, location=location)


def test_dataset_of_another_location_is_not_found_by_a_job(
    client: bigquery.Client, name: str
) -> None:
    made = bigquery.Dataset(f"test-project.{name}")
    made.location = "asia-northeast1"
    client.create_dataset(made)
    try:
        client.query(f"CREATE TABLE {name}.t AS SELECT 1 AS a").result()
        assert client.get_dataset(name).location == "asia-northeast1"
        job = client.query(f"SELECT * FROM {name}.t", location="US")
        assert "was not found in location US" in failure(job)
        followed = client.query(f"SELECT * FROM {name}.t")
        assert followed.location == "asia-northeast1"
    finally:
        client.delete_dataset(name, delete_contents=True)


# Shards while the job runs.


def test_shards_appear_one_after_the_other(exports: Exports, big_query: BigQuery) -> None:
    big_query.plan_next(JobPlan(shards=4, visible_shards=(0, 1, 3), running_polls=3))
    job = exports.start("SELECT x FROM UNNEST([1, 2, 3, 4]) AS x ORDER BY x")
    seen = {}
    polls = len(big_query.calls("GET", job.job_id))
    assert polls <= 1  # The client itself may look once.
    for _ in range(5):
        state = poll(exports.client, job).state
        seen[len(exports.names())] = state
    assert list(seen.items())[-3:] == [(1, "RUNNING"), (3, "RUNNING"), (4, "DONE")]


def test_draft_is_written_again_whole(exports: Exports, big_query: BigQuery) -> None:
    big_query.plan_next(
        JobPlan(shards=2, visible_shards=(2,), running_polls=2, drafts=frozenset({1}))
    )
    job = exports.start("SELECT x FROM UNNEST([1, 2, 3, 4]) AS x ORDER BY x")
    assert poll(exports.client, job).state == "RUNNING"
    before = exports.storage.objects(exports.bucket)
    assert exports.texts() == ["x\n1\n2\n", "x\n3\n"]
    while poll(exports.client, job).state != "DONE":
        pass
    after = exports.storage.objects(exports.bucket)
    assert exports.texts() == ["x\n1\n2\n", "x\n3\n4\n"]
    assert before[0].generation == after[0].generation
    assert before[1].generation < after[1].generation


def test_shard_can_change_once_the_job_is_done(exports: Exports, big_query: BigQuery) -> None:
    changed = []

    def change(job: Any) -> None:
        changed.append(exports.storage.objects(exports.bucket)[0].generation)
        big_query.rewrite(job.job_id, 0)
        exports.storage.delete(exports.bucket, job.shards[1].name)

    big_query.plan_next(JobPlan(shards=2, after_done=change))
    exports.start("SELECT 1 AS x").result()
    (left,) = exports.storage.objects(exports.bucket)
    assert left.name.endswith("000000000000.csv.gz") and left.generation > changed[0]


# Dry runs and tables.


def test_dry_run_tells_schema_bytes_and_tables(client: bigquery.Client, dataset: str) -> None:
    client.query(
        f"CREATE TABLE {dataset}.t (a INT64, s STRING, g GEOGRAPHY, j JSON, n BIGNUMERIC)"
    ).result()
    client.query(f"INSERT INTO {dataset}.t (a, s) VALUES (1, 'xyz'), (2, NULL)").result()
    job = dry_run(client, f"SELECT * FROM {dataset}.t AS t, (SELECT 1 AS one)")
    assert [field.field_type for field in job.schema] == [
        *("INTEGER", "STRING", "GEOGRAPHY", "JSON", "BIGNUMERIC", "INTEGER"),
    ]
    assert [table.table_id for table in job.referenced_tables] == ["t"]
    assert job.total_bytes_processed == 2 * (8 + 32) + 5
    assert job.state == "DONE" and not job.num_dml_affected_rows


def test_table_tells_when_it_was_changed(
    client: bigquery.Client, dataset: str, big_query: BigQuery
) -> None:
    client.query(f"CREATE TABLE {dataset}.t (a INT64)").result()
    table = f"{dataset}.t"
    seen = [client.get_table(table)]
    client.query(f"INSERT INTO {table} VALUES (1), (2)").result()
    seen.append(client.get_table(table))
    client.query(f"UPDATE {table} SET a = 3 WHERE a = 1").result()
    seen.append(client.get_table(table))
    assert not client.insert_rows_json(table, [{"a": 7}])
    seen.append(client.get_table(table))
    times = [one.modified for one in seen]
    assert times == sorted(set(times)) and len({one.etag for one in seen}) == 4
    assert [one.num_rows for one in seen] == [0, 2, 2, 3]
    assert client.get_table(table).modified == times[-1]
    key = TableName(client.project, dataset, "t")
    big_query.settings.table_extra[key] = {"streamingBuffer": {"estimatedRows": "1"}}
    assert client.get_table(table).streaming_buffer.estimated_rows == 1


def test_view_tells_its_query_and_its_tables_are_seen(
    client: bigquery.Client, dataset: str, big_query: BigQuery
) -> None:
    client.query(f"CREATE TABLE {dataset}.t AS SELECT 1 AS a").result()
    client.query(f"CREATE VIEW {dataset}.inner_view AS SELECT a FROM {dataset}.t").result()
    outer = bigquery.Table(f"{client.project}.{dataset}.outer_view")
    outer.view_query = f"SELECT a + 1 AS b FROM `{dataset}.inner_view`"
    client.create_table(outer)
    found = client.get_table(f"{dataset}.outer_view")
    assert found.table_type == "VIEW" and found.view_query == outer.view_query
    assert f"FROM {dataset}.t" in client.get_table(f"{dataset}.inner_view").view_query
    job = dry_run(client, f"SELECT * FROM {dataset}.outer_view")
    names = {table.table_id for table in job.referenced_tables}
    assert names == {"outer_view", "inner_view", "t"}
    big_query.settings.views_are_referenced = False
    job = dry_run(client, f"SELECT * FROM {dataset}.outer_view")
    assert [table.table_id for table in job.referenced_tables] == ["t"]


def test_missing_table_and_dataset_are_not_found(client: bigquery.Client, dataset: str) -> None:
    for query in (f"SELECT * FROM {dataset}.none", "SELECT * FROM no_dataset.none"):
        with pytest.raises(exceptions.NotFound):
            dry_run(client, query)
        assert failure(client.query(query)).startswith("notFound")


# Loads.


def as_parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


TYPED = pa.table(
    {
        "i": [1, 2],
        "s": ["x", None],
        "ts": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("us", "UTC")),
        "dt": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("us")),
        "d": [dt.date(2024, 1, 1), None],
        "n": pa.array([Decimal("1.5"), None], pa.decimal128(38, 9)),
        "y": [b"\x00\xff", None],
        "b": [True, None],
        "f": [0.5, None],
    }
)


def load(client: bigquery.Client, uri: str, table: str, **options: Any) -> bigquery.LoadJob:
    config = bigquery.LoadJobConfig(**{"source_format": "PARQUET", **options})
    return client.load_table_from_uri(uri, table, job_config=config)


def test_parquet_is_loaded_into_a_new_table_and_out_again(
    exports: Exports, dataset: str, big_query: BigQuery
) -> None:
    big_query.settings.plan = INSTANT
    exports.storage.put(exports.bucket, "in/a.parquet", as_parquet(TYPED))
    exports.storage.put(exports.bucket, "in/b.parquet", as_parquet(TYPED.slice(0, 1)))
    job = load(exports.client, f"gs://{exports.bucket}/in/*.parquet", f"{dataset}.t")
    job.result()
    assert job.output_rows == 3
    table = exports.client.get_table(f"{dataset}.t")
    assert table.num_rows == 3
    assert [field.field_type for field in table.schema] == [
        *("INTEGER", "STRING", "TIMESTAMP", "DATETIME", "DATE"),
        *("NUMERIC", "BYTES", "BOOLEAN", "FLOAT"),
    ]
    exports.storage.empty(exports.bucket)
    file = exports.parquet(f"SELECT * FROM {dataset}.t ORDER BY i DESC")
    first = file.read().to_pylist()[0]
    assert first == {**dict.fromkeys(TYPED.column_names), "i": 2}


def test_load_truncates_or_appends(exports: Exports, dataset: str, big_query: BigQuery) -> None:
    big_query.settings.plan = INSTANT
    client, table = exports.client, f"{dataset}.t"
    uri = f"gs://{exports.bucket}/a.parquet"
    exports.storage.put(exports.bucket, "a.parquet", as_parquet(pa.table({"a": [1]})))
    load(client, uri, table).result()
    load(client, uri, table).result()
    assert rows(client, f"SELECT a FROM {table}") == [(1,), (1,)]
    load(client, uri, table, write_disposition="WRITE_TRUNCATE").result()
    assert rows(client, f"SELECT a FROM {table}") == [(1,)]
    assert "duplicate" in failure(load(client, uri, table, write_disposition="WRITE_EMPTY"))
    # Truncating replaces the schema, too; appending does not.
    exports.storage.put(exports.bucket, "a.parquet", as_parquet(pa.table({"a": ["x"], "b": [2]})))
    assert "Provided Schema does not match" in failure(load(client, uri, table))
    assert rows(client, f"SELECT a FROM {table}") == [(1,)]
    load(client, uri, table, write_disposition="WRITE_TRUNCATE").result()
    assert rows(client, f"SELECT a, b FROM {table}") == [("x", 2)]


def test_load_into_one_partition_leaves_the_others(
    exports: Exports, dataset: str, big_query: BigQuery
) -> None:
    big_query.settings.plan = INSTANT
    client, table = exports.client, f"{dataset}.t"
    client.query(f"CREATE TABLE {table} (a INT64, day DATE) PARTITION BY day").result()
    client.query(f"INSERT INTO {table} VALUES (1, '2026-11-23'), (2, '2026-11-24')").result()
    day = dt.date(2026, 11, 24)
    uri = f"gs://{exports.bucket}/a.parquet"
    exports.storage.put(exports.bucket, "a.parquet", as_parquet(pa.table({"a": [9], "day": [day]})))
    truncate = {"write_disposition": "WRITE_TRUNCATE"}
    load(client, uri, f"{table}$20261124", **truncate).result()
    assert sorted(rows(client, f"SELECT a FROM {table}")) == [(1,), (9,)]
    job = load(client, uri, f"{table}$20261123", **truncate)
    assert "different partitions" in failure(job)
    assert sorted(rows(client, f"SELECT a FROM {table}")) == [(1,), (9,)]
    assert client.get_table(table).time_partitioning.field == "day"


def test_csv_is_loaded_with_null_and_empty_apart(
    exports: Exports, dataset: str, big_query: BigQuery
) -> None:
    big_query.settings.plan = INSTANT
    text = b'id,s,ts\n1,"",2024-01-01 00:00:00 UTC\n2,,\n'
    exports.storage.put(exports.bucket, "a.csv", text)
    schema = [
        bigquery.SchemaField("id", "INTEGER"),
        bigquery.SchemaField("s", "STRING"),
        bigquery.SchemaField("ts", "TIMESTAMP"),
    ]
    uri, table = f"gs://{exports.bucket}/a.csv", f"{dataset}.t"
    options = {"source_format": "CSV", "skip_leading_rows": 1}
    load(exports.client, uri, table, schema=schema, **options).result()
    load(exports.client, uri, table, write_disposition="WRITE_TRUNCATE", **options).result()
    assert rows(exports.client, f"SELECT * FROM {table} ORDER BY id") == [
        (1, "", dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        (2, None, None),
    ]


def test_missing_object_fails_the_load(exports: Exports, dataset: str, big_query: BigQuery) -> None:
    big_query.settings.plan = INSTANT
    job = load(exports.client, f"gs://{exports.bucket}/none.parquet", f"{dataset}.t")
    assert failure(job).startswith("notFound")
    with pytest.raises(exceptions.NotFound):
        exports.client.get_table(f"{dataset}.t")


def test_data_comes_with_a_load_job_in_one_request_or_several(
    client: bigquery.Client, dataset: str, big_query: BigQuery
) -> None:
    big_query.settings.plan = INSTANT
    data = as_parquet(pa.table({"a": [1, 2]}))
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
    for size in (None, len(data)):
        file = io.BytesIO(data)
        client.load_table_from_file(file, f"{dataset}.t", size=size, job_config=config).result()
        assert sorted(rows(client, f"SELECT a FROM {dataset}.t")) == [(1,), (2,)]


# Faults of the interface.


def test_calls_fail_on_demand_and_are_recorded(
    client: bigquery.Client, big_query: BigQuery
) -> None:
    big_query.faults.add(faults.answer("/jobs", 403, reason="quotaExceeded", method="POST"))
    with pytest.raises(exceptions.Forbidden) as caught:
        client.query("SELECT 1", retry=None, job_retry=None)
    assert caught.value.errors[0]["reason"] == "quotaExceeded"
    client.query("SELECT 1").result()
    statuses = [call.status for call in big_query.calls("POST", "/jobs")]
    assert statuses == [403, 200]


def test_unavailable_service_is_retried_by_the_client(
    client: bigquery.Client, big_query: BigQuery
) -> None:
    job = client.query("SELECT 1")
    fault = faults.answer(job.job_id, 503, times=2, method="GET")
    big_query.faults.add(fault)
    assert [row[0] for row in job.result()] == [1]
    assert fault.seen == 2


def test_only_good_tokens_are_taken(big_query: BigQuery) -> None:
    big_query.good_tokens = {"good"}
    url = f"{big_query.endpoint}/bigquery/v2/projects/test-project/jobs"
    assert ask("GET", url, headers={"Authorization": "Bearer good"}).status == 200
    assert ask("GET", url).status == 401


def test_storage_read_api_reads_a_table(
    client: bigquery.Client, dataset: str, big_query: BigQuery
) -> None:
    storage = pytest.importorskip("google.cloud.bigquery_storage")
    grpc = pytest.importorskip("grpc")
    transports = pytest.importorskip(
        "google.cloud.bigquery_storage_v1.services.big_query_read.transports"
    )
    client.query(f"CREATE TABLE {dataset}.t AS SELECT 1 AS a UNION ALL SELECT 2").result()
    with grpc.insecure_channel(big_query.storage_read_address) as channel:
        reader = storage.BigQueryReadClient(
            transport=transports.BigQueryReadGrpcTransport(channel=channel)
        )
        session = reader.create_read_session(
            parent="projects/test-project",
            read_session=storage.types.ReadSession(
                table=f"projects/test-project/datasets/{dataset}/tables/t",
                data_format=storage.types.DataFormat.ARROW,
            ),
            max_stream_count=1,
        )
        found = reader.read_rows(session.streams[0].name).to_arrow(session)
    assert sorted(found["a"].to_pylist()) == [1, 2]
