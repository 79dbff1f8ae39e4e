"""hy.read_bigquery: the rows of a query, exact, by every way and in every form; what it spends."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from email.parser import BytesParser
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from bigquery.reads import PROJECT, Reads, expected_numbers, leftovers, numbers
from emulators.exported_files import Dialect
from emulators.http_service import Answer
from emulators.jobs import Job, JobPlan
from emulators.memory_storage import MemoryStorage
from emulators.sql import TableName
from emulators.storage_proxy import StorageProxy

import hayate as hy
from hayate.errors import InputError, UsageError
from hayate.google import Typed, bucket_read, dialect
from hayate.google.engine import Listing
from hayate.google.link import Link

UTC = dt.UTC

TYPES = r"""
SELECT 1 AS i, 9223372036854775807 AS big, 'plain' AS s,
  TIMESTAMP '2024-02-29 23:59:01.000017+00' AS ts, DATETIME '2024-02-29 01:02:03.5' AS dt,
  TIME '01:02:03' AS t, DATE '0001-01-01' AS d, FROM_BASE64('AP8=') AS y, NUMERIC '1.50' AS n,
  TRUE AS b, CAST('nan' AS FLOAT64) AS f, JSON '{"a": 1}' AS j
UNION ALL
SELECT 2, -9223372036854775808, '', TIMESTAMP '2024-01-01 00:00:00+00',
  DATETIME '9999-12-31 23:59:59.999999', TIME '23:59:59.999999', DATE '9999-12-31',
  FROM_BASE64(''), NUMERIC '-0.001', FALSE, CAST('-inf' AS FLOAT64), JSON 'null'
UNION ALL
SELECT 3, 0, '日本語, "q"\r\nnext\n~x', TIMESTAMP '0001-01-01 00:00:00+00',
  DATETIME '0001-01-01 00:00:00', TIME '00:00:00', DATE '1969-12-31', FROM_BASE64('AAAA'),
  NUMERIC '0', FALSE, -0.0, JSON '[]'
UNION ALL
SELECT 4, 0, '~', TIMESTAMP '9999-12-31 23:59:59.999999+00', DATETIME '1969-12-31 23:59:59.000001',
  TIME '12:00:00.1', DATE '2000-02-29', FROM_BASE64('fg=='), NUMERIC '12.5',
  TRUE, 5e-324, JSON '"~"'
UNION ALL
SELECT 5, 0, ' ', TIMESTAMP '1969-12-31 23:59:59.999999+00', DATETIME '2024-01-01 10:00:00',
  TIME '00:00:00.000001', DATE '1970-01-01', FROM_BASE64('IA=='), NUMERIC '-1',
  TRUE, 1.7976931348623157e308, JSON '""'
UNION ALL
SELECT 6, 0, 'NULL', TIMESTAMP '1970-01-01 00:00:00+00', DATETIME '2024-01-01 10:00:00',
  TIME '00:00:00', DATE '1970-01-01', FROM_BASE64('TlVMTA=='), NUMERIC '0.002',
  TRUE, CAST('inf' AS FLOAT64), JSON '1'
UNION ALL
SELECT 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
ORDER BY i
"""


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=UTC)


EXPECTED_TYPES = pa.table(
    {
        "i": pa.array(range(1, 8), pa.int64()),
        "big": pa.array([2**63 - 1, -(2**63), 0, 0, 0, 0, None], pa.int64()),
        "s": pa.array(
            ["plain", "", '日本語, "q"\r\nnext\n~x', "~", " ", "NULL", None], pa.string()
        ),
        "ts": pa.array(
            [
                instant("2024-02-29 23:59:01.000017"),
                instant("2024-01-01"),
                instant("0001-01-01"),
                instant("9999-12-31 23:59:59.999999"),
                instant("1969-12-31 23:59:59.999999"),
                instant("1970-01-01"),
                None,
            ],
            pa.timestamp("us", "UTC"),
        ),
        "dt": pa.array(
            [
                dt.datetime(2024, 2, 29, 1, 2, 3, 500000),
                dt.datetime.max,
                dt.datetime.min,
                dt.datetime(1969, 12, 31, 23, 59, 59, 1),
                dt.datetime(2024, 1, 1, 10),
                dt.datetime(2024, 1, 1, 10),
                None,
            ],
            pa.timestamp("us"),
        ),
        "t": pa.array(
            [
                dt.time(1, 2, 3),
                dt.time.max,
                dt.time.min,
                dt.time(12, 0, 0, 100000),
                dt.time(0, 0, 0, 1),
                dt.time.min,
                None,
            ],
            pa.time64("us"),
        ),
        "d": pa.array(
            [
                dt.date.min,
                dt.date.max,
                dt.date(1969, 12, 31),
                dt.date(2000, 2, 29),
                dt.date(1970, 1, 1),
                dt.date(1970, 1, 1),
                None,
            ],
            pa.date32(),
        ),
        "y": pa.array([b"\0\xff", b"", b"\0\0\0", b"~", b" ", b"NULL", None], pa.binary()),
        "n": pa.array(
            [
                Decimal(text) if text else None
                for text in ("1.5", "-0.001", "0", "12.5", "-1", "0.002", "")
            ],
            pa.decimal128(38, 9),
        ),
        "b": pa.array([True, False, False, True, True, True, None], pa.bool_()),
        "f": pa.array(
            [math.nan, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, math.inf, None],
            pa.float64(),
        ),
        "j": pa.array(['{"a":1}', "null", "[]", '"~"', '""', "1", None], pa.string()),
    }
)


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    """The same schema and the same values, down to the sign of zero; NaN is NaN."""
    assert found.schema.remove_metadata() == expected.schema
    assert found.num_rows == expected.num_rows
    for name in expected.column_names:
        assert _exact(found[name]) == _exact(expected[name]), name


def _exact(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_floating(column.type):
        return [None if value is None else value.hex() for value in column.to_pylist()]
    if pa.types.is_timestamp(column.type):
        return list(column.cast(pa.int64()).to_pylist())
    return list(column.to_pylist())


# Values.


@pytest.mark.parametrize("way", ["csv", "parquet", "streams"])
def test_every_type_comes_exactly_by_every_way(reads: Reads, dataset: str, way: str) -> None:
    if way == "streams":
        found = reads.stream(TYPES, dataset)
    else:
        found = reads.read(TYPES, JobPlan(running_polls=0, shards=3), format=way)
    assert_same(found, EXPECTED_TYPES)
    reads.assert_clean()


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_numeric_extremes_are_exact(reads: Reads, format_name: str) -> None:
    nines = "9" * 29 + "." + "9" * 9
    # BIGNUMERIC has a little less than 39 digits before the point.
    most = Decimal("5" + "0" * 37 + "." + "1" * 38)
    least = Decimal("0." + "0" * 37 + "1")
    with decimal.localcontext(prec=80):
        table = pa.table(
            {
                "n": pa.array([Decimal(nines), Decimal(f"-{nines}"), None], pa.decimal128(38, 9)),
                "bn": pa.array([most, -most, least], pa.decimal256(76, 38)),
            }
        )
    fields = [{"name": "n", "type": "NUMERIC"}, {"name": "bn", "type": "BIGNUMERIC"}]
    reads.big_query.settings.plant("SELECT extremes", fields, table)
    found = reads.read("SELECT extremes", format=format_name)
    assert found.equals(table)


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_geography_is_well_known_text(reads: Reads, format_name: str) -> None:
    sql = "SELECT 1 AS i, ST_GEOGPOINT(1, 2) AS g UNION ALL SELECT 2, NULL ORDER BY i"
    found = reads.read(sql, format=format_name)
    assert found.schema.field("g").type == pa.string()
    # DuckDB's ST_ASTEXT has a blank that the service's has not.
    assert [text and text.replace(" (", "(") for text in found["g"].to_pylist()] == [
        "POINT(1 2)",
        None,
    ]


NESTED = """
SELECT 1 AS i, [1, 2] AS a, STRUCT(1 AS x, 'y' AS z) AS s,
  [STRUCT(TIMESTAMP '2024-01-01 00:00:00+00' AS at)] AS l
UNION ALL SELECT 2, [], STRUCT(NULL, ''), []
ORDER BY i
"""


@pytest.mark.parametrize("way", ["parquet", "streams"])
def test_arrays_and_structs_come_as_they_are(reads: Reads, dataset: str, way: str) -> None:
    found = reads.stream(NESTED, dataset) if way == "streams" else reads.read(NESTED, format=way)
    utc = pa.timestamp("us", "UTC")
    assert found.schema.remove_metadata() == pa.schema(
        [
            ("i", pa.int64()),
            ("a", pa.list_(pa.int64())),
            ("s", pa.struct([("x", pa.int64()), ("z", pa.string())])),
            ("l", pa.list_(pa.struct([("at", utc)]))),
        ]
    )
    assert found.to_pylist() == [
        {"i": 1, "a": [1, 2], "s": {"x": 1, "z": "y"}, "l": [{"at": instant("2024-01-01")}]},
        {"i": 2, "a": [], "s": {"x": None, "z": ""}, "l": []},
    ]


def test_nested_columns_are_refused_by_csv_with_the_remedy_before_a_job(reads: Reads) -> None:
    with pytest.raises(UsageError, match="CSV") as raised:
        reads.read(NESTED, format="csv")
    assert "TO_JSON_STRING" in raised.value.fix and 'format="parquet"' in raised.value.fix
    assert reads.jobs() == []


@pytest.mark.parametrize(
    "spelling",
    [
        Dialect(nan="nan", infinity="inf"),
        Dialect(nan="NaN", infinity="+Inf"),
        Dialect(datetime_separator=" "),
        Dialect(empty_string=""),
        Dialect(gzip_members=3),
        Dialect(row_group_rows=2),
    ],
    ids=["nan", "inf", "datetime", "empty", "members", "row-groups"],
)
def test_what_is_not_known_of_the_service_may_be_either_way(
    reads: Reads, spelling: Dialect
) -> None:
    reads.big_query.settings.dialect = spelling
    format_name = "csv" if spelling.row_group_rows is None else "parquet"
    if spelling.infinity.startswith("+"):
        # The stand-in puts the minus in front: "-+Inf" is nobody's spelling.
        sql, expected = TYPES.replace("'-inf'", "'inf'"), list(EXPECTED_TYPES["f"].to_pylist())
        expected[1] = math.inf
        column = pa.array(expected, pa.float64())
        wanted = EXPECTED_TYPES.set_column(10, "f", column)
    else:
        sql, wanted = TYPES, EXPECTED_TYPES
    assert_same(reads.read(sql, format=format_name), wanted)


def test_gzip_with_content_encoding_comes_as_it_is_stored(reads: Reads) -> None:
    reads.big_query.settings.content_encoding = "gzip"
    plan = JobPlan(running_polls=0, shards=2)
    assert_same(reads.read(TYPES, plan, format="csv"), EXPECTED_TYPES)
    media = reads.proxy.calls("GET", "alt=media")
    assert len(media) >= 2
    assert {call.headers["Accept-Encoding"] for call in media} == {"gzip"}


def test_strings_need_no_mark_where_the_probe_has_found_that_quotes_tell(reads: Reads) -> None:
    dialect.remember(str(reads.folder / ".hayate"), PROJECT, nulls_are_distinct=True)
    assert reads.read(numbers(30), format="csv").equals(expected_numbers(30))
    (job,) = reads.jobs()
    assert "STARTS_WITH" not in job.configuration["query"]["query"]


@pytest.mark.parametrize("accepted", [True, False])
def test_zstd_where_the_network_was_waited_for(reads: Reads, accepted: bool) -> None:
    Link(str(reads.folder / ".hayate"), reads.bucket).measured(1 << 30, 0.9)
    reads.big_query.settings.accepts_zstd = accepted
    plan = JobPlan(running_polls=0, shards=2)
    reads.big_query.plan_next(plan)  # for the second attempt
    assert_same(reads.read(TYPES, plan), EXPECTED_TYPES)
    statements = [str(job.configuration["query"]["query"]) for job in reads.jobs()]
    asked = [re.search(r"compression = '(\w+)'", one) for one in statements]
    compressions = [found[1] for found in asked if found]
    assert compressions == (["ZSTD"] if accepted else ["ZSTD", "SNAPPY"])
    assert ("attempt 2 of 3" in reads.said()) is not accepted
    reads.assert_clean()


# Shards.


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_order_is_kept_across_shards_that_appear_one_by_one(reads: Reads, format_name: str) -> None:
    sql = numbers(1000).replace("ORDER BY n", "ORDER BY n DESC")
    plan = JobPlan(running_polls=2, shards=7, visible_shards=(2, 5))
    found = reads.read(sql, plan, format=format_name)
    assert found["n"].to_pylist() == list(range(999, -1, -1))
    reads.assert_clean()


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_no_rows_have_the_columns_and_their_types(
    reads: Reads, dataset: str, format_name: str
) -> None:
    sql = numbers(3).replace("ORDER BY", "WHERE n < 0 ORDER BY")
    nothing = expected_numbers(0)
    assert reads.read(sql, format=format_name).equals(nothing)
    assert reads.stream(sql, dataset, store="another").equals(nothing)


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_more_shards_than_rows_are_empty_ones(reads: Reads, format_name: str) -> None:
    plan = JobPlan(running_polls=0, shards=9)
    assert reads.read(numbers(4), plan, format=format_name).equals(expected_numbers(4))


class Uploads(MemoryStorage):
    """Objects in memory that can be written through the interface as well: a lease has to be."""

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urllib.parse.urlsplit(target)
        found = re.match(r"^/upload/storage/v1/b/([^/]+)/o$", parts.path)
        if method != "POST" or found is None:
            return super().answer(method, target, headers, body)
        query = dict(urllib.parse.parse_qsl(parts.query))
        kind = next((v for name, v in headers.items() if name.lower() == "content-type"), "")
        name = query.get("name", "")
        if kind.startswith("multipart/"):
            head = f"Content-Type: {kind}\r\n\r\n".encode()
            resource, content = BytesParser().parsebytes(head + body).get_payload()
            name = name or json.loads(resource.get_payload(decode=True))["name"]
            body = content.get_payload(decode=True)
        self.put(found[1], name, body)
        path = f"/storage/v1/b/{found[1]}/o/{urllib.parse.quote(name, safe='')}"
        return super().answer("GET", path, {}, b"")


@pytest.fixture
def memory(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """The same with a bucket in memory, for very many objects."""
    storage = Uploads()
    storage.make_bucket(reads.bucket)
    reads.big_query.use_storage(storage)
    with StorageProxy(storage) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.endpoint)
        reads.storage, reads.proxy = storage, proxy
        yield reads


@pytest.mark.all
@pytest.mark.parametrize(("format_name", "shards"), [("csv", 20_000), ("parquet", 2_000)])
def test_very_many_shards(memory: Reads, format_name: str, shards: int) -> None:
    plan = JobPlan(running_polls=2, shards=shards, visible_shards=(50, shards // 2))
    found = memory.read(numbers(25_000), plan, format=format_name)
    assert found.equals(expected_numbers(25_000))
    memory.assert_clean()


# What EXPORT DATA does not do.


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_wildcard_table_comes_by_way_of_a_table(
    reads: Reads, dataset: str, format_name: str
) -> None:
    reads.prepare(
        f"CREATE TABLE {dataset}.events_1 AS SELECT 1 AS a",
        f"CREATE TABLE {dataset}.events_2 AS SELECT 2 AS a",
    )
    sql = f"SELECT a FROM `{dataset}.events_*`"
    reads.big_query.plan_next(reads.into_table(sql, dataset))
    found = reads.read(sql, JobPlan(running_polls=0, shards=2), format=format_name)
    assert sorted(found["a"].to_pylist()) == [1, 2]
    assert [job.kind for job in reads.jobs()] == ["query", "extract"]
    assert "EXPORT DATA cannot read" in (said := reads.said()) and "events_*" in said
    reads.assert_clean()


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_ordered_wildcard_table_is_exported_from_its_table(
    reads: Reads, dataset: str, format_name: str
) -> None:
    reads.prepare(
        f"CREATE TABLE {dataset}.events_1 AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 50)) AS x",
        f"CREATE TABLE {dataset}.events_2 AS SELECT x FROM UNNEST(GENERATE_ARRAY(51, 99)) AS x",
    )
    sql = f"SELECT x FROM `{dataset}.events_*` ORDER BY x DESC"
    # A table has no order: what comes out of it has to be ordered again.
    reads.big_query.plan_next(reads.into_table(sql.replace("DESC", ""), dataset))
    found = reads.read(sql, JobPlan(running_polls=0, shards=4), format=format_name)
    assert found["x"].to_pylist() == list(range(99, 0, -1))
    assert [job.kind for job in reads.jobs()] == ["query", "query"]
    reads.assert_clean()


def test_information_schema_comes_by_way_of_a_table(reads: Reads, dataset: str) -> None:
    reads.prepare(f"CREATE TABLE {dataset}.one AS SELECT 1 AS a")
    sql = f"SELECT table_name FROM {dataset}.INFORMATION_SCHEMA.TABLES"
    reads.big_query.plan_next(reads.into_table("SELECT 'one' AS table_name", dataset))
    found = reads.read(sql)
    assert found["table_name"].to_pylist() == ["one"]
    assert [job.kind for job in reads.jobs()] == ["query", "extract"]
    reads.assert_clean()


# Arguments.


PARAMETERS: Mapping[str, tuple[Any, pa.DataType, Any]] = {
    "bool": (True, pa.bool_(), True),
    "int": (-(2**63), pa.int64(), -(2**63)),
    "float": (0.1, pa.float64(), 0.1),
    "text": ("it's ~ 日本\n", pa.string(), "it's ~ 日本\n"),
    "numeric": (Decimal("1.25"), pa.decimal128(38, 9), Decimal("1.25")),
    "date": (dt.date(2026, 11, 24), pa.date32(), dt.date(2026, 11, 24)),
    "time": (dt.time(1, 2, 3, 4), pa.time64("us"), dt.time(1, 2, 3, 4)),
    "datetime": (
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),
        pa.timestamp("us"),
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    ),
    "timestamp": (
        dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=9))),
        pa.timestamp("us", "UTC"),
        dt.datetime(2026, 1, 1, 18, tzinfo=UTC),
    ),
    "null": (Typed(None, "INT64"), pa.int64(), None),
}


@pytest.mark.parametrize("kind", PARAMETERS)
def test_parameter_of_each_kind(reads: Reads, kind: str) -> None:
    given, type_, expected = PARAMETERS[kind]
    found = reads.read("SELECT @p AS p", params={"p": given})
    assert found.schema.field("p").type == type_
    assert found["p"].to_pylist() == [expected]


def test_bytes_are_a_parameter(reads: Reads) -> None:
    # bqemulator takes them for text; what it was sent is what counts.
    reads.read("SELECT @p AS p", params={"p": b"\0\xff"})
    (job,) = reads.jobs()
    (sent,) = job.configuration["query"]["queryParameters"]
    assert sent["parameterType"] == {"type": "BYTES"}
    assert sent["parameterValue"] == {"value": "AP8="}


def test_list_and_positional_parameters(reads: Reads) -> None:
    sql = "SELECT x FROM UNNEST(GENERATE_ARRAY(1, 9)) AS x WHERE x IN UNNEST({}) ORDER BY x"
    found = reads.read(sql.format("@wanted"), params={"wanted": [3, 5, 77]})
    assert found["x"].to_pylist() == [3, 5]
    found = reads.read("SELECT ? AS a, ? AS b", params=[1, "x"])
    assert found.to_pylist() == [{"a": 1, "b": "x"}]


def test_parameters_that_do_not_fit_the_sql_are_refused(reads: Reads) -> None:
    with pytest.raises(UsageError, match="@day") as raised:
        reads.call("SELECT @day AS d")
    assert 'params={"day": …}' in raised.value.fix
    with pytest.raises(UsageError, match='params= has "dya"'):
        reads.call("SELECT 1 AS d", params={"dya": 1})
    assert reads.proxy.calls() == [] and reads.jobs() == []


@pytest.mark.parametrize("way", ["csv", "parquet", "streams"])
def test_columns_are_chosen_in_their_order_and_the_rest_is_not_exported(
    reads: Reads, dataset: str, way: str
) -> None:
    expected = expected_numbers(20).select(["e", "n"])
    if way == "streams":
        # The job's own table holds what the SELECT of the columns gives.
        chosen = f"SELECT e, n FROM ({numbers(20)}) ORDER BY n"
        reads.big_query.plan_next(reads.into_table(chosen, dataset))
        found = reads.call(numbers(20), columns=["e", "n"])
    else:
        found = reads.read(numbers(20), format=way, columns=["E", "n"])
    assert found.equals(expected)
    with pytest.raises(UsageError, match="nothing") as raised:
        reads.call(numbers(20), columns=["nothing"])
    assert "n, s, e, t" in raised.value.fix


def test_result_has_each_form(reads: Reads) -> None:
    def again(form: str) -> Any:
        return reads.read(numbers(10), as_=form)

    frame = again("frame")
    assert isinstance(frame, hy.Frame)
    table = again("arrow")
    assert table.equals(expected_numbers(10))
    assert isinstance(again("polars"), pl.DataFrame)
    assert again("polars").to_arrow().cast(table.schema).equals(table)
    frame_of_pandas = again("pandas")
    assert isinstance(frame_of_pandas, pd.DataFrame)
    assert frame_of_pandas["n"].tolist() == list(range(10))
    assert frame_of_pandas["e"].isna().tolist() == [n % 3 == 0 for n in range(10)]
    assert str(frame_of_pandas["t"].dt.tz) == "UTC"
    assert len(reads.jobs()) == 1


def test_job_is_what_was_asked_for(reads: Reads) -> None:
    reads.read(
        numbers(5), format="csv", labels={"team": "ads"}, max_bytes_billed=10**9, priority="BATCH"
    )
    (job,) = reads.jobs()
    query = job.configuration["query"]
    assert query["maximumBytesBilled"] == "1000000000" and query["priority"] == "BATCH"
    assert job.configuration["labels"]["team"] == "ads"
    (text,) = re.findall(r"OPTIONS\s*\((.*?)\)", query["query"], re.DOTALL)
    options = text.replace(" ", "").replace("'", '"').lower()
    for wanted in ('format="csv"', 'compression="gzip"', "header=true", "overwrite=true"):
        assert wanted in options
    assert options.count("*") == 1 and f"gs://{reads.bucket}/folder/hayate-" in options


# What is refused before anything is spent.


def test_more_bytes_than_may_be_billed_is_refused_without_a_job(reads: Reads) -> None:
    reads.big_query.settings.bytes_processed = 30 << 20
    with pytest.raises(UsageError, match="max_bytes_billed allows 1,000") as raised:
        reads.read(numbers(5), max_bytes_billed=1000)
    assert f"max_bytes_billed={30 << 20}" in raised.value.fix
    assert reads.jobs() == []
    assert reads.read(numbers(5), max_bytes_billed=30 << 20).num_rows == 5


def test_bucket_that_is_missing_is_refused_without_a_job(reads: Reads) -> None:
    with pytest.raises(InputError, match="bucket") as raised:
        reads.read(numbers(5), export="gs://no-such-bucket/folder")
    assert "gs://no-such-bucket" in str(raised.value) and raised.value.fix
    assert reads.jobs() == []
    reads.assert_clean()


@pytest.mark.parametrize("permission", ["create", "get", "list", "delete"])
def test_missing_permission_on_the_bucket_is_refused_without_a_job(
    reads: Reads, permission: str
) -> None:
    needed = {f"storage.objects.{one}" for one in ("create", "get", "list", "delete")}
    reads.proxy.permissions[reads.bucket] = needed - {f"storage.objects.{permission}"}
    with pytest.raises(UsageError, match=f"storage.objects.{permission}") as raised:
        reads.read(numbers(5))
    assert "roles/storage.objectUser" in raised.value.fix
    assert reads.jobs() == []
    reads.assert_clean()


def test_bucket_that_keeps_what_is_deleted(reads: Reads) -> None:
    reads.proxy.bucket_extra[reads.bucket] = {"retentionPolicy": {"retentionPeriod": "86400"}}
    with pytest.raises(UsageError, match="retention policy"):
        reads.read(numbers(5))
    assert reads.jobs() == []
    policy = {"retentionDurationSeconds": "604800"}
    reads.proxy.bucket_extra[reads.bucket] = {"softDeletePolicy": policy}
    reads.said()
    reads.read(numbers(5))
    assert "Soft Delete" in reads.said()


def test_wrong_sql_shows_its_place_and_is_not_run(reads: Reads) -> None:
    with pytest.raises(UsageError, match="refused"):
        reads.read("SELECT nothing_like_it FROM UNNEST([1]) AS x")
    with pytest.raises(UsageError, match="more than one statement"):
        reads.read("SELECT 1; SELECT 2")
    assert reads.jobs() == []


# What is left.


def test_kept_export_stays_and_is_said(reads: Reads) -> None:
    reads.read(numbers(5), JobPlan(running_polls=0, shards=2), keep_export=True)
    names = reads.objects()
    assert [re.sub(r"hayate-[0-9a-z-]+", "hayate-RUN", name) for name in names] == [
        "folder/hayate-RUN/part-000000000000.parquet",
        "folder/hayate-RUN/part-000000000001.parquet",
    ]
    assert names[0].rpartition("/")[0] in reads.said()
    assert list(leftovers(reads.folder)) == []
    # The next read takes away neither these nor less than its own.
    reads.read(numbers(6))
    assert reads.objects() == names


def test_what_others_have_in_the_folder_stays(reads: Reads) -> None:
    theirs = [
        "folder/hayate-notes.txt",
        "folder/hayate-20261124t000000-0123456789abcdef/part-000000000000.parquet",
        "folder/part-000000000000.parquet",
        "folder/x/part-000000000000.csv.gz",
        "folders",
    ]
    for name in theirs:
        reads.storage.put(reads.bucket, name, b"theirs")
    beside: list[str] = []

    def put_beside(job: Job) -> None:
        folder = job.shards[0].name.rpartition("/")[0]
        beside.append(f"{folder}/README")
        reads.storage.put(reads.bucket, beside[0], b"theirs")

    plan = JobPlan(running_polls=0, shards=3, after_done=put_beside)
    assert reads.read(numbers(20), plan).equals(expected_numbers(20))
    reads.assert_clean(*theirs, *beside)
    for name in reads.objects():
        assert reads.storage.read(reads.bucket, name) == b"theirs"


class Aged:
    """The engine's connection, to which the objects of one folder look two hours old."""

    def __init__(self, storage: Any, folder: str) -> None:
        self._storage = storage
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def list(self, uri_prefix: str) -> Listing:
        two_hours_ns = 7_200 * 10**9
        return [
            {**one, "updated_ns": one["updated_ns"] - two_hours_ns * (self._folder in one["uri"])}
            for one in self._storage.list(uri_prefix)
        ]


def test_what_a_dead_run_of_another_machine_left_is_removed_and_a_live_one_stays(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {one: f"20261124t00000{one}-0123456789abcdef" for one in (1, 2)}
    for run in runs.values():
        lease = json.dumps({"hayate": 1, "run": run, "jobs": []}).encode()
        reads.storage.put(reads.bucket, f"folder/hayate-{run}/lease.json", lease)
        part = f"folder/hayate-{run}/part-000000000000.csv.gz"
        reads.storage.put(reads.bucket, part, b"x")
    sweep = bucket_read.sweep_bucket

    def sweep_aged(storage: Any, *rest: Any) -> list[str]:
        return sweep(Aged(storage, runs[1]), *rest)

    monkeypatch.setattr(bucket_read, "sweep_bucket", sweep_aged)
    assert reads.read(numbers(5)).num_rows == 5
    folder = f"folder/hayate-{runs[2]}"
    reads.assert_clean(f"{folder}/lease.json", f"{folder}/part-000000000000.csv.gz")
    assert runs[1] in reads.said()


# Not again.


@pytest.fixture
def table(reads: Reads, dataset: str) -> str:
    """A base table with a row."""
    reads.prepare(f"CREATE TABLE {dataset}.base AS SELECT 1 AS a, 'x' AS s")
    return f"{dataset}.base"


def test_same_query_over_unchanged_tables_is_not_run_again(reads: Reads, table: str) -> None:
    first = reads.read(f"SELECT a, s FROM {table}")
    assert len(reads.jobs()) == 1
    reads.said()
    # Comments and blanks do not count; neither does the way.
    again = reads.call(f"SELECT a,   s FROM {table} -- the same")
    assert again.equals(first) and len(reads.jobs()) == 1
    assert "used again" in reads.said()
    assert len(reads.results()) == 1


def test_changed_table_or_parameter_is_read_again(reads: Reads, table: str) -> None:
    sql = f"SELECT a FROM {table} WHERE a >= @least ORDER BY a"
    assert reads.read(sql, params={"least": 1})["a"].to_pylist() == [1]
    reads.prepare(f"INSERT INTO {table} (a, s) VALUES (2, 'y')")
    reads.said()
    assert reads.read(sql, params={"least": 1})["a"].to_pylist() == [1, 2]
    assert f"{table} changed" in reads.said()
    assert reads.read(sql, params={"least": 2})["a"].to_pylist() == [2]
    assert len(reads.jobs()) == 3


def _streaming(reads: Reads, table: str) -> None:
    name = TableName(PROJECT, *table.split("."))
    reads.big_query.settings.table_extra[name] = {"streamingBuffer": {"estimatedRows": "1"}}


def _varying_view(reads: Reads, table: str) -> None:
    dataset = table.partition(".")[0]
    query = f"SELECT a, CURRENT_DATE() AS today FROM {table}"
    reads.prepare(f"CREATE VIEW {dataset}.seen AS {query}")


@pytest.mark.parametrize(
    ("prepare", "sql", "reason"),
    [
        (_streaming, "SELECT a FROM {table}", "streamed into"),
        (None, "SELECT a, CURRENT_DATE() AS d FROM {table}", "CURRENT_DATE"),
        (None, "SELECT a, RAND() AS r FROM {table}", "RAND"),
        (_varying_view, "SELECT a FROM {dataset}.seen", "CURRENT_DATE"),
    ],
    ids=["streaming-buffer", "date", "rand", "view"],
)
def test_what_may_change_unseen_is_run_again_and_says_why(
    reads: Reads, table: str, prepare: Callable[[Reads, str], None] | None, sql: str, reason: str
) -> None:
    if prepare is not None:
        prepare(reads, table)
    text = sql.format(table=table, dataset=table.partition(".")[0])
    for count in (1, 2):
        reads.said()
        assert reads.read(text)["a"].to_pylist() == [1]
        said = reads.said()
        assert "not kept" in said and reason in said
        assert len(reads.jobs()) == count
    assert reads.results() == []


def test_view_counts_with_its_definition(reads: Reads, table: str) -> None:
    dataset = table.partition(".")[0]
    reads.prepare(f"CREATE VIEW {dataset}.seen AS SELECT a FROM {table}")
    for _ in range(2):
        assert reads.read(f"SELECT a FROM {dataset}.seen")["a"].to_pylist() == [1]
    assert len(reads.jobs()) == 1
    reads.prepare(f"CREATE OR REPLACE VIEW {dataset}.seen AS SELECT a + 1 AS a FROM {table}")
    assert reads.read(f"SELECT a FROM {dataset}.seen")["a"].to_pylist() == [2]
    assert len(reads.jobs()) == 2


def test_damaged_result_is_read_again(reads: Reads, table: str) -> None:
    sql = f"SELECT a FROM {table}"
    reads.read(sql)
    (kept,) = reads.results()
    (kept / "frame.json").write_text("{")
    assert reads.read(sql)["a"].to_pylist() == [1]
    assert len(reads.jobs()) == 2 and len(reads.results()) == 1


# What is said.


def test_summary_says_what_it_has_cost(reads: Reads, table: str) -> None:
    reads.proxy.bucket_extra[reads.bucket] = {"location": "ASIA-NORTHEAST1"}
    reads.read(f"SELECT a FROM {table}", JobPlan(running_polls=0, shards=3), progress=None)
    said = reads.said()
    assert re.search(r"1 rows in \d+ s; 10\.5 MB billed, 3 objects written \([\d,]+ bytes\)", said)
    assert "across regions (US to ASIA-NORTHEAST1)" in said


def test_progress_that_is_off_says_nothing(reads: Reads) -> None:
    reads.said()
    reads.read(numbers(5), progress=False)
    assert reads.said() == ""


def test_exported_bytes_are_those_of_base64(reads: Reads) -> None:
    """What TO_BASE64 makes is read back, whatever its length."""
    values = [bytes(range(256))[:length] for length in range(40)]
    rows = [
        f"SELECT {at} AS place, FROM_BASE64('{base64.b64encode(one).decode()}') AS y"
        for at, one in enumerate(values)
    ]
    sql = " UNION ALL ".join(rows) + " ORDER BY place"
    assert reads.read(sql, format="csv")["y"].to_pylist() == values


def test_order_that_cannot_be_moved_is_refused_and_says_what_to_write(reads: Reads) -> None:
    sql = "SELECT CAST(x AS STRING) AS s FROM UNNEST([3, 1, 2]) AS x ORDER BY -x"
    with pytest.raises(UsageError, match="no column of the result") as raised:
        reads.read(sql, format="csv")
    assert 'format="parquet"' in raised.value.fix and reads.jobs() == []
    assert reads.read(sql)["s"].to_pylist() == ["3", "2", "1"]
