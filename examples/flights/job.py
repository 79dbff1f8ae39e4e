"""Arrival delays of flights, predicted from what is known an hour before departure.

    hayate run job.py --set data=/path/to/flight_data.csv.gz

Reads the on-time table of the US Department of Transportation as it is published: times as codes
with leading zeros ("0005" is five past midnight), empty cells where a flight was cancelled, codes
of airlines and airports. No schema is given: the types are inferred. The last day is held out.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

import hayate as hy

data = hy.param(Path)
out = hy.param(Path, default=Path("out"))

flights = hy.csv("{data}")

CODES = ["AIRLINE", "ORIGIN_AIRPORT", "DESTINATION_AIRPORT"]
FEATURES = [
    *CODES,
    "departs_min",
    "arrives_min",
    "SCHEDULED_TIME",
    "DISTANCE",
    "DAY_OF_WEEK",
    "legs_before",
    "delay_before_min",
    "idle_min",
]
LATE_MIN = 15
KNOWN_BEFORE_MIN = 60


def minutes(codes: pd.Series) -> pd.Series:
    """Minutes since midnight of codes as "0005" and "2354"."""
    number = codes.astype("int64")
    return number // 100 * 60 + number % 100


@hy.stage(partition_by="TAIL_NUMBER")
def legs(flights: pd.DataFrame) -> pd.DataFrame:
    """One row per flight, with what its aircraft did before, as far as it was known in time."""
    departs = minutes(flights["SCHEDULED_DEPARTURE"])
    at = (flights["DAY"].astype("int64") * 1440 + departs).rename("at_min")
    log = flights.assign(departs_min=departs, at_min=at).sort_values(
        ["TAIL_NUMBER", "at_min", "FLIGHT_NUMBER"], ignore_index=True
    )
    result = log[["DAY", "FLIGHT_NUMBER", "TAIL_NUMBER", "departs_min"]].copy()
    for code in CODES:
        result[f"{code}_CODE"] = log[code]
        result[code] = log[code].map(lambda text: int(text, 36)).astype("int64")
    result["arrives_min"] = minutes(log["SCHEDULED_ARRIVAL"])
    for name in ("SCHEDULED_TIME", "DISTANCE", "DAY_OF_WEEK"):
        result[name] = log[name].astype("float64")

    # Flights without a tail number are one group, but not one aircraft: they have no leg before.
    aircraft = log.groupby("TAIL_NUMBER", sort=False)
    delay = log["DEPARTURE_DELAY"].astype("float64")
    left = log["at_min"] + delay
    left_before = left.groupby(log["TAIL_NUMBER"], sort=False).shift()
    known = left_before <= log["at_min"] - KNOWN_BEFORE_MIN
    result["legs_before"] = aircraft.cumcount().where(log["TAIL_NUMBER"].notna(), 0).astype("int64")
    result["delay_before_min"] = delay.groupby(log["TAIL_NUMBER"], sort=False).shift().where(known)
    result["idle_min"] = (log["at_min"] - left_before).where(known)
    result["delay_min"] = log["ARRIVAL_DELAY"].astype("float64")
    return result


@hy.stage(outputs=("train", "held_out"))
def by_day(legs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The flights that arrived: every day but the last, and the last."""
    arrived = legs[legs["delay_min"].notna()]
    is_last = arrived["DAY"] == arrived["DAY"].max()
    return arrived[~is_last].reset_index(drop=True), arrived[is_last].reset_index(drop=True)


@hy.stage
def model(train: pd.DataFrame) -> lgb.Booster:
    """The median delay, by gradient boosting; always from the same order of rows."""
    order = ["DAY", "departs_min", "AIRLINE", "FLIGHT_NUMBER", "ORIGIN_AIRPORT"]
    rows = train.sort_values(order, ignore_index=True)
    parameters: dict[str, Any] = {
        "objective": "l1",
        "learning_rate": 0.1,
        "num_leaves": 31,
        "seed": 20150101,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    return lgb.train(
        parameters, lgb.Dataset(rows[FEATURES], label=rows["delay_min"]), num_boost_round=120
    )


@hy.stage(rows=4_000)
def delays(held_out: pd.DataFrame, model: lgb.Booster) -> pd.DataFrame:
    """The predicted delay beside the real one, in minutes."""
    names = {f"{code}_CODE": code for code in CODES}
    result = held_out[["DAY", "FLIGHT_NUMBER", "TAIL_NUMBER", *names, "delay_min"]]
    predicted = np.asarray(model.predict(held_out[FEATURES]))
    return result.rename(columns=names).assign(predicted_min=predicted)


@hy.stage
def metrics(delays: pd.DataFrame) -> dict[str, float]:
    """Mean absolute error, beside that of the median; AUC of `late by 15 minutes or more`."""
    delay, predicted = delays["delay_min"], delays["predicted_min"]
    late = delay >= LATE_MIN
    positive, negative = int(late.sum()), int((~late).sum())
    ranks = predicted.rank()[late].sum()
    measured = {
        "rows": float(len(delays)),
        "mae_min": float((delay - predicted).abs().mean()),
        "mae_of_median_min": float((delay - delay.median()).abs().mean()),
        "auc_late": float((ranks - positive * (positive + 1) / 2) / (positive * negative)),
    }
    logging.getLogger("flights").info(
        "mean absolute error %.2f min, AUC %.4f", measured["mae_min"], measured["auc_late"]
    )
    return measured


hy.output(delays, "{out}/delays.csv")
