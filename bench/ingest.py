"""CSV into memory: hayate, its peers, and the floor that inflating alone sets.

    ./dev bench ingest [--scale 1.0] [--rounds 3] [--only mixed,text] [--readers hayate,polars]

Makes its data once (build/bench/ingest). In each round every reader reads every data set in a fresh
process, one after another, from the page cache; medians over the rounds. Everything is typed, the
result is Arrow in memory; "hayate frame" writes it as a frame on disk instead. For each data set:
CPU seconds, wall seconds, peak memory, CPU as a multiple of the floor's, and how many times the CPU
and the seconds of hayate a peer takes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from _ingest_data import DataSet, data_sets
from _ingest_reader import READERS

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "bench" / "ingest"
FLOOR = "inflate alone"
FLOOR_COMMAND = ROOT / "build/dev/bench/inflate_floor"
MOST_SECONDS = 600  # of one reader, before it counts as one that cannot read this


def measured(reader: str, data: DataSet, listed: Path) -> dict[str, Any] | None:
    """What one fresh process took; None if it cannot read the data set."""
    command = [str(FLOOR_COMMAND), str(listed)]
    if reader != FLOOR:
        script = str(Path(__file__).with_name("_ingest_reader.py"))
        command = [sys.executable, script, reader, json.dumps(data.schema), str(listed)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=MOST_SECONDS,
            # NumPy's threads spin for a while when it is imported; none of the readers uses them.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        print(f"  {reader} has not read {data.name} in {MOST_SECONDS} s")
        return None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"  {reader} cannot read {data.name}: {reason[:200]}")
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def print_table(data: DataSet, results: dict[str, dict[str, float]], file_bytes: int) -> None:
    floor = results.get(FLOOR)
    text_bytes = floor["text_bytes"] if floor else file_bytes
    print(
        f"\n{data.name}: {text_bytes / 1e6:,.0f} MB of text, {file_bytes / 1e6:,.0f} MB in "
        f"{data.shards:,} files"
    )
    print(
        f"{'':14}{'CPU s':>9}{'s':>9}{'peak MB':>9}{'x floor':>9}"
        f"{'CPU / hayate':>14}{'s / hayate':>12}"
    )
    own = results.get("hayate")
    for reader, one in results.items():
        peak = f"{one['peak_bytes'] / 1e6:9,.0f}" if "peak_bytes" in one else f"{'':9}"
        of_floor = f"{one['cpu_s'] / floor['cpu_s']:9.2f}" if floor else f"{'':9}"
        ratios = ""
        if own and reader not in (FLOOR, "hayate"):
            ratios = f"{one['cpu_s'] / own['cpu_s']:14.2f}{one['wall_s'] / own['wall_s']:12.2f}"
        print(f"{reader:14}{one['cpu_s']:9.2f}{one['wall_s']:9.2f}{peak}{of_floor}{ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="1.0: some 900 MB a data set")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="names of data sets; by default all")
    parser.add_argument("--readers", default=",".join(READERS))
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.only.split(",")))
    names = [*filter(None, arguments.readers.split(","))]
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("polars", "pyarrow", "duckdb", "pandas")
    )
    print(f"{os.cpu_count()} cores, python {platform.python_version()}, {versions}")
    record = {}
    for data in data_sets(arguments.scale):
        if wanted and data.name not in wanted:
            continue
        paths = data.paths(WORK / f"{data.name}-{arguments.scale:g}")
        listed = WORK / f"{data.name}.list"
        listed.write_text("".join(f"{path}\n" for path in paths))
        for path in paths:
            path.read_bytes()  # into the page cache
        readers = [*([FLOOR] if data.compressed else []), *names]
        runs: dict[str, list[dict[str, Any]]] = {reader: [] for reader in readers}
        for _ in range(arguments.rounds):
            for reader in readers:
                run = measured(reader, data, listed) if reader in runs else None
                if run is None:
                    runs.pop(reader, None)
                else:
                    runs[reader].append(run)
        rows = {run["rows"] for of_reader in runs.values() for run in of_reader if "rows" in run}
        if len(rows) > 1:
            print(f"  the readers do not agree on the number of rows of {data.name}: {rows}")
        results = {reader: medians(of_reader) for reader, of_reader in runs.items()}
        record[data.name] = results
        print_table(data, results, sum(path.stat().st_size for path in paths))
        (WORK / "result.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
