"""How reading grows: seconds and memory of csv.gz → frame, and the first row of a stream.

    ./dev bench ingest-growth [--scale 0.3] [--copies 1,4,12,40]

The mixed data of the ingest benchmark, each shard linked so many times; 40 copies at scale 0.3 are
10 GB of text. Every size is read in a fresh process, from the page cache as far as that holds it.
`anonymous` is the most memory that was the process's own, sampled every 10 ms: pages of the mapped
frame are the page cache's. `first row`: from the call of hy.iter_csv to its first batch, after a
read of one small file, which imports what there is to import.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from _ingest_data import data_sets

WORK = Path(__file__).resolve().parents[1] / "build" / "bench" / "ingest"


def own_bytes() -> int:
    """Anonymous memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon in /proc/self/status")


class Peak:
    """The most anonymous memory while the block runs, less what there was before it."""

    def __enter__(self) -> Peak:
        self.before = self.most = own_bytes()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            self.most = max(self.most, own_bytes())

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()


def read(pattern: str, schema: dict[str, str], warm: str) -> dict[str, float]:
    import hayate as hy

    hy.read_csv(warm, schema=schema, as_="frame")
    begin = time.perf_counter()
    with hy.iter_csv(pattern, schema=schema) as stream:
        next(iter(stream))
        first_s = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_SELF)
    begin, cpu_s = time.perf_counter(), used.ru_utime + used.ru_stime
    with Peak() as peak:
        frame = hy.read_csv(pattern, schema=schema, as_="frame")
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rows": frame.rows,
        "wall_s": time.perf_counter() - begin,
        "cpu_s": used.ru_utime + used.ru_stime - cpu_s,
        "anonymous": peak.most - peak.before,
        "first_s": first_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.3)
    parser.add_argument("--copies", default="1,4,12,40")
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        pattern, schema, warm = arguments.read
        print(json.dumps(read(pattern, json.loads(schema), warm)))
        return
    mixed = next(one for one in data_sets(arguments.scale) if one.name == "mixed")
    paths = mixed.paths(WORK / f"mixed-{arguments.scale}")
    print(f"{os.cpu_count()} cores, python {platform.python_version()}")
    print(f"{'csv.gz MB':>9} {'rows':>12} {'s':>7} {'CPU s':>7} {'Mrows/s':>8} {'own MB':>7} "
          f"{'first row ms':>13}")  # fmt: skip
    for copies in map(int, arguments.copies.split(",")):
        with tempfile.TemporaryDirectory(dir=WORK) as folder:
            for copy in range(copies):
                for path in paths:
                    os.link(path, Path(folder) / f"{copy:04}-{path.name}")
            done = subprocess.run(
                [sys.executable, __file__, "--read", f"{folder}/*", json.dumps(mixed.schema),
                 str(paths[0])],
                capture_output=True, text=True, check=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "HAYATE_TMP": folder},
            )  # fmt: skip
            size = sum(path.stat().st_size for path in paths) * copies
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
        got = json.loads(done.stdout)
        print(f"{size / 1e6:9.0f} {got['rows']:12,} {got['wall_s']:7.2f} {got['cpu_s']:7.2f} "
              f"{got['rows'] / got['wall_s'] / 1e6:8.2f} {got['anonymous'] / 1e6:7.0f} "
              f"{got['first_s'] * 1e3:13.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
