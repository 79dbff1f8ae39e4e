"""Data frames with every type of column, and how two of them are compared."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def every_type() -> pd.DataFrame:
    """Five rows of every type of column that comes back as it was, with and without nulls."""
    times = pd.to_datetime(["2020-01-01", None, "2021-01-01", "2022-01-01", "2023-01-01"])
    return pd.DataFrame(
        {
            "float": [1.5, np.nan, 3.0, np.inf, -0.0],
            "float32": np.arange(5, dtype="f4"),
            "float16": np.arange(5, dtype="f2"),
            "int": np.arange(5),
            "uint8": np.arange(5, dtype="u1"),
            "bool": [True, False, True, False, True],
            "Int64": pd.array([1, None, 3, 4, 2**62], dtype="Int64"),
            "Int32": pd.array([1, 2, 3, 4, 5], dtype="Int32"),
            "boolean": pd.array([True, None, False, True, None], dtype="boolean"),
            "Float64": pd.array([1.0, None, 3.0, 4.0, 5.0], dtype="Float64"),
            "time": times,
            "time_zone": times.tz_localize("Asia/Tokyo"),
            "timedelta": pd.to_timedelta([1, None, 2, 3, 4], unit="s"),
            "category": pd.Categorical(
                ["x", "y", None, "x", "z"], categories=["z", "y", "x", "w"], ordered=True
            ),
            "numbers": pd.Categorical([3, 1, 1, None, 2]),
            "arrow_int": pd.array([1, None, 3, 4, 5], dtype=pd.ArrowDtype(pa.int16())),
            "arrow_text": pd.array(list("qrstu"), dtype=pd.ArrowDtype(pa.string())),
            "period": pd.period_range("2020-01", periods=5, freq="M"),
            "interval": pd.interval_range(0, 5),
        }
    )


def objects() -> pd.DataFrame:
    """Columns of Python objects, which come back as Arrow's types."""
    day = dt.date(2020, 1, 1)
    return pd.DataFrame(
        {
            "date": [day, None, day],
            "decimal": [decimal.Decimal("1.20"), None, decimal.Decimal("3")],
            "bytes": [b"a", None, b""],
            "list": [[1], None, [2, 3]],
            "clock": [dt.time(1, 2, 3), None, dt.time(0)],
        },
        dtype=object,
    )


def assert_same(found: Any, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, check_freq=False, check_column_type=False)
