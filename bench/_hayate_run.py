"""What a run of hayate says of itself: seconds and CPU seconds, by the steps of before.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STEPS = ("extract", "features", "join", "train", "predict", "evaluate")
# Node of examples/ctr/job.py → step of examples/ctr/before.py that does the same.
STEP_OF_NODE = {
    "clicks": "extract",
    "items": "extract",
    "features": "features",  # with the copy of the clicks that is split by user
    "item_days": "join",
    "item_history": "join",
    "examples": "join",
    "model": "train",
    "scores": "predict",
    "metrics": "evaluate",
}


@dataclass
class Times:
    """Seconds of one step; `user_cpu_s` is CPU inside the user's function."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    user_cpu_s: float = 0.0


def stages_of_run(store: Path) -> tuple[dict[str, Times], float]:
    """Times by step of the only run in `store`, and the seconds inside the training function.

    A step lasts from the start of its first task to the end of its last; steps may overlap.
    """
    (path,) = store.glob("runs/*/run.json")
    run: dict[str, Any] = json.loads(path.read_text())
    steps = {name: Times() for name in STEPS}
    spans: dict[str, list[tuple[float, float]]] = {name: [] for name in STEPS}
    training_s = 0.0
    for task in run["tasks"]:
        if task["kind"] == "sync":
            continue  # the disk's time, beside the steps that follow
        name = STEP_OF_NODE[task["node"]]
        usage = task["usage"]
        spans[name].append((task["start_s"], task["end_s"]))
        steps[name].cpu_s += usage.get("cpu_s", 0.0)
        steps[name].user_cpu_s += usage.get("user_cpu_s", 0.0)
        if name == "train":
            training_s += usage.get("user_wall_s", 0.0)
    for name, of_step in spans.items():
        if of_step:
            steps[name].wall_s = max(end for _, end in of_step) - min(start for start, _ in of_step)
    return steps, training_s
