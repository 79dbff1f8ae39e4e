"""A table of mixed columns to CSV, plain and gzip: pandas, pyarrow, Polars and hayate.

    ./dev bench csv-write [--rows 3000000] [--rounds 3]

Every writer writes the same rows (a frame that was read from the mixed data set of the ingest
benchmark) in a fresh process. pandas, pyarrow and Polars write from memory, and the clock starts
when the rows are there; hayate's is the whole command, which maps the frame. Medians.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from _ingest_data import data_sets

ROOT = Path(__file__).resolve().parents[1]
COMMAND = ROOT / "build/dev/python/hayate/bin/hayate"
WORK = ROOT / "build" / "bench" / "csv-write"


def rows_of(frame: Path) -> Any:
    import pyarrow as pa

    parts = sorted(frame.glob("*.arrow"))
    return pa.concat_tables([pa.ipc.open_file(pa.memory_map(str(one))).read_all() for one in parts])


def with_pandas(frame: Path) -> Callable[[str], Any]:
    data = rows_of(frame).to_pandas()
    return lambda out: data.to_csv(out, index=False)


def with_pyarrow(frame: Path) -> Callable[[str], Any]:
    import pyarrow.csv

    table = rows_of(frame).combine_chunks()
    return lambda out: pyarrow.csv.write_csv(table, out)


def with_polars(frame: Path) -> Callable[[str], Any]:
    import polars as pl

    data = pl.from_arrow(rows_of(frame))
    assert isinstance(data, pl.DataFrame)
    return data.write_csv


def with_hayate(frame: Path) -> Callable[[str], Any]:
    return lambda out: subprocess.run([COMMAND, "convert", frame, out], check=True, stdout=2)


WRITERS = {
    "hayate": (with_hayate, (".csv", ".csv.gz")),
    "pandas": (with_pandas, (".csv", ".csv.gz")),
    "pyarrow": (with_pyarrow, (".csv",)),
    "polars": (with_polars, (".csv",)),
}


def measure(writer: str, frame: Path, out: str) -> None:
    """In a fresh process: seconds and CPU seconds, those of children too."""

    def cpu_s() -> float:
        usages = [
            resource.getrusage(one) for one in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    write = WRITERS[writer][0](frame)
    cpu, begin = cpu_s(), time.perf_counter()
    write(out)
    print(json.dumps({"wall_s": time.perf_counter() - begin, "cpu_s": cpu_s() - cpu}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    data = replace(next(data_sets(1.0)), rows=arguments.rows)
    frame = WORK / f"frame-{arguments.rows}"
    if not frame.exists():
        paths = data.paths(WORK / f"mixed-{arguments.rows}")
        schema = [word for one in data.schema.items() for word in ("--schema", "=".join(one))]
        subprocess.run([COMMAND, "convert", *schema, *paths, frame], check=True)
    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(arguments.rounds):
        for writer, (_make, suffixes) in WRITERS.items():
            for suffix in suffixes:
                out = WORK / f"out{suffix}"
                out.unlink(missing_ok=True)
                command = [sys.executable, __file__, "--one", writer, str(frame), str(out)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                runs.setdefault((suffix, writer), []).append(json.loads(done.stdout))
    print(f"{arguments.rows:,} rows, {os.cpu_count()} cores, median of {arguments.rounds}")
    print(f"{'':10}{'':10}{'s':>8}{'CPU s':>8}{'s / hayate':>12}")
    own = {suffix: statistics.median(run["wall_s"] for run in of_one)
           for (suffix, writer), of_one in runs.items() if writer == "hayate"}  # fmt: skip
    for (suffix, writer), of_one in sorted(runs.items()):
        wall_s = statistics.median(run["wall_s"] for run in of_one)
        cpu_s = statistics.median(run["cpu_s"] for run in of_one)
        print(f"{suffix:10}{writer:10}{wall_s:8.2f}{cpu_s:8.2f}{wall_s / own[suffix]:12.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        main()
