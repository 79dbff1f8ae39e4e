"""Click-through rates of an online shop, as it predicts them every night.

    python generate.py --rows 2000000 --out data
    hayate run job.py --set data=data --set out=out

Reads a BigQuery export from `data`, writes scores.parquet and scores.csv into `out` (by default
both are beside this file), and prints the AUC on the held-out days.
"""

from __future__ import annotations

import logging
from pathlib import Path

import ctrlib
import lightgbm as lgb
import pandas as pd

import hayate as hy

data = hy.param(Path, default=Path("data"))
out = hy.param(Path, default=Path("out"))

clicks = hy.csv("{data}/clicks-*.csv.gz", schema=ctrlib.CLICKS_SCHEMA)
items = hy.csv("{data}/items-*.csv.gz", schema=ctrlib.ITEMS_SCHEMA)


@hy.stage(partition_by="user_id")
def features(clicks: pd.DataFrame) -> pd.DataFrame:
    """Many users at a time, each with all of their clicks."""
    return ctrlib.user_features(clicks)


@hy.stage(rows=500_000)
def item_days(features: pd.DataFrame) -> pd.DataFrame:
    """Counts of each slice; `item_history` adds them up."""
    return ctrlib.item_days(features)


@hy.stage
def item_history(item_days: pd.DataFrame) -> pd.DataFrame:
    return ctrlib.item_history(item_days)


@hy.stage(rows=200_000)
def examples(
    features: pd.DataFrame, items: pd.DataFrame, item_history: pd.DataFrame
) -> pd.DataFrame:
    return ctrlib.add_items(features, items, item_history)


@hy.stage
def model(examples: pd.DataFrame) -> lgb.Booster:
    """Once, over everything, with all cores."""
    return ctrlib.train(examples)


@hy.stage(rows=200_000)
def scores(examples: pd.DataFrame, model: lgb.Booster) -> pd.DataFrame:
    return ctrlib.predict(examples, model)


@hy.stage
def metrics(scores: pd.DataFrame) -> dict[str, float]:
    measured = ctrlib.evaluate(scores)
    logging.getLogger("ctr").info("AUC on held-out days: %.4f", measured["auc"])
    return measured


hy.output(scores, "{out}/scores.parquet")
hy.output(scores, "{out}/scores.csv")
