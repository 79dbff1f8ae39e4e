"""An export out of a bucket: hayate, its peers, and what the network itself can carry.

    ./dev bench fetch [--scale 1.0] [--rounds 3] [--networks loopback,clean,loss]
                      [--formats csv,parquet] [--readers hayate,gcsfs…]

Makes its data once (build/bench/fetch): the same rows as gzip CSV and as Parquet (SNAPPY), 1 GB of
each at scale 1.0, in 40 shards, and serves them by fake-gcs-server on this machine. Networks:

    loopback   nothing between
    clean      rattan: 150 ms round trip, 200 Mbit/s, a queue of 4 MB, cubic
    loss       the same, and 0.1 % of the packets to the client are lost

In each round every reader reads every format in a fresh process, one after another; medians over
the rounds. CPU and memory are the reader's own; server, rattan and reader share the cores. Mbit/s
are of the objects' bytes, from the first request to the end of the last row. Beside the readers:

    fetch alone    hayate's fetcher, on as many threads as there are cores; the bytes are dropped
    decode alone   hayate reads the same shards from the page cache into a frame
    iperf3         TCP from the server to the client for as long as the data would take

The query API (pages of JSON) reads a twentieth of the rows from bqemulator, once a network; its
seconds are multiplied. It takes part in no comparison of formats, and it is mostly the emulator
that takes the time. The same numbers go to build/bench/fetch/result.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from _fetch_data import FORMATS, Shards, shards  # noqa: E402 - after the path to the stand-ins
from _fetch_peers import peers, pinned  # noqa: E402
from _fetch_report import Report, Table  # noqa: E402
from _fetch_servers import BUCKET, PROJECT, TABLE, Iperf, QueryApi, Storage  # noqa: E402
from emulators import install  # noqa: E402
from emulators.long_network import (  # noqa: E402
    LongNetwork,
    Loopback,
    Shape,
    congestion_control,
)

WORK = ROOT / "build" / "bench" / "fetch"
FETCH_ALONE = ROOT / "build" / "dev" / "bench" / "fetch_alone"
SHAPES: dict[str, Shape | None] = {"loopback": None, "clean": Shape(), "loss": Shape(loss=0.001)}
OWN = ("hayate", "fetch alone", "decode alone")
PEERS = ("gcsfs + pandas", "transfer_manager + polars", "pyarrow")
QUERY = "query API"
# Of the rows for the query API: bqemulator takes its time.
QUERY_SHARE = 20
STREAMS = 64
LEAST_IPERF_S, MOST_IPERF_S = 5.0, 60.0
SMALL_BYTES = 300_000_000  # below that it is tried whether everything works
MOST_SECONDS = 1800  # of one reader, before it counts as one that cannot read this
MOST_BUSY = 0.05  # of all cores before the first reader starts


def busy_share(seconds: float = 1.0) -> float:
    """Of the machine's cores, by whatever runs on it, over some time."""

    def ticks() -> tuple[int, int]:
        words = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, words)
        busy = user + nice + system + irq + softirq + steal
        return busy, busy + idle + iowait

    busy, total = ticks()
    time.sleep(seconds)
    busy_after, total_after = ticks()
    return (busy_after - busy) / max(1, total_after - total)


def environment() -> dict[str, str]:
    """Of readers: no proxy between, and no other stand-in than ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.endswith("_EMULATOR_HOST")
    }
    # NumPy's threads spin for a while when it is imported; none of the readers uses them.
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(WORK / "work")}


def run(
    name: str, network: Loopback, command: Sequence[str | Path], package: str = ""
) -> dict[str, Any] | None:
    """What a process on the clients' side prints as JSON; None if it fails, which is said."""
    work = WORK / "work"
    shutil.rmtree(work, ignore_errors=True)
    (work / "run").mkdir(parents=True)
    try:
        with network.client_side():
            done = subprocess.run(
                [str(word) for word in command],
                capture_output=True,
                text=True,
                check=False,
                timeout=MOST_SECONDS,
                env={**environment(), "PYTHONPATH": package},
            )
    except subprocess.TimeoutExpired:
        print(f"  {name} has not come to an end in {MOST_SECONDS} s", flush=True)
        return None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"  {name} failed: {reason[:300]}", flush=True)
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def read(
    reader: str, network: Loopback, endpoint: str, export: Shards, prefix: str = "run/"
) -> dict[str, Any] | None:
    """What one fresh process took to read an export."""
    if reader == "fetch alone":
        return run(reader, network, [FETCH_ALONE, endpoint, f"gs://{BUCKET}/{prefix}"])
    job = {
        "endpoint": endpoint,
        "bucket": BUCKET,
        "prefix": prefix,
        "names": [f"run/{path.name}" for path in export.paths],
        "paths": [str(path) for path in export.paths],
        "format": export.format,
        "schema": export.schema,
        "rows": export.rows,
        "work": str(WORK / "work"),
        "project": PROJECT,
        "table": TABLE,
        "is_small": export.bytes < SMALL_BYTES,
    }
    is_own = reader in OWN
    python = sys.executable if is_own else peers().executable
    package = str(ROOT / "build" / "dev" / "python") if is_own else ""
    script = Path(__file__).with_name("_fetch_reader.py")
    result = run(reader, network, [python, script, reader, json.dumps(job)], package)
    if result is not None and result["rows"] != export.rows:
        print(f"  {reader} has read {result['rows']} of {export.rows} rows", flush=True)
        return None
    return result


def rounds(
    names: Sequence[str], network: Loopback, endpoint: str, export: Shards, count: int
) -> dict[str, dict[str, float]]:
    """The medians of every reader that did not fail."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(count):
        for name in names:
            result = read(name, network, endpoint, export) if name in runs else None
            if result is None:
                runs.pop(name, None)
                continue
            runs[name].append(result)
            note_retries(name, result)
    return {name: medians(of_reader) for name, of_reader in runs.items()}


def note_retries(name: str, result: dict[str, Any]) -> None:
    if result.get("retries"):
        said = "; ".join(result.get("said", ()))
        print(f"  {name} has tried again {result['retries']} times: {said}", flush=True)


def medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    numbers = [name for name, value in runs[0].items() if isinstance(value, (int, float))]
    return {name: statistics.median(run[name] for run in runs) for name in numbers}


def iperf(network: Loopback, streams: int, seconds: float) -> float | None:
    """The goodput of so many streams from the server to a client, in Mbit/s."""
    with Iperf(network) as server:
        host, port = server.address.split(":")
        words = ["iperf3", "--client", host, "--port", port, "--reverse", "--json"]
        words += ["--parallel", str(streams), "--time", str(round(seconds))]
        result = run(f"iperf3 with {streams}", network, words)
    if result is None or "error" in result:
        print(f"  iperf3 has no result: {(result or {}).get('error', 'see above')}", flush=True)
        return None
    return float(result["end"]["sum_received"]["bits_per_second"]) / 1e6


def query_api(network: Loopback, export: Shards) -> dict[str, float] | None:
    """What all rows would take, from a part of them."""
    part = export.first(max(1, len(export.paths) // QUERY_SHARE))
    with QueryApi(network, part) as server:
        result = read(QUERY, network, server.endpoint, part)
    if result is None:
        return None
    scale = export.rows / part.rows
    return {**medians([result]), **{name: result[name] * scale for name in ("wall_s", "cpu_s")}}


def measure(name: str, arguments: argparse.Namespace, report: Report) -> None:
    """Everything in one network."""
    shape = SHAPES[name]
    exports = [shards(WORK, one, arguments.scale) for one in arguments.formats]
    with LongNetwork(shape) if shape else Loopback() as network:
        with network.server_side():
            control = congestion_control()
        expected_s = exports[0].bytes * 8 / (shape.megabits_per_s * 1e6) if shape else 0.0
        seconds = min(max(expected_s, LEAST_IPERF_S), MOST_IPERF_S)
        streams = {count: iperf(network, count, seconds) for count in (1, STREAMS)}
        slow = None
        if QUERY in arguments.readers:
            slow = query_api(network, shards(WORK, "csv", arguments.scale))
        names = [one for one in (*OWN, *PEERS) if one in arguments.readers]
        for export in exports:
            with Storage(network, export) as server:
                results = rounds(names, network, server.endpoint, export, arguments.rounds)
                quarter = None
                if "hayate" in results:
                    quarter = quarter_of(network, server.endpoint, export)
            if slow:
                results[QUERY] = slow
            report.add(Table(name, export, control, streams, results, quarter))


def quarter_of(network: Loopback, endpoint: str, export: Shards) -> dict[str, Any] | None:
    """hayate again, on the first ten of forty shards: those with one digit."""
    part = export.first(10)
    prefix = f"run/{part.paths[0].name.split('.')[0][:-1]}"
    return read("hayate", network, endpoint, part, prefix)


def versions() -> list[str]:
    """Lines that say what was measured, and where."""
    said = subprocess.run(["iperf3", "--version"], capture_output=True, text=True, check=True)
    command = ROOT / "build/dev/python/hayate/bin/hayate"
    own = subprocess.run([str(command), "--version"], capture_output=True, text=True, check=True)
    parts = [install.PARTS[name] for name in ("storage", "bigquery", "rattan")]
    return [
        f"{len(os.sched_getaffinity(0))} cores, Linux {platform.release()}, congestion control of "
        f"the machine {congestion_control()}, python {platform.python_version()}",
        f"hayate {own.stdout.split()[-1]}, {', '.join(pinned())}",
        ", ".join(f"{part.program} {part.version}" for part in parts)
        + f", {' '.join(said.stdout.split()[:2])}",
    ]


def prepare(arguments: argparse.Namespace) -> None:
    """Installs what is missing; leaves if something cannot be had."""
    if shutil.which("iperf3") is None:
        sys.exit("fetch: iperf3 is missing: apt-get install iperf3")
    if any(SHAPES[name] for name in arguments.networks) and os.geteuid() != 0:
        sys.exit("fetch: network namespaces need root; without it: --networks loopback")
    if not FETCH_ALONE.exists():
        print(f"no {FETCH_ALONE.relative_to(ROOT)}: `./dev bench fetch` builds it")
        arguments.readers.remove("fetch alone")
    wanted: list[install.Part] = [install.PARTS["storage"]]
    if any(SHAPES[name] for name in arguments.networks):
        wanted.append(install.PARTS["rattan"])
    if QUERY in arguments.readers:
        wanted.append(install.PARTS["bigquery"])
    if set(arguments.readers) - set(OWN):
        wanted.append(peers())
    for part in wanted:
        if not part.is_installed():
            print(f"installing {part.name}: this takes minutes, once", flush=True)
        try:
            install.ensure(part)
        except install.InstallError as error:
            sys.exit(f"fetch: {part.name} cannot be installed: {error}")


def parse() -> argparse.Namespace:
    def of(known: Sequence[str]) -> Any:
        def words(text: str) -> list[str]:
            found = [one for one in text.split(",") if one]
            unknown = [one for one in found if one not in known]
            if unknown:
                raise argparse.ArgumentTypeError(
                    f"{', '.join(unknown)}: there are {', '.join(known)}"
                )
            return found

        return words

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="1.0: 1 GB of gzip CSV")
    parser.add_argument("--rounds", type=int, default=3)
    readers = (*OWN, *PEERS, QUERY)
    for option, known in (("networks", SHAPES), ("formats", FORMATS), ("readers", readers)):
        names = tuple(known)
        parser.add_argument(f"--{option}", type=of(names), default=list(names))
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.scale <= 0:
        parser.error("--rounds must be at least 1, and --scale more than 0")
    return arguments


def main() -> None:
    arguments = parse()
    prepare(arguments)
    WORK.mkdir(parents=True, exist_ok=True)
    needed = {*arguments.formats, *(["csv"] if QUERY in arguments.readers else [])}
    for format_name in sorted(needed):
        shards(WORK, format_name, arguments.scale)
    lines = versions()
    others = busy_share()
    if others > MOST_BUSY:
        lines.append(
            f"NOT TO BE QUOTED: other processes took {others:.0%} of the cores when this began."
        )
    print("\n".join(lines), flush=True)
    report = Report(WORK / "result.json", lines)
    for name in arguments.networks:
        measure(name, arguments, report)


if __name__ == "__main__":
    main()
