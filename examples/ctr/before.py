"""The same job as most people have it: one process, CSV files between the steps.

    python before.py --data data --out out --timings timings.json

The functions are the very same ones, from ctrlib.py. Writes scores.parquet and scores.csv into
`--out`, where the CSV files between the steps stay too, and prints the AUC on the held-out days.
`--timings` gets the seconds and CPU seconds of every step, with those inside ctrlib apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import ctrlib
import lightgbm as lgb
import pandas as pd

Result = TypeVar("Result")

# pandas reads doubles exactly since 3.1 and deprecates the option that asks for it.
EXACT: dict[str, Any] = (
    {}
    if tuple(int(n) for n in pd.__version__.split(".")[:2]) >= (3, 1)
    else {"float_precision": "round_trip"}
)


@dataclass
class Step:
    """Seconds of one step: in all, and inside the user's function."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    user_wall_s: float = 0.0
    user_cpu_s: float = 0.0


@dataclass
class Clock:
    """Times steps by name, in order."""

    steps: dict[str, Step] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        step = self.steps.setdefault(name, Step())
        wall, cpu = time.perf_counter(), time.process_time()
        yield step
        step.wall_s += time.perf_counter() - wall
        step.cpu_s += time.process_time() - cpu


def inside(step: Step, function: Callable[..., Result], *arguments: Any) -> Result:
    """Calls one of the user's functions on the step's second clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    step.user_wall_s += time.perf_counter() - wall
    step.user_cpu_s += time.process_time() - cpu
    return result


def read_export(pattern: str, data: Path) -> pd.DataFrame:
    """All shards of an export in the order of their names. Only the empty field is null."""
    shards = [
        pd.read_csv(path, keep_default_na=False, na_values=[""], **EXACT)
        for path in sorted(data.glob(pattern))
    ]
    if not shards:
        raise FileNotFoundError(f"{data / pattern}: no such shard; run generate.py first")
    return pd.concat(shards, ignore_index=True)


def extract(data: Path) -> pd.DataFrame:
    """The click log, with times for the texts that the export has."""
    clicks = read_export("clicks-*.csv.gz", data)
    text = clicks["ts"].str.removesuffix(" UTC")
    clicks["ts"] = pd.to_datetime(text, format="ISO8601", utc=True).astype("datetime64[us, UTC]")
    return clicks


def run(data: Path, out: Path, clock: Clock) -> dict[str, float]:
    """Every step of the night. Returns the metrics."""
    with clock.step("extract"):
        clicks = extract(data)

    with clock.step("features") as step:
        features = inside(step, ctrlib.user_features, clicks)
        features.to_csv(out / "features.csv", index=False)
        del clicks, features

    with clock.step("join") as step:
        features = pd.read_csv(out / "features.csv", **EXACT)
        items = read_export("items-*.csv.gz", data)
        history = inside(step, ctrlib.item_history, inside(step, ctrlib.item_days, features))
        examples = inside(step, ctrlib.add_items, features, items, history)
        examples.to_csv(out / "examples.csv", index=False)
        del features, examples

    with clock.step("train") as step:
        examples = pd.read_csv(out / "examples.csv", **EXACT)
        model = inside(step, ctrlib.train, examples)
        model.save_model(out / "model.txt")
        del examples, model

    with clock.step("predict") as step:
        examples = pd.read_csv(out / "examples.csv", **EXACT)
        model = lgb.Booster(model_file=out / "model.txt")
        scores = inside(step, ctrlib.predict, examples, model)
        scores.to_csv(out / "scores.csv", index=False)
        scores.to_parquet(out / "scores.parquet", index=False)
        del examples, scores

    with clock.step("evaluate") as step:
        scores = pd.read_csv(out / "scores.csv", **EXACT)
        return inside(step, ctrlib.evaluate, scores)


def timings(clock: Clock, wall_s: float, cpu_s: float, metrics: dict[str, float]) -> dict[str, Any]:
    """What the bench reads: U is the CPU of the user's functions but training, T its seconds."""
    user = sum(step.user_cpu_s for name, step in clock.steps.items() if name != "train")
    training = clock.steps["train"].user_wall_s
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "U": user,
        "T": training,
        "U_share": user / wall_s,
        "T_share": training / wall_s,
        "steps": {name: asdict(step) for name, step in clock.steps.items()},
        "metrics": metrics,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that generate.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--timings", type=Path, help="JSON file for seconds per step")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    wall, cpu = time.perf_counter(), time.process_time()
    metrics = run(arguments.data, arguments.out, clock)
    measured = timings(clock, time.perf_counter() - wall, time.process_time() - cpu, metrics)
    for name, step in clock.steps.items():
        print(f"{name:9} {step.wall_s:8.2f} s, of which functions {step.user_wall_s:8.2f} s")
    print(
        f"{'all':9} {measured['wall_s']:8.2f} s: U {measured['U_share']:.1%}, "
        f"T {measured['T_share']:.1%}"
    )
    print(f"AUC on held-out days: {metrics['auc']:.4f}")
    if arguments.timings:
        arguments.timings.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
