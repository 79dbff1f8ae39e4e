"""hayate.google.load_types and load_target: what becomes of names, types and values in a table."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from load_service import STAGING, TABLE, world_in

import hayate as hy
from hayate.google.load import Load
from hayate.google.load_target import parse_target
from hayate.google.load_types import check_values, convert, plan_columns, table_schema

# Names.


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("bigquery://my-project.d.t", ("my-project", "d", "t", "")),
        ("bigquery://d.t", ("", "d", "t", "")),
        ("bigquery://my-project.d.t$20261124", ("my-project", "d", "t", "20261124")),
        ("bigquery://my-project.d.t$2026-11-24", ("my-project", "d", "t", "20261124")),
        ("bigquery://d.t$2026112403", ("", "d", "t", "2026112403")),
        ("bigquery://d.t$202611", ("", "d", "t", "202611")),
        ("bigquery://d.t$40", ("", "d", "t", "40")),
        ("bigquery://example.com:my-project.d.t", ("example.com:my-project", "d", "t", "")),
        ("bigquery://p.d_1.some-table 表", ("p", "d_1", "some-table 表", "")),
    ],
)
def test_tables_are_named(path: str, parts: tuple[str, str, str, str]) -> None:
    found = parse_target(path)
    assert (found.project, found.dataset, found.table, found.partition) == parts
    assert parse_target(found.uri) == found


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("gs://bucket/x", "no table of BigQuery"),
        ("bigquery://", "parts project, dataset and table"),
        ("bigquery://t", "parts project, dataset and table"),
        ("bigquery://p.d.t.x", "parts project, dataset and table"),
        ("bigquery://p..t", "parts project, dataset and table"),
        ("bigquery://p/d/t", "separated by points"),
        ("bigquery://`p.d.t`", "backtick"),
        ("bigquery://p:d.t", "legacy SQL"),
        ("bigquery://My_Project.d.t", "'My_Project' is no name of a project"),
        ("bigquery://p.d-e.t", "'d-e' is no name of a dataset"),
        ("bigquery://p.INFORMATION_SCHEMA.t", "cannot be written to"),
        ("bigquery://p.d.events_*", "stands for many tables"),
        ("bigquery://p.d.t\n", "has the character"),
        ("bigquery://p.d." + "x" * 1025, "too long"),
        ("bigquery://p.d.t$", "'' is no name of a partition"),
        ("bigquery://p.d.t$today", "'today' is no name of a partition"),
        ("bigquery://p.d.t$1$2", "'1\\$2' is no name of a partition"),
        ("bigquery://p.d.t$__NULL__", "no way to write into"),
    ],
)
def test_a_wrong_name_is_refused_with_what_is_wrong(path: str, word: str) -> None:
    with pytest.raises(hy.UsageError, match=word) as caught:
        parse_target(path)
    assert caught.value.fix


def test_what_is_told_travels_as_json() -> None:
    what = Load(TABLE, STAGING, "append", "p", "EU", {"team": "x"})
    assert Load.from_json(json.loads(json.dumps(what.to_json()))) == what


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"staging": "s3://bucket"}, "staging= is no gs:// folder"),
        ({"staging": "gs://bucket//x"}, "staging="),
        ({"write": "replace"}, "write='replace'"),
        ({"labels": {"Team": "x"}}, "labels="),
        ({"table": "t"}, "parts project, dataset and table"),
    ],
)
def test_what_is_told_is_checked(more: dict[str, Any], word: str) -> None:
    with pytest.raises(hy.UsageError, match=word):
        Load(**{"table": TABLE, "staging": STAGING, **more})


# Types.


def _planned(table: pa.Table, existing: Any = None, is_replaced: bool = True) -> list[Any]:
    return plan_columns(table.schema, existing, is_replaced=is_replaced, table="t")


@pytest.mark.parametrize(
    ("kind", "name", "mode"),
    [
        (pa.int8(), "INTEGER", "NULLABLE"),
        (pa.uint64(), "INTEGER", "NULLABLE"),
        (pa.float16(), "FLOAT", "NULLABLE"),
        (pa.bool_(), "BOOLEAN", "NULLABLE"),
        (pa.large_string(), "STRING", "NULLABLE"),
        (pa.dictionary(pa.int8(), pa.string()), "STRING", "NULLABLE"),
        (pa.binary(4), "BYTES", "NULLABLE"),
        (pa.date64(), "DATE", "NULLABLE"),
        (pa.time32("s"), "TIME", "NULLABLE"),
        (pa.timestamp("ms", "Asia/Tokyo"), "TIMESTAMP", "NULLABLE"),
        (pa.timestamp("ns"), "DATETIME", "NULLABLE"),
        (pa.decimal128(38, 9), "NUMERIC", "NULLABLE"),
        (pa.decimal128(38, 8), "BIGNUMERIC", "NULLABLE"),
        (pa.decimal256(76, 38), "BIGNUMERIC", "NULLABLE"),
        (pa.decimal128(10, -3), "NUMERIC", "NULLABLE"),
        (pa.null(), "STRING", "NULLABLE"),
        (pa.list_(pa.int32()), "INTEGER", "REPEATED"),
        (pa.list_(pa.float32(), 2), "FLOAT", "REPEATED"),
    ],
)
def test_types_have_counterparts(kind: pa.DataType, name: str, mode: str) -> None:
    [field] = table_schema(_planned(pa.schema([("a", kind)]).empty_table()))["fields"]
    assert field == {"name": "a", "type": name, "mode": mode}


def test_structs_and_lists_of_structs_are_records() -> None:
    kind = pa.list_(pa.struct([("x", pa.int8()), ("y", pa.list_(pa.string()))]))
    [field] = table_schema(_planned(pa.schema([("a", kind)]).empty_table()))["fields"]
    assert (field["type"], field["mode"]) == ("RECORD", "REPEATED")
    assert [(one["name"], one["type"], one["mode"]) for one in field["fields"]] == [
        ("x", "INTEGER", "NULLABLE"),
        ("y", "STRING", "REPEATED"),
    ]


@pytest.mark.parametrize(
    ("kind", "column", "word"),
    [
        (pa.duration("ns"), "a", "duration.* no counterpart"),
        (pa.map_(pa.string(), pa.int8()), "a", "map.* no counterpart"),
        (pa.list_(pa.list_(pa.int8())), "a", "lists in lists"),
        (pa.struct([("x", pa.list_(pa.list_(pa.int8())))]), "a.x", "lists in lists"),
        (pa.struct([]), "a", "without a field"),
        (pa.decimal256(76, 0), "a", "38 digits before the point"),
        (pa.decimal256(76, 50), "a", "38 digits before the point"),
        (pa.struct([("x", pa.duration("s"))]), "a.x", "no counterpart"),
    ],
)
def test_a_type_without_a_counterpart_is_refused(kind: pa.DataType, column: str, word: str) -> None:
    with pytest.raises(hy.UsageError, match=word) as caught:
        _planned(pa.schema([("a", kind)]).empty_table())
    assert caught.value.where.column == column and caught.value.fix


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "1 to 300 characters"),
        ("x" * 301, "1 to 300 characters"),
        ("a.b", "character '.'"),
        ("a(b)", "character '\\('"),
        ("a`b", "character '`'"),
        ("_PARTITIONTIME", "keeps names that begin with _PARTITION"),
        ("_table_suffix", "keeps names that begin with _TABLE_"),
    ],
)
def test_a_name_that_bigquery_does_not_take_is_refused(name: str, word: str) -> None:
    with pytest.raises(hy.UsageError, match=word):
        _planned(pa.table({name: [1]}))
    inner = pa.struct([(name, pa.int8())])
    with pytest.raises(hy.UsageError, match=word):
        _planned(pa.schema([("a", inner)]).empty_table())


def test_names_that_differ_in_case_only_and_no_columns_are_refused() -> None:
    with pytest.raises(hy.UsageError, match="'ID' and 'id' for one"):
        _planned(pa.table({"ID": [1], "id": [1]}))
    with pytest.raises(hy.UsageError, match="no columns"):
        _planned(pa.table({}))


_US = 1_000


@pytest.mark.parametrize(
    ("values", "kind", "word"),
    [
        ([0, None, _US, _US + 1], pa.timestamp("ns"), "has nanoseconds"),
        ([0, 0, 0, 1], pa.time64("ns"), "has nanoseconds"),
        ([0, 1, 2, 2**63], pa.uint64(), "larger than an INT64"),
        ([0, 86_400_000, None, 1], pa.date64(), "no whole day"),
        ([0, 1, 2, 253_402_300_800], pa.timestamp("s", "UTC"), "years 1 to 9999"),
        ([0, 1, 2, 2**62], pa.timestamp("s"), "years 1 to 9999"),
        ([0, 1, 2, -719_163], pa.date32(), "years 1 to 9999"),
        ([0, 1, 2, 86_400_000_000], pa.time64("us"), "no time of a day"),
        ([[1], [], [2], None], pa.list_(pa.int8()), "null instead of a list"),
        ([[1], [], [2], [1, None]], pa.list_(pa.int8()), "list with a null"),
        ([[0], [], [2], [2**63]], pa.list_(pa.uint64()), "larger than an INT64"),
        ([{"x": [1]}, None, {"x": []}, {"x": None}], pa.struct([("x", pa.list_(pa.int8()))]),
         "null instead of a list"),
        ([{"x": 1}, None, {"x": None}, {"x": 2**63}], pa.struct([("x", pa.uint64())]),
         "larger than an INT64"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("as_dictionary", [False, True])
def test_a_value_without_a_counterpart_is_refused_with_its_row(
    values: list[Any], kind: pa.DataType, word: str, as_dictionary: bool
) -> None:
    array = pa.array(values, kind)
    if as_dictionary and not pa.types.is_nested(kind):
        array = array.dictionary_encode()
    table = pa.table({"a": pa.chunked_array([array.slice(0, 2), array.slice(2)])})
    with pytest.raises(hy.UsageError, match=word) as caught:
        check_values(table, _planned(table), 100, "t")
    assert (caught.value.where.row, caught.value.where.column) == (104, "a")
    check_values(table.slice(0, 3), _planned(table), 100, "t")


def test_a_value_that_no_row_uses_is_no_reason_to_refuse() -> None:
    values = pa.array([0, 2**63], pa.uint64())
    array = pa.DictionaryArray.from_arrays(pa.array([0, 0, None], pa.int8()), values)
    table = pa.table({"a": array})
    columns = _planned(table)
    check_values(table, columns, 0, "t")
    assert convert(table, columns).column("a").to_pylist() == [0, 0, None]


# What is in a table already.


def test_a_column_keeps_what_the_table_says_of_it() -> None:
    existing = [
        {"name": "ID", "type": "INTEGER", "mode": "REQUIRED", "description": "who"},
        {"name": "name", "type": "STRING", "policyTags": {"names": ["x"]}, "maxLength": "5"},
        {"name": "gone", "type": "DATE"},
    ]
    table = pa.table({"id": [1], "name": ["a"], "new": [1.5]})
    fields = table_schema(_planned(table, existing))["fields"]
    assert fields == [
        {"name": "id", "type": "INTEGER", "mode": "REQUIRED", "description": "who"},
        {"name": "name", "type": "STRING", "mode": "NULLABLE", "policyTags": {"names": ["x"]},
         "maxLength": "5"},
        {"name": "new", "type": "FLOAT", "mode": "NULLABLE"},
    ]  # fmt: skip
    appended = table_schema(_planned(table.drop_columns("new"), existing, is_replaced=False))
    assert appended["fields"] == [
        {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "name", "type": "STRING", "mode": "NULLABLE", "maxLength": "5"},
    ]


def test_columns_have_to_fit_into_a_table_that_is_appended_to() -> None:
    def plan(table: pa.Table, existing: list[dict[str, Any]]) -> list[dict[str, Any]]:
        made = _planned(table, existing, is_replaced=False)
        return [dict(one) for one in table_schema(made)["fields"]]

    number = [{"name": "a", "type": "NUMERIC", "mode": "NULLABLE"}]
    assert plan(pa.table({"a": [1]}), number) == number
    nothing = pa.table({"a": pa.nulls(2)})
    for kind in ("DATE", "INTEGER", "BIGNUMERIC"):
        assert plan(nothing, [{"name": "a", "type": kind}])[0]["type"] == kind
    with pytest.raises(hy.UsageError, match="the table has DATE in this column, and the frame"):
        plan(pa.table({"a": ["x"]}), [{"name": "a", "type": "DATE"}])
    with pytest.raises(hy.UsageError, match="no such column"):
        plan(pa.table({"a": [1], "b": [1]}), [{"name": "a", "type": "INTEGER"}])
    with pytest.raises(hy.UsageError, match="REQUIRED, and the frame has no such column"):
        plan(
            pa.table({"a": [1]}),
            [{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "DATE", "mode": "REQUIRED"}],
        )
    nested = [{"name": "a", "type": "RECORD", "fields": [{"name": "x", "type": "INTEGER"}]}]
    with pytest.raises(hy.UsageError, match="no such field") as caught:
        plan(pa.table({"a": [{"y": 1}]}), nested)
    assert caught.value.where.column == "a.y"
    nested[0]["fields"][0]["mode"] = "REQUIRED"  # type: ignore[index]
    with pytest.raises(hy.UsageError, match="REQUIRED inside of a STRUCT"):
        plan(pa.table({"a": [{"x": 1}]}), nested)
    [replaced] = table_schema(_planned(pa.table({"a": [{"x": 1}]}), nested))["fields"]
    assert replaced["fields"][0]["mode"] == "NULLABLE"


def test_nulls_in_a_required_column_are_refused() -> None:
    existing = [{"name": "a", "type": "INTEGER", "mode": "REQUIRED"}]
    table = pa.table({"a": [1, 2, None]})
    with pytest.raises(hy.UsageError, match="is null, and the table's column is REQUIRED") as found:
        check_values(table, _planned(table, existing), 0, "t")
    assert found.value.where.row == 3


# Types there and back.

_TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59))
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def _decimals(digits: int, places: int) -> st.SearchStrategy[Any]:
    most = 10**digits - 1
    exact = decimal.Context(prec=80)
    return st.integers(-most, most).map(
        lambda number: decimal.Decimal(number).scaleb(-places, context=exact)
    )


_PLAIN: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint32(), st.integers(0, 2**32 - 1)),
    (pa.uint64(), st.integers(0, 2**63 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.string(), _TEXTS),
    (pa.large_string(), _TEXTS),
    (pa.binary(), st.binary(max_size=8)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    (pa.time32("s"), st.times().map(lambda one: one.replace(microsecond=0))),
    (pa.time64("us"), st.times()),
    (pa.time64("ns"), st.times()),
    (pa.timestamp("s"), _TIMES.map(lambda one: one.replace(microsecond=0))),
    (pa.timestamp("us"), _TIMES),
    (pa.timestamp("us", "UTC"), _TIMES.map(lambda one: one.replace(tzinfo=dt.UTC))),
    (pa.decimal128(9, 2), _decimals(9, 2)),
    (pa.decimal128(38, 9), _decimals(38, 9)),
    (pa.decimal256(76, 38), _decimals(76, 38)),
]


@st.composite
def _arrays(draw: st.DrawFn) -> pa.Array:
    """Eight values of any type that a table holds exactly."""
    kind, values = draw(st.sampled_from(_PLAIN))
    shape = draw(st.sampled_from(["plain", "dictionary", "list", "struct", "structs", "null"]))
    maybe = st.none() | values
    if shape == "null":
        return pa.nulls(8)
    if shape == "list":
        kind, maybe = pa.list_(kind), st.lists(values, max_size=3)
    elif shape == "struct":
        inner = st.fixed_dictionaries({"x": maybe, "ys": st.lists(values, max_size=2)})
        kind, maybe = pa.struct([("x", kind), ("ys", pa.large_list(kind))]), st.none() | inner
    elif shape == "structs":
        item = st.fixed_dictionaries({"x": maybe})
        kind, maybe = pa.list_(pa.struct([("x", kind)])), st.lists(item, max_size=3)
    array = pa.array(draw(st.lists(maybe, min_size=8, max_size=8)), kind)
    return array.dictionary_encode() if shape == "dictionary" else array


def _comparable(value: Any) -> Any:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else (value, math.copysign(1, value))
    if isinstance(value, Mapping):
        return {name: _comparable(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_comparable(one) for one in value]
    return value


@settings(max_examples=60, deadline=None)
@given(arrays=st.lists(_arrays(), min_size=1, max_size=4), cut=st.integers(0, 8))
def test_every_type_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, arrays: list[pa.Array], cut: int
) -> None:
    table = pa.table({f"c{number}": array for number, array in enumerate(arrays)})
    with world_in(tmp_path_factory.mktemp("load")) as world:
        directory = world.frame(table.slice(0, cut), table.slice(cut))
        world.load(directory)
        expected = [
            _comparable(row)
            for piece in (table.slice(0, cut), table.slice(cut))
            for row in piece.to_pylist()
        ]
        assert [_comparable(row) for row in world.service.all_rows()] == expected


def test_dictionaries_pairs_and_lists_in_structs_come_back(tmp_path: pathlib.Path) -> None:
    word = pa.dictionary(pa.int8(), pa.string())
    inner = pa.array(["a", "b", None, "a"]).dictionary_encode()
    table = pa.table(
        {
            "words": pa.array([["a", "b"], [], ["b"], ["a"]], pa.list_(word)),
            "pair": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.int16(), 2)),
            "struct": pa.StructArray.from_arrays([inner], ["word"]),
        }
    )
    with world_in(tmp_path) as world:
        world.load(world.frame(table.slice(0, 1), table.slice(1)))
        assert world.service.all_rows() == table.to_pylist()


def test_instants_stay_and_zones_go(tmp_path: pathlib.Path) -> None:
    tokyo = pa.array([0, None, 1_500], pa.timestamp("ms", "Asia/Tokyo"))
    finest = pa.array([0, None, 1_500_000], pa.timestamp("ns"))
    with world_in(tmp_path) as world:
        world.load(world.frame(pa.table({"a": tokyo, "b": finest})))
        rows = world.service.all_rows()
        kinds = [one["type"] for one in world.service.configuration["schema"]["fields"]]
    at = dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=dt.UTC)
    assert [row["a"] for row in rows] == [dt.datetime(1970, 1, 1, tzinfo=dt.UTC), None, at]
    assert rows[2]["b"] == dt.datetime(1970, 1, 1, 0, 0, 0, 1_500)
    assert kinds == ["TIMESTAMP", "DATETIME"]
