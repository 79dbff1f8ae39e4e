"""Parameters: types, texts, defaults, and that one is never read as a global."""

from __future__ import annotations

import datetime as dt
import enum
import operator
import pathlib
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_files import load, value_of, wrong_use

from hayate import values
from hayate.errors import UsageError
from hayate.parameters import Param, param, today


class Color(enum.Enum):
    RED = "r"
    BLUE = 2


KINDS: list[tuple[typing.Any, st.SearchStrategy[typing.Any]]] = [
    (str, st.text()),
    (int, st.integers(-(2**63), 2**63 - 1)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (dt.date, st.dates()),
    (dt.datetime, st.datetimes(timezones=st.none() | st.just(dt.UTC))),
    (Color, st.sampled_from(Color)),
    (typing.Literal["a", 3, True], st.sampled_from(["a", 3, True])),
]


@given(st.data())
def test_every_value_survives_its_text_and_its_json(data):
    kind, strategy = data.draw(st.sampled_from(KINDS))
    value = data.draw(strategy)
    name = values.type_name(kind)
    assert name is not None and values.accepts(kind, name, value)
    parsed = values.parse(kind, name, values.to_text(value), "/")
    assert parsed == value and type(parsed) is type(value)
    back = values.from_json(kind, name, values.to_json(value))
    assert back == value and type(back) is type(value)


def test_a_given_path_is_relative_to_the_command_and_a_default_to_the_job(tmp_path):
    job = load(tmp_path, "import pathlib\np = hy.param(pathlib.Path)\n", p="in/a.csv")
    assert job.values(working_directory="/here")["p"] == pathlib.Path("/here/in/a.csv")
    assert value_of(tmp_path, "hy.param(pathlib.Path, default=pathlib.Path('x'))") == tmp_path / "x"


@pytest.mark.parametrize(
    ("declared", "text", "told"),
    [
        ("hy.param(dt.date)", "tomorrow", "datetime.date"),
        ("hy.param(int)", "3.5", "int"),
        ("hy.param(int)", str(2**63), "int"),
        ("hy.param(float)", "nan", "float"),
        ("hy.param(bool)", "maybe", "bool"),
        ("hy.param(typing.Literal['a', 'b'])", "c", "one of a, b"),
    ],
)
def test_a_text_of_another_type_is_told_with_name_text_and_type(tmp_path, declared, text, told):
    error = wrong_use(tmp_path, f"import typing\np = {declared}\n", p=text)
    assert "parameter p" in error.what and f'"{text}"' in error.what and told in error.what
    assert error.fix.startswith("Write --set p=")
    assert error.where.object.endswith("job.py") and error.where.line == 4


def test_all_missing_parameters_are_told_at_once_with_what_to_write(tmp_path):
    error = wrong_use(tmp_path, "day = hy.param(dt.date)\nk = hy.param(int)\n")
    assert "day, k" in error.what
    assert error.fix == "Add --set day=2026-11-24 --set k=1"


def test_an_unknown_parameter_is_told_with_the_nearest(tmp_path):
    error = wrong_use(tmp_path, "day = hy.param(dt.date)\n", dya="2026-11-24")
    assert '"dya"' in error.what and error.fix == "Did you mean day?"


def test_today_is_the_date_in_its_time_zone_at_the_instant_of_the_run(tmp_path):
    job = load(
        tmp_path,
        """
        tokyo = hy.param(dt.date, default=hy.today(tz="Asia/Tokyo"))
        before = hy.param(dt.date, default=hy.today(tz="Asia/Tokyo") - dt.timedelta(days=1))
        utc = hy.param(dt.date, default=hy.today())
        """,
    )
    given_values = job.values(dt.datetime(2026, 11, 23, 15, 0, tzinfo=dt.UTC))
    assert given_values == {
        "tokyo": dt.date(2026, 11, 24),
        "before": dt.date(2026, 11, 23),
        "utc": dt.date(2026, 11, 23),
    }


def test_a_default_is_used_and_may_be_none(tmp_path):
    assert value_of(tmp_path, "hy.param(float, default=1)") == 1.0
    assert value_of(tmp_path, "hy.param(str, default=None)") is None


@pytest.mark.parametrize(
    "declaration",
    [
        "hy.param(int, default='3')",
        "hy.param(int, default=True)",
        "hy.param(str, default=hy.today())",
        "hy.param(list)",
        "hy.param(dt.date, default=hy.today(tz='Mars/Phobos'))",
        "hy.param(dt.date, default=hy.today() - dt.timedelta(hours=1))",
    ],
)
def test_a_declaration_that_does_not_fit_is_told_with_its_line(tmp_path, declaration):
    error = wrong_use(tmp_path, f"p = {declaration}\n")
    assert error.where.line == 3 and error.fix


USES: list[typing.Callable[[typing.Any], object]] = [
    str,
    lambda p: f"{p}",
    lambda p: f"{p:%Y}",
    lambda p: f"{p}",
    bool,
    int,
    len,
    list,
    lambda p: p == 1,
    lambda p: p != 1,
    lambda p: p < 1,
    lambda p: p + 1,
    lambda p: 1 + p,
    lambda p: p - dt.timedelta(days=1),
    operator.neg,
    lambda p: p.year,
    lambda p: p["a"],
    lambda p: "a" in p,
    lambda p: p(),
    open,
]


@pytest.mark.parametrize("use", USES)
def test_a_use_as_a_global_is_refused_with_what_to_do(use):
    day = param(dt.date)
    with pytest.raises(UsageError) as caught:
        use(day)
    assert "as a global" in caught.value.what and "argument of the stage" in caught.value.fix
    assert caught.value.where.object == __file__


def test_a_parameter_can_be_looked_at_by_tools():
    day = param(dt.date)
    assert "date" in repr(day) and isinstance(day, Param)
    assert not hasattr(day, "__wrapped__") and len({day: 1}) == 1


def test_today_is_the_same_for_every_process_of_a_run():
    instant = dt.datetime(2026, 11, 24, 23, 59, 59, tzinfo=dt.UTC)
    assert today().resolve(instant) == dt.date(2026, 11, 24)


def test_the_name_of_a_member_goes_before_the_value_of_another_one():
    kind = enum.Enum("Kind", {"A": "B", "B": "C", "D": "x"})
    assert values.parse(kind, "enum", "B", "/") is kind.B
    assert values.parse(kind, "enum", "x", "/") is kind.D
    assert values.from_json(kind, "enum", values.to_json(kind.B)) is kind.B
    with pytest.raises(KeyError):
        values.from_json(kind, "enum", "x")
