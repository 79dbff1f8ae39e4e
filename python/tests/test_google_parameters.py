"""hayate.google.parameters: values of Python as query parameters."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from google.cloud import bigquery

import hayate as hy
from hayate.google.parameters import Params, Typed, check_given, digest, query_parameters

D = decimal.Decimal
_TOKYO = dt.timezone(dt.timedelta(hours=9))


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (True, "BOOL", "true"),
        (np.bool_(False), "BOOL", "false"),
        (7, "INT64", "7"),
        (np.int32(7), "INT64", "7"),
        (-(2**63), "INT64", "-9223372036854775808"),
        (0.1, "FLOAT64", "0.1"),
        (float("nan"), "FLOAT64", "NaN"),
        (float("-inf"), "FLOAT64", "-inf"),
        ("", "STRING", ""),
        ("it's", "STRING", "it's"),
        (b"\x00\xff", "BYTES", "AP8="),
        (D("1.50"), "NUMERIC", "1.50"),
        (D("1E+3"), "NUMERIC", "1000"),
        (D("1e-9"), "NUMERIC", "0.000000001"),
        (D("1e-10"), "BIGNUMERIC", "0.0000000001"),
        (D("1e30"), "BIGNUMERIC", "1" + "0" * 30),
        (dt.date(2026, 11, 24), "DATE", "2026-11-24"),
        (dt.datetime(2026, 11, 24, 9), "DATETIME", "2026-11-24T09:00:00.000000"),
        (
            dt.datetime(2026, 11, 24, 9, tzinfo=_TOKYO),
            "TIMESTAMP",
            "2026-11-24 00:00:00.000000+00:00",
        ),
        (
            pd.Timestamp("2026-11-24 09:00", tz="UTC"),
            "TIMESTAMP",
            "2026-11-24 09:00:00.000000+00:00",
        ),
        (dt.time(1, 2, 3, 4), "TIME", "01:02:03.000004"),
        (Typed(None, "int64"), "INT64", None),
        (Typed(None, "GEOGRAPHY"), "GEOGRAPHY", None),
        (Typed(3, "NUMERIC"), "NUMERIC", "3"),
        (Typed(3, "FLOAT"), "FLOAT64", "3.0"),
        (Typed({"a": [1]}, "JSON"), "JSON", '{"a": [1]}'),
    ],
)
def test_scalars(value: Any, kind: str, text: str | None) -> None:
    assert query_parameters({"x": value}) == [
        {"name": "x", "parameterType": {"type": kind}, "parameterValue": {"value": text}}
    ]


def test_lists_and_dicts() -> None:
    [array, struct] = query_parameters([[1, 2], {"a": dt.date(2026, 1, 1), "b": ["x"]}])
    assert array == {
        "parameterType": {"type": "ARRAY", "arrayType": {"type": "INT64"}},
        "parameterValue": {"arrayValues": [{"value": "1"}, {"value": "2"}]},
    }
    assert struct["parameterType"]["structTypes"] == [
        {"name": "a", "type": {"type": "DATE"}},
        {"name": "b", "type": {"type": "ARRAY", "arrayType": {"type": "STRING"}}},
    ]
    values = struct["parameterValue"]["structValues"]
    assert values == {"a": {"value": "2026-01-01"}, "b": {"arrayValues": [{"value": "x"}]}}


def test_lists_of_numbers_take_the_type_that_loses_nothing() -> None:
    for values, kind in (
        ([1, 2.5], "FLOAT64"),
        ([1, D("2.5")], "NUMERIC"),
        ([D("1e-20"), 2], "BIGNUMERIC"),
    ):
        [array] = query_parameters([values])
        assert array["parameterType"]["arrayType"] == {"type": kind}, values
    with pytest.raises(hy.UsageError, match="a list of FLOAT64 and INT64"):
        query_parameters([[2**53 + 1, 0.5]])


def test_types_in_words() -> None:
    kind = "ARRAY< STRUCT<a INT64, b ARRAY<STRING>> >"
    [array] = query_parameters([Typed([{"a": 1, "b": []}, {"a": None, "b": ["x"]}], kind)])
    assert array["parameterType"] == {
        "type": "ARRAY",
        "arrayType": {
            "type": "STRUCT",
            "structTypes": [
                {"name": "a", "type": {"type": "INT64"}},
                {"name": "b", "type": {"type": "ARRAY", "arrayType": {"type": "STRING"}}},
            ],
        },
    }
    first, second = array["parameterValue"]["arrayValues"]
    assert first["structValues"] == {"a": {"value": "1"}, "b": {"arrayValues": []}}
    assert second["structValues"]["a"] == {"value": None}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "is None, which has no type"),
        (pd.NaT, "is None, which has no type"),
        (2**63, "more than an INT64 holds"),
        ([], "is an empty list"),
        ({}, "is an empty dict"),
        ([1, None], "has None in a list"),
        ([[1]], "a list of lists"),
        (["a", 1], "a list of INT64 and STRING"),
        (D("NaN"), "a BIGNUMERIC cannot hold"),
        (D("1e39"), "a BIGNUMERIC cannot hold"),
        (object(), "BigQuery has no type for"),
        (dt.timedelta(1), "BigQuery has no type for"),
        (dt.time(1, tzinfo=dt.UTC), "has a time zone"),
        (pd.Timestamp("2026-01-01 00:00:00.000000001"), "has nanoseconds"),
        (np.datetime64("2026-01-01"), "is a numpy.datetime64"),
        ("\ud800", "is no Unicode text"),
        (Typed(True, "INT64"), "is a bool, which is no INT64"),
        (Typed("1", "INT64"), "is a str, which is no INT64"),
        (Typed(dt.datetime(2026, 1, 1), "TIMESTAMP"), "has no time zone"),
        (Typed(dt.datetime(2026, 1, 1), "DATE"), "is a datetime, which is no DATE"),
        (Typed({"b": 1}, "STRUCT<a INT64>"), "is no STRUCT of a"),
        (Typed(1, "ARRAY<INT64>"), "no ARRAY"),
        (Typed(1, "INT"), "has the type 'INT'"),
        (Typed(1, "ARRAY<ARRAY<INT64>>"), "has the type"),
        (Typed(1, "STRUCT<a INT64"), "has the type"),
        (Typed(1, ""), "has the type"),
    ],
)
def test_what_is_no_parameter_is_refused_by_its_name(value: Any, what: str) -> None:
    with pytest.raises(hy.UsageError, match=f'the parameter "day" .*{what}') as caught:
        query_parameters({"day": value})
    assert caught.value.fix


def test_the_official_parameters_are_taken_too() -> None:
    given = bigquery.ScalarQueryParameter("other", "INT64", None)
    assert query_parameters({"x": given}) == [
        {"name": "x", "parameterType": {"type": "INT64"}, "parameterValue": {"value": None}}
    ]


def test_the_official_client_reads_what_is_made() -> None:
    made = query_parameters(
        {"a": [1], "s": {"x": D("1.5"), "y": dt.date(2026, 1, 1)}, "n": Typed(None, "BYTES")}
    )
    config = bigquery.QueryJobConfig.from_api_repr({"query": {"queryParameters": made}})
    array, struct, null = config.query_parameters
    assert (array.array_type, array.values) == ("INT64", [1])
    assert struct.struct_values == {"x": D("1.5"), "y": dt.date(2026, 1, 1)}
    assert null.value is None


def test_names_are_checked() -> None:
    with pytest.raises(hy.UsageError, match="@day"):
        query_parameters({"@day": 1})
    with pytest.raises(hy.UsageError, match="params= is a str"):
        query_parameters("day")


@pytest.mark.parametrize(
    ("names", "positional", "params", "what"),
    [
        ({"day"}, 0, None, "has @day, and params= has no value"),
        ({"day"}, 0, {"Day": 1}, ""),
        (set(), 0, {"day": 1}, 'params= has "day", and the SQL has no @day'),
        ({"day"}, 0, {"day": 1, "DAY": 2}, "a name twice"),
        (set(), 2, [1], "has 2 \\?, and params= has 1"),
        (set(), 1, [1], ""),
        ({"day"}, 1, [1], "both @name and"),
        (set(), 0, None, ""),
        (set(), 0, [1], "has 0"),
    ],
)
def test_what_the_sql_asks_for_is_what_is_given(
    names: set[str], positional: int, params: Params | None, what: str
) -> None:
    if not what:
        check_given(names, positional, params)
        return
    with pytest.raises(hy.UsageError, match=what):
        check_given(names, positional, params)


def test_digest_tells_values_and_types_apart_and_not_the_order_of_names() -> None:
    def of(params: Params) -> str:
        return digest(query_parameters(params))

    assert of({"a": 1, "b": 2}) == of({"b": 2, "a": 1})
    several: list[Params] = [
        {"a": 1}, {"a": 2}, {"b": 1}, {"a": 1.0}, {"a": "1"}, {"a": True}, {"a": [1]}, [1], [1, 2],
        [2, 1], {}, {"a": 0.0}, {"a": -0.0}, {"a": Typed(None, "INT64")},
    ]  # fmt: skip
    assert len({of(one) for one in several}) == len(several)
