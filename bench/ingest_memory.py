"""Resident memory while CSV becomes a frame: it must not grow with the input.

Makes `--gigabytes` of CSV text in shards once (build/bench), converts 1/5 of it and then all of it
into a frame, each in a fresh process, and prints seconds, CPU seconds and the peak of the memory
that is the process's own (RssAnon; the page cache is the kernel's) and of all that it maps (VmHWM).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
HAYATE = ROOT / "build/dev/python/hayate/bin/hayate"
WORK = ROOT / "build/bench"
SHARDS = 20
SAMPLE_S = 0.05


def make(folder: Path, gigabytes: float) -> None:
    """SHARDS plain CSV files; each is one random block repeated, so that making them is quick."""
    random = np.random.default_rng(7)
    rows = 200_000
    block = pd.DataFrame(
        {
            "event_id": random.integers(0, 2**40, rows),
            "price": random.normal(100, 30, rows),
            "city": random.choice(["Tokyo", "Osaka", "名古屋", "a, b"], rows),
            "note": [f"note {i:x}" for i in random.integers(0, 2**60, rows)],
        }
    ).to_csv(index=False)
    header, body = block.split("\n", 1)
    repeats = max(1, round(gigabytes * 1e9 / SHARDS / len(body.encode())))
    folder.mkdir(parents=True)
    for shard in range(SHARDS):
        with open(folder / f"data-{shard:012d}.csv", "w") as file:
            file.write(header + "\n")
            for _ in range(repeats):
                file.write(body)


def convert(shards: list[Path]) -> tuple[float, float, int, int]:
    """Seconds, CPU seconds, peak RssAnon and peak VmHWM in bytes."""
    out = WORK / "memory-frame"
    shutil.rmtree(out, ignore_errors=True)
    began = time.monotonic()
    process = subprocess.Popen([str(HAYATE), "convert", *map(str, shards), str(out)])
    anonymous = 0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except ProcessLookupError:
            break
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                anonymous = max(anonymous, int(line.split()[1]) * 1024)
        time.sleep(SAMPLE_S)
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode != 0:
        raise SystemExit(f"hayate convert failed with {process.returncode}")
    seconds = time.monotonic() - began
    shutil.rmtree(out)
    return seconds, usage.ru_utime + usage.ru_stime, anonymous, usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    arguments = parser.parse_args()
    folder = WORK / f"memory-{arguments.gigabytes:g}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        make(folder, arguments.gigabytes)
        (folder / "complete").touch()
    shards = sorted(folder.glob("*.csv"))
    print(f"{'GB of text':>10} {'seconds':>8} {'CPU s':>8} {'RssAnon MB':>11} {'VmHWM MB':>9}")
    for part in (shards[: SHARDS // 5], shards):
        size = sum(shard.stat().st_size for shard in part)
        seconds, cpu, anonymous, peak = convert(part)
        memory = f"{anonymous / 1e6:11.0f} {peak / 1e6:9.0f}"
        print(f"{size / 1e9:10.2f} {seconds:8.1f} {cpu:8.1f} {memory}")


if __name__ == "__main__":
    main()
