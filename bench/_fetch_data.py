"""The shards of the fetch benchmark: the same rows as BigQuery exports them, in both formats."""

from __future__ import annotations

import dataclasses
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from _ingest_data import DataSet, data_sets

Format = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "parquet")
SUFFIXES: dict[Format, str] = {"csv": ".csv.gz", "parquet": ".parquet"}
SHARDS = 40
# Of the mixed columns of `./dev bench ingest`; so many are 1.0 GB of gzip CSV.
ROWS = 18_000_000
ROW_GROUP_ROWS = 100_000


@dataclass(frozen=True)
class Shards:
    """An export in one format.

    Attributes:
        schema: type by column, in BigQuery's names.
        paths: by number.
    """

    format: Format
    rows: int
    schema: dict[str, str]
    paths: list[Path]

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.paths)

    def first(self, count: int) -> Shards:
        """The first so many of them; all have the same number of rows."""
        rows = self.rows // len(self.paths) * count
        return dataclasses.replace(self, rows=rows, paths=self.paths[:count])


def shards(folder: Path, format_name: Format, scale: float) -> Shards:
    """Those of a scale, made if they are not there."""
    mixed = next(one for one in data_sets(scale) if one.name == "mixed")
    rows = SHARDS * max(1, round(ROWS * scale / SHARDS))
    data = dataclasses.replace(mixed, rows=rows, shards=SHARDS)
    within = folder / f"{format_name}-{rows}"
    paths = data.paths(within) if format_name == "csv" else _parquet(data, within)
    return Shards(format_name, rows, data.schema, paths)


def _parquet(data: DataSet, folder: Path) -> list[Path]:
    paths = [folder / f"{data.name}-{shard:012d}.parquet" for shard in range(data.shards)]
    if (folder / "complete").exists():
        return paths
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write_parquet, [data] * len(paths), paths, range(len(paths))))
    (folder / "complete").touch()
    return paths


def _write_parquet(data: DataSet, path: Path, shard: int) -> None:
    """As BigQuery does: SNAPPY, and a TIMESTAMP is in no zone."""
    rows = data.make(data.rows // data.shards, shard)
    table = rows.with_columns(_time(name) for name, kind in data.schema.items() if _is_time(kind))
    types = {"STRING": pa.string()}
    arrow = table.to_arrow()
    schema = pa.schema(
        [
            pa.field(field.name, types.get(data.schema[field.name], field.type))
            for field in arrow.schema
        ]
    )
    pq.write_table(arrow.cast(schema), path, compression="snappy", row_group_size=ROW_GROUP_ROWS)


def _is_time(kind: str) -> bool:
    return kind == "TIMESTAMP"


def _time(name: str) -> pl.Expr:
    return pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S%.f UTC", time_unit="us")
