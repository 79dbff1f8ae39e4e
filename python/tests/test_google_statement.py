"""hayate.google: schemas, the SELECT around the query, and the EXPORT DATA statement."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import hayate as hy
from hayate.google import types
from hayate.google.projection import project
from hayate.google.statement import bucket_of, export_statement, folder_uri
from hayate.google.tokens import Kind, tokens, unquoted


def _field(name: str, kind: str, mode: str = "NULLABLE", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "mode": mode, **more}


_EVERY = [
    _field("i", "INTEGER", "REQUIRED"),
    _field("f", "FLOAT"),
    _field("b", "BOOLEAN"),
    _field("s", "STRING", maxLength="20"),
    _field("y", "BYTES"),
    _field("n", "NUMERIC", precision="10", scale="2"),
    _field("g", "BIGNUMERIC"),
    _field("d", "DATE"),
    _field("t", "TIME"),
    _field("dt", "DATETIME"),
    _field("ts", "TIMESTAMP"),
    _field("j", "JSON"),
    _field("geo", "GEOGRAPHY"),
    _field("v", "INTERVAL"),
    _field("r", "RANGE", rangeElementType={"type": "DATE"}),
]


def test_types_for_csv_and_for_arrow() -> None:
    names = types.csv_schema(_EVERY)
    assert list(names.values()) == [
        "INT64", "FLOAT64", "BOOL", "STRING", "BYTES", "NUMERIC", "BIGNUMERIC", "DATE", "TIME",
        "DATETIME", "TIMESTAMP", "JSON", "GEOGRAPHY", "INTERVAL", "RANGE",
    ]  # fmt: skip
    assert types.arrow_schema(_EVERY) == pa.schema(
        [
            ("i", pa.int64()),
            ("f", pa.float64()),
            ("b", pa.bool_()),
            ("s", pa.string()),
            ("y", pa.binary()),
            ("n", pa.decimal128(38, 9)),
            ("g", pa.decimal256(76, 38)),
            ("d", pa.date32()),
            ("t", pa.time64("us")),
            ("dt", pa.timestamp("us")),
            ("ts", pa.timestamp("us", "UTC")),
            ("j", pa.string()),
            ("geo", pa.string()),
            ("v", pa.string()),
            ("r", pa.string()),
        ]
    )


def test_the_engine_reads_csv_into_the_very_types(tmp_path: Any) -> None:
    # The two tables of types, ours and the engine's, cannot drift apart.
    text = (
        "i,f,b,s,y,n,g,d,t,dt,ts,j,geo,v,r\n"
        "1,1.5,true,x,AP8=,1.5,1.5,2026-01-01,01:02:03,2026-01-01T00:00:00,"
        '2026-01-01 00:00:00 UTC,{},POINT(1 2),0-0 1 0:0:0,"[2026-01-01, UNBOUNDED)"\n'
    )
    (tmp_path / "a.csv").write_text(text)
    table = hy.read_csv(tmp_path / "a.csv", schema=types.csv_schema(_EVERY), as_="arrow")
    assert table.schema.types == types.arrow_schema(_EVERY).types


def test_nested_types() -> None:
    inner = [_field("a", "INT64"), _field("t", "TIMESTAMP", "REPEATED")]
    schema = [_field("x", "STRING"), _field("s", "RECORD", "REPEATED", fields=inner)]
    assert types.nested_columns(schema) == ["s"]
    assert types.type_text(schema[1]) == "ARRAY<STRUCT<a INT64, t ARRAY<TIMESTAMP>>>"
    utc = pa.timestamp("us", "UTC")
    assert types.arrow_schema(schema).field("s").type == pa.list_(
        pa.struct([("a", pa.int64()), ("t", pa.list_(utc))])
    )
    with pytest.raises(hy.UsageError, match="ARRAY<STRUCT") as caught:
        types.csv_schema(schema)
    assert caught.value.where.column == "s"
    assert "TO_JSON_STRING(s)" in caught.value.fix


@pytest.mark.parametrize(
    ("field", "what"),
    [
        (_field("x", "PROTO"), "the type PROTO"),
        (_field("x", "RANGE", "REPEATED"), "RANGE inside of an ARRAY"),
        (_field("x", "RECORD", fields=[_field("g", "GEOGRAPHY")]), "GEOGRAPHY inside"),
        (_field("x", "TIMESTAMP", timestampPrecision="12"), "12 digits of a second"),
    ],
)
def test_types_that_would_not_come_over_whole_are_refused(field: Any, what: str) -> None:
    with pytest.raises(hy.UsageError, match=what) as caught:
        types.check_schema([field])
    assert caught.value.fix and caught.value.where.column.startswith("x")


def test_names_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(hy.UsageError, match='two columns "A"'):
        types.check_schema([_field("a", "INT64"), _field("A", "INT64")])


def _sql(text: str) -> str:
    return " ".join(token.text for token in tokens(text))


_SQL = "SELECT * FROM d.t -- all"


def test_a_query_without_risky_columns_stays_as_it_is() -> None:
    plain = [_field("i", "INT64"), _field("ts", "TIMESTAMP"), _field("j", "JSON")]
    for format_name in ("csv", "parquet"):
        made = project(_SQL, plain, format_name)  # type: ignore[arg-type]
        assert (made.sql, made.is_marked, made.has_all_columns) == (_SQL, False, False)
    made = project(_SQL, [_field("s", "STRING"), _field("y", "BYTES")], "parquet")
    assert made.sql == _SQL


def test_texts_and_bytes_in_csv_carry_a_mark_where_they_are_empty() -> None:
    made = project(_SQL, [_field("i", "INT64"), _field("s", "STRING"), _field("y", "BYTES")], "csv")
    assert made.is_marked and not made.has_all_columns
    q = "hayate_query"
    assert _sql(made.sql) == _sql(
        "SELECT * REPLACE ("
        f"IF({q}.`s` = '' OR STARTS_WITH({q}.`s`, '~'), CONCAT('~', {q}.`s`), {q}.`s`) AS `s`, "
        f"IF(LENGTH({q}.`y`) = 0, '~', TO_BASE64({q}.`y`)) AS `y`) "
        f"FROM (SELECT * FROM d.t) AS {q}"
    )


def test_texts_stay_as_they_are_where_nulls_are_known_to_be_distinct() -> None:
    made = project(_SQL, [_field("s", "STRING")], "csv", nulls_are_distinct=True)
    assert made.sql == _SQL and not made.is_marked


def test_types_without_a_sure_spelling_become_text_in_both_formats() -> None:
    schema = [_field("g", "GEOGRAPHY"), _field("v", "INTERVAL"), _field("r", "RANGE")]
    for format_name in ("csv", "parquet"):
        made = project(_SQL, schema, format_name)  # type: ignore[arg-type]
        text = _sql(made.sql)
        assert "ST_ASTEXT ( hayate_query . `g` ) AS `g`" in text
        assert "CAST ( hayate_query . `v` AS STRING ) AS `v`" in text
        assert "CAST ( hayate_query . `r` AS STRING ) AS `r`" in text
        assert not made.is_marked


def test_order_and_limit_move_outward_and_sort_by_what_the_user_has() -> None:
    sql = "WITH a AS (SELECT 1) SELECT * FROM a ORDER BY S DESC, 1 NULLS LAST LIMIT 5 -- end"
    made = project(sql, [_field("i", "INT64"), _field("s", "STRING")], "csv")
    tail = _sql(made.sql).partition("AS hayate_query ")[2]
    assert tail == ("ORDER BY hayate_query . `s` DESC , hayate_query . `i` NULLS LAST LIMIT 5")
    inner = made.sql[made.sql.index("FROM (") :].partition(") AS hayate_query")[0]
    assert "ORDER" not in inner and "LIMIT" not in inner


@pytest.mark.parametrize("key", ["LOWER(s)", "hidden", "t.s", "3", "s || ''"])
def test_an_order_that_cannot_move_is_refused_and_never_lost(key: str) -> None:
    schema = [_field("i", "INT64"), _field("s", "STRING")]
    with pytest.raises(hy.UsageError, match="the ORDER BY sorts by") as caught:
        project(f"SELECT i, s FROM d.t ORDER BY i, {key}", schema, "csv")
    assert 'format="parquet"' in caught.value.fix
    # In Parquet nothing has to be replaced.
    assert project(f"SELECT i, s FROM d.t ORDER BY {key}", schema, "parquet").sql.endswith(key)


def test_an_order_in_pipes_is_refused() -> None:
    with pytest.raises(hy.UsageError, match="pipes"):
        project("FROM d.t |> ORDER BY s", [_field("s", "STRING")], "csv")
    made = project("FROM d.t |> SELECT s", [_field("s", "STRING")], "csv")
    assert "FROM d.t |> SELECT s" in made.sql


def test_columns_are_chosen_by_the_service_where_the_order_allows() -> None:
    schema = [_field("a", "INT64"), _field("b c", "STRING"), _field("d", "INT64")]
    made = project("SELECT * FROM d.t ORDER BY a", schema, "parquet", ["D", "b c"])
    assert _sql(made.sql) == _sql(
        "SELECT hayate_query.`d`, hayate_query.`b c` FROM (SELECT * FROM d.t) AS hayate_query "
        "ORDER BY hayate_query.`a`"
    )
    made = project("SELECT * FROM d.t ORDER BY a + 1", schema, "parquet", ["d"])
    assert made.has_all_columns and made.sql.endswith("a + 1")
    with pytest.raises(hy.UsageError, match='"x"'):
        project("SELECT * FROM d.t", schema, "parquet", ["x"])


@pytest.mark.parametrize("name", ["a`b", "a\\", "größe", "it's", "select", "a\nb", "x y (z)"])
def test_odd_names_of_columns_survive(name: str) -> None:
    made = project(_SQL, [_field(name, "STRING")], "csv")
    found = [unquoted(one.text) for one in tokens(made.sql) if one.kind is Kind.QUOTED]
    assert found and set(found) == {name}


def test_the_statement_says_everything_itself() -> None:
    sql = export_statement("SELECT 1 -- one", "gs://b-1/a b/hayate-1/part-", "csv")
    assert _sql(sql) == _sql(
        "EXPORT DATA OPTIONS (uri = 'gs://b-1/a b/hayate-1/part-*.csv.gz', format = 'CSV', "
        "compression = 'GZIP', overwrite = true, header = true, field_delimiter = ',') AS SELECT 1"
    )
    sql = export_statement("SELECT 1", "gs://bucket/it's/part-", "parquet")
    assert _sql(sql) == _sql(
        r"EXPORT DATA OPTIONS (uri = 'gs://bucket/it\'s/part-*.parquet', format = 'PARQUET', "
        "compression = 'SNAPPY', overwrite = true) AS SELECT 1"
    )
    assert "'ZSTD'" in export_statement("SELECT 1", "gs://bucket/part-", "parquet", "ZSTD")
    for prefix in ("gs://bucket//part-", "gs://bucket/*/part-", "s3://bucket/part-"):
        with pytest.raises(ValueError, match="prefix"):
            export_statement("SELECT 1", prefix, "csv")


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("gs://bucket", "gs://bucket/"),
        ("gs://bucket/", "gs://bucket/"),
        ("gs://my.bucket_1/a/b", "gs://my.bucket_1/a/b/"),
        ("gs://bucket/日本/x y/", "gs://bucket/日本/x y/"),
    ],
)
def test_folders(uri: str, folder: str) -> None:
    assert folder_uri(uri) == folder
    assert bucket_of(folder) == uri.split("/")[2]


@pytest.mark.parametrize(
    "uri",
    [
        "", "bucket/a", "s3://bucket/a", "gs://", "gs://b", "gs:///a", "gs://bucket//a",
        "gs://bucket/a//b", "gs://bucket/a/../b", "gs://bucket/a*", "gs://bucket/a\n",
        "gs://bücket/a", "gs://bucket/" + "a" * 600, "gs://bucket/a//",
    ],
)  # fmt: skip
def test_what_is_no_folder_is_refused(uri: str) -> None:
    with pytest.raises(hy.UsageError) as caught:
        folder_uri(uri)
    assert caught.value.fix
