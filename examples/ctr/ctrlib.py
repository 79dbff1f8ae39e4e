"""The shop's own functions: what becomes of its click log every night.

Plain pandas and LightGBM; nothing here knows how it is run. `job.py` calls these functions on
partitions of the rows on every core, `before.py` calls them on everything at once, and both get the
same predictions: no function looks at more than its contract says, and every sum over several
users is a sum of integers.
"""

from __future__ import annotations

import zlib
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

CLICKS_SCHEMA = {
    "event_id": "INT64",
    "ts": "TIMESTAMP",
    "user_id": "INT64",
    "item_id": "INT64",
    "category": "STRING",
    "query": "STRING",
    "device": "STRING",
    "position": "INT64",
    "price": "FLOAT64",
    "clicked": "BOOL",
}
ITEMS_SCHEMA = {
    "item_id": "INT64",
    "item_category": "STRING",
    "list_price": "FLOAT64",
    "listed_on": "DATE",
    "title": "STRING",
}

SESSION_GAP_US = 30 * 60 * 1_000_000
HELD_OUT_DAYS = 4
BOOST_ROUNDS = 50
DEVICES = {"android": 0, "ios": 1, "web": 2, "web mobile": 3}
PRIOR_CLICKS, PRIOR_SHOWN = 5, 25  # what stands for history where there is none

PASSED_ON = ["event_id", "user_id", "item_id", "day", "clicked"]
USER_FEATURES = [
    "hour",
    "device_code",
    "position",
    "price",
    "query_words",
    "query_again",
    "category_code",
    "since_last_s",
    "since_click_s",
    "pace_s",
    "session_events",
    "session_clicks",
    "shown_1h",
    "rate_today",
    "rate_7d",
    "category_rate_7d",
    "user_rate",
    "user_category_rate",
    "price_to_liked",
]
ITEM_FEATURES = ["item_rate", "item_age_days", "same_category"]
MODEL_FEATURES = USER_FEATURES + ITEM_FEATURES


def text_code(text: pd.Series) -> pd.Series:
    """A number from 0 to 4095 for each text, the same in every process and on every night."""
    codes = {value: zlib.crc32(value.encode()) % 4096 for value in text.unique()}
    return text.map(codes).astype("int64")


def rate(clicks: pd.Series, shown: pd.Series) -> pd.Series:
    """Clicks per impression, drawn towards the prior where little was seen."""
    return (clicks + PRIOR_CLICKS) / (shown + PRIOR_SHOWN)


def earlier_rate(clicked: pd.Series, by: list[pd.Series]) -> pd.Series:
    """Target encoding without leakage: the rate over the earlier rows of the same group."""
    group = clicked.groupby(by, sort=False)
    return rate(group.cumsum() - clicked, group.cumcount())


def seconds(micros: pd.Series) -> pd.Series:
    """Seconds of microseconds; -1 where there are none."""
    return (micros / 1e6).fillna(-1.0)


def add_query_features(result: pd.DataFrame, query: pd.Series, session: list[pd.Series]) -> None:
    """How long the search is, and whether the session asked the same before."""
    plain = query.fillna("").str.normalize("NFKC").str.casefold()
    result["query_words"] = plain.str.split().map(len).astype("int64")
    earlier = plain.groupby([*session, plain], sort=False).cumcount()
    result["query_again"] = ((earlier > 0) & (plain != "")).astype("int64")


def add_session_features(
    result: pd.DataFrame, clicked: pd.Series, session: list[pd.Series]
) -> None:
    """What the session has seen so far."""
    in_session = clicked.groupby(session, sort=False)
    result["session_events"] = in_session.cumcount()
    result["session_clicks"] = in_session.cumsum() - clicked


def add_window_features(result: pd.DataFrame, ts: pd.Series, clicked: pd.Series) -> None:
    """Rolling windows over the user's earlier impressions; those of the same instant are not."""
    timed = result[["user_id", "category_code"]].assign(ts=ts, clicked=clicked)

    def over(span: str, by: list[str], sums: list[str]) -> pd.DataFrame:
        rows = timed.sort_values(by, kind="stable")  # windows come group by group
        window = rows.groupby(by, sort=False).rolling(span, on="ts", closed="left")["clicked"]
        return window.agg(sums).fillna(0.0).set_index(rows.index).sort_index()

    result["shown_1h"] = over("1h", ["user_id"], ["count"])["count"].astype("int64")
    week = over("168h", ["user_id"], ["sum", "count"])
    result["rate_7d"] = rate(week["sum"], week["count"])
    week = over("168h", ["user_id", "category_code"], ["sum", "count"])
    result["category_rate_7d"] = rate(week["sum"], week["count"])


def add_recency_features(result: pd.DataFrame, ts_us: pd.Series, clicked: pd.Series) -> None:
    """How long ago the last impression and the last click were, and the pace of the last five."""
    user = result["user_id"]
    gap = ts_us.groupby(user, sort=False).diff()
    result["since_last_s"] = seconds(gap)
    clicks = ts_us.where(clicked == 1).groupby(user, sort=False).ffill()
    result["since_click_s"] = seconds(ts_us - clicks.groupby(user, sort=False).shift())
    pace = gap.groupby(user, sort=False).rolling(5, min_periods=1).sum()
    result["pace_s"] = seconds(pace.reset_index(drop=True))


def user_features(clicks: pd.DataFrame) -> pd.DataFrame:
    """Features of each impression from the earlier ones of the same user.

    `clicks` holds some users, each with all of their rows, in any order; columns as CLICKS_SCHEMA.
    Returns one row per impression, by user and time: PASSED_ON (`day` counts from 1970) and
    USER_FEATURES. Times are in seconds, and -1 where the user has no history.
    """
    log = clicks.sort_values(["user_id", "ts", "event_id"], ignore_index=True)
    user = log["user_id"]
    ts_us = log["ts"].astype("datetime64[us, UTC]").astype("int64")
    clicked = log["clicked"].astype("int64")
    gap = ts_us.groupby(user, sort=False).diff()
    starts = (gap.isna() | (gap > SESSION_GAP_US)).astype("int64")
    session = [user, starts.groupby(user, sort=False).cumsum().rename("session")]

    result = log[["event_id", "user_id", "item_id"]].copy()
    result["day"] = ts_us // 86_400_000_000
    result["clicked"] = clicked
    result["hour"] = log["ts"].dt.hour.astype("int64")
    result["device_code"] = log["device"].map(DEVICES).fillna(-1).astype("int64")
    result["position"] = log["position"].astype("float64").fillna(-1.0).astype("int64")
    result["price"] = log["price"]
    result["category_code"] = text_code(log["category"].fillna(""))
    add_query_features(result, log["query"], session)
    add_recency_features(result, ts_us, clicked)
    add_session_features(result, clicked, session)
    add_window_features(result, log["ts"], clicked)
    result["rate_today"] = earlier_rate(clicked, [user, result["day"]])
    result["user_rate"] = earlier_rate(clicked, [user])
    result["user_category_rate"] = earlier_rate(clicked, [user, result["category_code"]])

    # Money is summed in whole sen: a sum of integers does not depend on what stands beside it.
    sen = (log["price"] * 100).round().astype("int64") * clicked
    liked = sen.groupby(user, sort=False).cumsum() - sen
    count = clicked.groupby(user, sort=False).cumsum() - clicked
    result["price_to_liked"] = (log["price"] * 100 / (liked / count.where(count > 0))).fillna(1.0)
    return result[PASSED_ON + USER_FEATURES]


def item_days(features: pd.DataFrame) -> pd.DataFrame:
    """Impressions (`shown`) and clicks of each item on each day, over any slice of the rows."""
    group = features.groupby(["item_id", "day"])["clicked"]
    return group.agg(shown="count", clicks="sum").reset_index()


def item_history(item_days: pd.DataFrame) -> pd.DataFrame:
    """One row per item and day: `item_rate` over the days before that day, and none of that day."""
    days = item_days.groupby(["item_id", "day"])[["shown", "clicks"]].sum().reset_index()
    earlier = days.groupby("item_id")[["shown", "clicks"]].cumsum() - days[["shown", "clicks"]]
    return days[["item_id", "day"]].assign(item_rate=rate(earlier["clicks"], earlier["shown"]))


def add_items(
    features: pd.DataFrame, items: pd.DataFrame, item_history: pd.DataFrame
) -> pd.DataFrame:
    """The impressions of any slice with ITEM_FEATURES beside them, in the order of `features`."""
    listed = pd.to_datetime(items["listed_on"]).astype("datetime64[s]").astype("int64") // 86_400
    known = pd.DataFrame(
        {
            "item_id": items["item_id"],
            "listed_day": listed,
            "item_category_code": text_code(items["item_category"].fillna("")),
        }
    )
    joined = features.merge(known, on="item_id", how="left", validate="many_to_one")
    joined = joined.merge(item_history, on=["item_id", "day"], how="left", validate="many_to_one")
    joined["item_age_days"] = joined["day"] - joined["listed_day"]
    joined["same_category"] = (joined["category_code"] == joined["item_category_code"]).astype(
        "int64"
    )
    return joined[PASSED_ON + MODEL_FEATURES]


def first_held_out_day(days: pd.Series) -> int:
    """The model learns from the days before this one."""
    return int(days.max()) - HELD_OUT_DAYS + 1


def train(examples: pd.DataFrame) -> lgb.Booster:
    """A model of `clicked` from every day but the last HELD_OUT_DAYS.

    Rows are put in the order of event_id first, and LightGBM is told to sum in a fixed order: the
    same rows give the same model, whatever order they come in and however many cores there are.
    """
    seen = examples[examples["day"] < first_held_out_day(examples["day"])]
    seen = seen.sort_values("event_id", ignore_index=True)
    data = lgb.Dataset(seen[MODEL_FEATURES], label=seen["clicked"], free_raw_data=True)
    parameters: dict[str, Any] = {
        "objective": "binary",
        "num_leaves": 31,
        "learning_rate": 0.2,
        "min_data_in_leaf": 50,
        "max_bin": 63,
        "seed": 20261124,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    return lgb.train(parameters, data, num_boost_round=BOOST_ROUNDS)


def predict(examples: pd.DataFrame, model: lgb.Booster) -> pd.DataFrame:
    """`score`, the chance of a click, for the impressions of any slice, in their order."""
    scores = examples[PASSED_ON].copy()
    scores["score"] = np.asarray(model.predict(examples[MODEL_FEATURES]))
    return scores


def area_under_curve(clicked: pd.Series, score: pd.Series) -> float:
    """AUC by ranks, equal scores sharing theirs; 0.5 where there is one class only."""
    positive = int(clicked.sum())
    negative = len(clicked) - positive
    if positive == 0 or negative == 0:
        return 0.5
    ranks = score.rank(method="average")[clicked == 1].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


def evaluate(scores: pd.DataFrame) -> dict[str, float]:
    """AUC on the held-out days, and how many rows they have."""
    held_out = scores[scores["day"] >= first_held_out_day(scores["day"])]
    return {
        "rows": float(len(scores)),
        "held_out_rows": float(len(held_out)),
        "held_out_click_rate": float(held_out["clicked"].mean()),
        "auc": area_under_curve(held_out["clicked"], held_out["score"]),
    }
