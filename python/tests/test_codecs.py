"""Values that stages return, stored and read again."""

from __future__ import annotations

import datetime as dt
import json
import math
import pathlib
from collections import OrderedDict
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hayate as hy
from hayate import _core, codecs, tagged_json


def _stored(value: Any, directory: pathlib.Path, mode: str = "once") -> Any:
    codecs.write_value(value, str(directory), 0, {"mode": mode})
    _core.commit(str(directory), "test", 1)
    return hy.load(directory)


def _codec(directory: pathlib.Path) -> str:
    codec: str = json.loads(_core.read_manifest(str(directory)))["parts"][0]["codec"]
    return codec


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.zeros((0, 3), dtype="i4"),
        np.array(3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(["2020-01-01", "NaT"], dtype="M8[D]"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["x", "日本"]),
    ],
    ids=["floats", "empty", "scalar", "fortran", "times", "records", "texts"],
)
def test_array_comes_back(tmp_path: pathlib.Path, array: np.ndarray[Any, Any]) -> None:
    back = _stored(array, tmp_path / "v")
    assert type(back) is np.ndarray
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    assert _codec(tmp_path / "v") == "npy"


def test_array_is_mapped_and_may_be_written_to(tmp_path: pathlib.Path) -> None:
    back = _stored(np.arange(100), tmp_path / "v")
    assert not back.flags.owndata
    back[0] = 99
    assert hy.load(tmp_path / "v")[0] == 0


def test_array_of_objects_is_pickled(tmp_path: pathlib.Path) -> None:
    assert _stored(np.array([None, "x"], dtype=object), tmp_path / "v").tolist() == [None, "x"]
    assert _codec(tmp_path / "v") == "cloudpickle"


def test_metrics_are_json_and_stand_in_the_manifest(tmp_path: pathlib.Path) -> None:
    value = {"auc": np.float64(0.75), "rows": 3, "best": math.inf, "name": "x", "ok": True}
    back = _stored(value, tmp_path / "v")
    assert back == value
    assert [type(one) for one in back.values()] == [np.float64, int, float, str, bool]
    part = json.loads(_core.read_manifest(str(tmp_path / "v")))["parts"][0]
    assert part["extra"]["metrics"] == {
        "auc": 0.75,
        "rows": 3,
        "best": "inf",
        "name": "x",
        "ok": True,
    }


@pytest.mark.parametrize("value", [OrderedDict(a=1), {1, 2}, b"bytes", lambda x: x + 1, range(3)])
def test_what_json_would_change_is_pickled(tmp_path: pathlib.Path, value: Any) -> None:
    back = _stored(value, tmp_path / "v")
    assert _codec(tmp_path / "v") == "cloudpickle"
    assert back(1) == 2 if callable(value) else (back == value and type(back) is type(value))


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.dates()
    | st.datetimes().map(lambda time: time.replace(fold=0))
    | st.integers(0, 255).map(np.uint8)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.just("__hayate__"), inner)
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_plain_values_come_back_with_their_types(value: Any) -> None:
    back = tagged_json.loads(tagged_json.dumps(value))
    assert back == value
    assert repr(back) == repr(value)


def test_nan_comes_back() -> None:
    assert math.isnan(tagged_json.loads(tagged_json.dumps([math.nan]))[0])


@pytest.mark.parametrize(
    "value", [{1}, [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)], np.longdouble(1), 1j]
)
def test_what_has_no_plain_form_is_refused(value: Any) -> None:
    with pytest.raises(tagged_json.NotPlainError):
        tagged_json.dumps(value)


def test_cycle_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(tagged_json.NotPlainError):
        tagged_json.dumps(value)


def _training_data() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 4))
    return features, (features[:, 0] + 0.1 * random.normal(size=400) > 0).astype(int)


def test_booster_is_text_and_predicts_the_same(tmp_path: pathlib.Path) -> None:
    features, target = _training_data()
    data = lightgbm.Dataset(features[:300], target[:300])
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "metric": "auc"},
        data,
        num_boost_round=30,
        valid_sets=[lightgbm.Dataset(features[300:], target[300:], reference=data)],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
    )
    back = _stored(booster, tmp_path / "v")
    assert _codec(tmp_path / "v") == "lightgbm"
    np.testing.assert_array_equal(back.predict(features), booster.predict(features))
    assert back.best_iteration == booster.best_iteration > 0
    assert back.current_iteration() == booster.current_iteration()
    assert back.best_score == {name: dict(of) for name, of in booster.best_score.items()}


@pytest.mark.parametrize("score", [np.float32(0.5), np.array(0.5)])
def test_booster_with_any_metric_comes_back(tmp_path: pathlib.Path, score: Any) -> None:
    features, target = _training_data()
    data = lightgbm.Dataset(features, target)
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, num_boost_round=2)
    booster.best_score = {"valid": {"own": score}}
    back = _stored(booster, tmp_path / "v")
    np.testing.assert_array_equal(back.predict(features), booster.predict(features))
    assert back.best_score == booster.best_score
    assert type(back.best_score["valid"]["own"]) is type(score)


def test_values_of_partitions_are_a_list_without_empty_partitions(tmp_path: pathlib.Path) -> None:
    import pyarrow as pa

    from hayate.frames import write_table

    directory = str(tmp_path / "v")
    codecs.write_value({"n": 1}, directory, 0, {"mode": "partition"})
    write_table(pa.table({}), directory, 1)
    codecs.write_value({"n": 2}, directory, 2, {"mode": "partition"})
    _core.commit(directory, "test", 3)
    assert hy.load(directory) == [{"n": 1}, {"n": 2}]


def test_one_partition_is_still_a_list(tmp_path: pathlib.Path) -> None:
    assert _stored(5, tmp_path / "v", mode="partition") == [5]


def test_damaged_value_is_an_error_that_names_the_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "part-00000.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(hy.InputError) as caught:
        codecs.read_value(str(path), "npy", {})
    assert caught.value.where.object == str(path)
    with pytest.raises(hy.InputError, match="codec"):
        codecs.read_value(str(path), "unknown", {})


def test_value_that_cannot_be_pickled_is_an_error_and_leaves_nothing(
    tmp_path: pathlib.Path,
) -> None:
    with open(tmp_path / "open", "w") as file, pytest.raises(hy.UsageError, match="TextIOWrapper"):
        codecs.write_value(file, str(tmp_path / "v"), 0)
    assert list((tmp_path / "v").iterdir()) == []
