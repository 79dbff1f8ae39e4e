"""What the fetch benchmark says: a table a network and format, and what of it was to be reached."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _fetch_data import Shards

# What is asked for, of the goodput of iperf3's many streams; of the slower half alone; of gcsfs.
LEAST_OF_IPERF = 0.95
MOST_OF_SLOWER = 1.1
LEAST_OVER_GCSFS = 3.0
# hayate's resident memory with all shards may be so many times that with a quarter of them.
MOST_GROWTH = 1.25
NOT_PEERS = ("hayate", "fetch alone", "decode alone")


@dataclass(frozen=True)
class Table:
    """One network and format.

    Attributes:
        control: what the server sends by.
        streams: Mbit/s of iperf3, by how many streams it had.
        results: medians, by reader.
        quarter: of hayate with a quarter of the shards.
    """

    network: str
    export: Shards
    control: str
    streams: dict[int, float | None]
    results: dict[str, dict[str, float]]
    quarter: dict[str, Any] | None

    def goodput(self, reader: str) -> float | None:
        """Mbit/s of the objects' bytes; None where none were fetched."""
        if reader in ("decode alone", "query API"):
            return None
        return self.export.bytes * 8 / 1e6 / self.results[reader]["wall_s"]

    def text(self) -> str:
        export = self.export
        lines = [
            f"\n{self.network}, {export.format}: {export.bytes / 1e6:,.0f} MB in "
            f"{len(export.paths)} shards, {export.rows:,} rows; the server sends by {self.control}",
            f"{'':26}{'s':>9}{'CPU s':>9}{'peak MB':>9}{'Mbit/s':>9}{'s / hayate':>12}",
        ]
        own = self.results.get("hayate")
        for reader, one in self.results.items():
            peak = f"{one['peak_bytes'] / 1e6:9,.0f}" if "peak_bytes" in one else f"{'':9}"
            goodput = self.goodput(reader)
            speed = f"{goodput:9,.1f}" if goodput is not None else f"{'':9}"
            ratio = f"{one['wall_s'] / own['wall_s']:12.2f}" if own else ""
            line = f"{reader:26}{one['wall_s']:9.2f}{one['cpu_s']:9.2f}{peak}{speed}{ratio}"
            lines.append(line + ("  from 1/20 of the rows" if reader == "query API" else ""))
        for count, megabits in self.streams.items():
            if megabits is not None:
                lines.append(f"{f'iperf3, {count} streams':26}{'':27}{megabits:9,.1f}")
        if own and "connections" in own:
            lines.append(
                f"hayate: {own['bytes_received']:,.0f} bytes received, {own['connections']:.0f} "
                f"connections at the end, {own['retries']:.0f} retries"
            )
        return "\n".join([*lines, *self.reached()])

    def reached(self) -> list[str]:
        """A line for every aim that this table has the numbers for."""
        own = self.results.get("hayate")
        if own is None:
            return []
        lines = []

        def add(what: str, value: float, limit: float, *, is_least: bool) -> None:
            holds = value >= limit if is_least else value <= limit
            sign = "at least" if is_least else "at most"
            lines.append(
                f"{'reached' if holds else 'MISSED':8} {what}: {value:.2f} ({sign} {limit})"
            )

        whole = self.streams.get(max(self.streams, default=0))
        goodput = self.goodput("hayate")
        if self.network != "loopback" and whole and goodput:
            add("goodput / iperf3's", goodput / whole, LEAST_OF_IPERF, is_least=True)
        alone = [self.results[one]["wall_s"] for one in NOT_PEERS[1:] if one in self.results]
        if len(alone) == len(NOT_PEERS[1:]):
            ratio = own["wall_s"] / max(alone)
            add("seconds / the slower half's alone", ratio, MOST_OF_SLOWER, is_least=False)
        gcsfs = self.results.get("gcsfs + pandas")
        if self.network == "loopback" and gcsfs:
            ratio = gcsfs["wall_s"] / own["wall_s"]
            add("gcsfs's seconds / hayate's", ratio, LEAST_OVER_GCSFS, is_least=True)
        peers = [one["wall_s"] for name, one in self.results.items() if name not in NOT_PEERS]
        if peers:
            add(
                "the first peer's seconds / hayate's",
                min(peers) / own["wall_s"],
                1.0,
                is_least=True,
            )
        if self.quarter:
            ratio = own["peak_bytes"] / self.quarter["peak_bytes"]
            add("peak memory / that with a quarter", ratio, MOST_GROWTH, is_least=False)
        return lines

    def record(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "format": self.export.format,
            "bytes": self.export.bytes,
            "rows": self.export.rows,
            "congestion_control": self.control,
            "iperf3_mbit_s": self.streams,
            "results": self.results,
            "quarter": self.quarter,
        }


@dataclass
class Report:
    """Prints tables as they come, and keeps them in a file."""

    path: Path
    lines: list[str]
    tables: list[Table] = field(default_factory=list)

    def add(self, table: Table) -> None:
        self.tables.append(table)
        print(table.text(), flush=True)
        record = {"measured": self.lines, "tables": [one.record() for one in self.tables]}
        self.path.write_text(json.dumps(record, indent=1) + "\n")
