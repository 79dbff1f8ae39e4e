"""The example job both ways: as most people have it, and with hayate.

    ./dev bench whole-job [--rows 5000000] [--rounds 1]

Runs examples/ctr/before.py and examples/ctr/job.py in turn, each in a fresh process and the second
with an empty store, over the same shards in the page cache. Prints one table, medians over the
rounds, and these ratios, where U is the CPU of the user's functions but training and T the seconds
of training, both as before.py measures them:

    overhead   (before - U - T) / (after - U/cores - T)     what is not the user's own work
    bound      before / (U/cores + T)                       the most that any engine could win
    total      before / after, and its share of the bound

The same numbers go to build/bench/whole-job/result.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from _hayate_run import STEPS, Times, stages_of_run

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "ctr"
COMMAND = Path(os.environ.get("HAYATE_COMMAND", ROOT / "build/dev/python/hayate/bin/hayate"))
WORK = ROOT / "build" / "bench" / "whole-job"
MOST_OTHERS = 0.05  # of all cores, by processes that are not the bench's


@dataclass
class Run:
    """One process and all that it started, from its start to its end."""

    wall_s: float
    cpu_s: float
    others_s: float  # CPU seconds that the rest of the machine took meanwhile
    steps: dict[str, Times] = field(default_factory=dict)
    user_cpu_s: float = 0.0
    training_s: float = 0.0


def busy_s() -> float:
    """CPU seconds that the machine's cores have worked since it started."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def timed(words: Sequence[str | Path], log: Path) -> Run:
    """Runs a command to its end. Leaves, with the end of its output, if it fails."""
    before, begin, busy = os.times(), time.perf_counter(), busy_s()
    with log.open("w") as file:
        done = subprocess.run(
            [str(word) for word in words], stdout=file, stderr=subprocess.STDOUT, check=False
        )
    wall_s, after, busy = time.perf_counter() - begin, os.times(), busy_s() - busy
    if done.returncode != 0:
        tail = "\n".join(log.read_text().splitlines()[-30:])
        sys.exit(f"{tail}\nwhole-job: {words[0]} ended with {done.returncode}; see {log}")
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return Run(wall_s, cpu_s, max(0.0, busy - cpu_s))


def run_before(data: Path) -> Run:
    """examples/ctr/before.py."""
    out, timings = WORK / "before", WORK / "before.json"
    shutil.rmtree(out, ignore_errors=True)
    run = timed(
        [sys.executable, EXAMPLE / "before.py", "--data", data, "--out", out, "--timings", timings],
        WORK / "before.log",
    )
    measured = json.loads(timings.read_text())
    run.steps = {
        name: Times(step["wall_s"], step["cpu_s"], step["user_cpu_s"])
        for name, step in measured["steps"].items()
    }
    run.user_cpu_s, run.training_s = measured["U"], measured["T"]
    return run


def run_after(data: Path) -> Run:
    """examples/ctr/job.py, from nothing."""
    store, out = WORK / "store", WORK / "after"
    for folder in (store, out):
        shutil.rmtree(folder, ignore_errors=True)
    words = [COMMAND, "run", EXAMPLE / "job.py", "--store", store]
    words += ["--set", f"data={data}", "--set", f"out={out}"]
    run = timed(words, WORK / "after.log")
    run.steps, run.training_s = stages_of_run(store)
    run.user_cpu_s = sum(step.user_cpu_s for name, step in run.steps.items() if name != "train")
    return run


def check_same_scores() -> int:
    """Rows, if both ways wrote the same predictions; leaves if they did not."""
    scores = [
        pd.read_parquet(WORK / way / "scores.parquet").sort_values("event_id", ignore_index=True)
        for way in ("before", "after")
    ]
    pd.testing.assert_frame_equal(scores[0], scores[1], check_exact=True)
    return len(scores[0])


def median_run(runs: list[Run]) -> Run:
    """Each number the median of its own."""

    def middle(values: list[float]) -> float:
        return statistics.median(values)

    def steps(name: str) -> Times:
        of_rounds = [run.steps[name] for run in runs]
        return Times(
            middle([step.wall_s for step in of_rounds]),
            middle([step.cpu_s for step in of_rounds]),
            middle([step.user_cpu_s for step in of_rounds]),
        )

    return Run(
        middle([run.wall_s for run in runs]),
        middle([run.cpu_s for run in runs]),
        middle([run.others_s for run in runs]),
        {name: steps(name) for name in runs[0].steps},
        middle([run.user_cpu_s for run in runs]),
        middle([run.training_s for run in runs]),
    )


def ratios(before: Run, after: Run, cores: int) -> dict[str, float]:
    """What the module's docstring defines."""
    user, training = before.user_cpu_s, before.training_s
    least_s = user / cores + training
    bound = before.wall_s / least_s
    return {
        "U_s": user,
        "T_s": training,
        "U_share": user / before.wall_s,
        "T_share": training / before.wall_s,
        "overhead_before_s": before.wall_s - user - training,
        "overhead_after_s": after.wall_s - least_s,
        # On a machine that others use, training may take longer before than all of it after.
        "overhead_ratio": (before.wall_s - user - training) / max(after.wall_s - least_s, 1e-3),
        "total_ratio": before.wall_s / after.wall_s,
        "bound": bound,
        "share_of_bound": before.wall_s / after.wall_s / bound,
    }


def table(before: Run, after: Run) -> str:
    """Seconds and CPU seconds of every step, both ways. Steps of hayate's may overlap."""
    lines = [
        f"{'':10} {'before':>21} {'after':>21}",
        f"{'step':10}" + f"{'s':>11}{'CPU s':>11}" * 2,
    ]
    for name in STEPS:
        cells = [run.steps.get(name, Times()) for run in (before, after)]
        lines.append(f"{name:10}" + "".join(f"{c.wall_s:11.2f}{c.cpu_s:11.2f}" for c in cells))
    totals = [value for run in (before, after) for value in (run.wall_s, run.cpu_s)]
    lines.append(f"{'all':10}" + "".join(f"{value:11.2f}" for value in totals))
    lines.append(f"{'U':10}{'':11}{before.user_cpu_s:11.2f}{'':11}{after.user_cpu_s:11.2f}")
    lines.append(f"{'T':10}{before.training_s:11.2f}{'':11}{after.training_s:11.2f}")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("pandas", "pyarrow", "lightgbm", "numpy"):
        found[name] = importlib.metadata.version(name)
    said = subprocess.run([str(COMMAND), "--version"], capture_output=True, text=True, check=True)
    found["hayate"] = said.stdout.split()[-1]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1, help="runs of each way, in turn (1)")
    arguments = parser.parse_args()
    if arguments.rows < 1 or arguments.rounds < 1:
        parser.error("--rows and --rounds must be at least 1")
    data = ROOT / "build" / "bench" / f"clicks-{arguments.rows}"
    generate = [sys.executable, EXAMPLE / "generate.py", "--rows", arguments.rows, "--out", data]
    subprocess.run([str(word) for word in generate], check=True)
    WORK.mkdir(parents=True, exist_ok=True)
    found = versions()
    cores = len(os.sched_getaffinity(0))

    both: tuple[list[Run], list[Run]] = ([], [])
    for number in range(arguments.rounds):
        for runs, way in zip(both, (run_before, run_after), strict=True):
            runs.append(way(data))
            print(f"round {number + 1}, {way.__name__}: {runs[-1].wall_s:.1f} s", flush=True)
    before, after = median_run(both[0]), median_run(both[1])
    rows = check_same_scores()
    measured = ratios(before, after, cores)

    print(f"\n{rows:,} rows, {cores} cores, median of {arguments.rounds}; the same predictions")
    print(", ".join(f"{name} {version}" for name, version in found.items()))
    print("\n" + table(before, after) + "\n")
    others = max(run.others_s / run.wall_s / cores for run in (before, after))
    if others > MOST_OTHERS:
        print(
            f"NOT TO BE QUOTED: other processes took {others:.0%} of the cores meanwhile; training "
            "above all is slow where its threads wait for a core."
        )
    print(f"before.py: U {measured['U_share']:.1%} and T {measured['T_share']:.1%} of its seconds")
    print(
        f"overhead: {measured['overhead_before_s']:.1f} s / {measured['overhead_after_s']:.1f} s "
        f"= {measured['overhead_ratio']:.2f}"
    )
    print(
        f"total: {measured['total_ratio']:.2f} times as fast, {measured['share_of_bound']:.2f} "
        f"of the bound {measured['bound']:.2f}"
    )
    result: dict[str, Any] = {"rows": rows, "cores": cores, "versions": found, **measured}
    result["before"] = {"wall_s": before.wall_s, "cpu_s": before.cpu_s}
    result["after"] = {"wall_s": after.wall_s, "cpu_s": after.cpu_s}
    result["others_share"] = others
    (WORK / "result.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
