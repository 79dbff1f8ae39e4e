"""The data sets of the ingest benchmark: CSV as BigQuery exports it, always the same."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

SHARDS = 8
MANY_SHARDS = 10_000
WIDE_COLUMNS = 2_000
CITIES = ("Tokyo", "Osaka", "名古屋", "Sapporo", "Fukuoka", 'Kyoto, "old"')
LETTERS = "abcdefghijklmnopqrstuvwxyz"
KANA = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわん"
EPOCH_US = 1_767_225_600_000_000  # 2026-01-01
YEAR_US = 365 * 86_400 * 1_000_000


@dataclass(frozen=True)
class DataSet:
    """Shards of one kind.

    Args:
        schema: type by column, in hayate's names.
        make: (rows, seed) → the columns of a shard, as they are written.
        rows: of all shards together.
        shards: how many files they are in.
        compressed: gzip, or plain text.
    """

    name: str
    schema: dict[str, str]
    make: Callable[[int, int], pl.DataFrame]
    rows: int
    shards: int = SHARDS
    compressed: bool = True

    def paths(self, folder: Path) -> list[Path]:
        """The shards, made if they are not there."""
        suffix = ".csv.gz" if self.compressed else ".csv"
        paths = [folder / f"{self.name}-{i:012d}{suffix}" for i in range(self.shards)]
        if (folder / "complete").exists():
            return paths
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with ProcessPoolExecutor() as pool:
            list(pool.map(self._write, paths, range(self.shards)))
        (folder / "complete").touch()
        return paths

    def _write(self, path: Path, shard: int) -> None:
        rows = self.rows // self.shards
        data = self.make(rows, shard).write_csv(quote_style="necessary").encode()
        with gzip.open(path, "wb", compresslevel=6) if self.compressed else path.open("wb") as file:
            file.write(data)


def _timestamps(random: np.random.Generator, rows: int) -> pl.Expr:
    """As BigQuery writes a TIMESTAMP: zeros at the end of the fraction are left out."""
    values = pl.Series(EPOCH_US + random.integers(0, YEAR_US, rows)).cast(pl.Datetime("us"))
    text = pl.lit(values).dt.to_string("%Y-%m-%d %H:%M:%S%.6f")
    return text.str.strip_chars_end("0").str.strip_chars_end(".") + " UTC"


def _mixed(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    days = pl.Series(random.integers(18_000, 20_500, rows).astype(np.int32)).cast(pl.Date)
    known = random.random(rows) < 0.9
    return pl.select(
        event_id=random.integers(0, 2**62, rows),
        user_id=(random.zipf(1.3, rows) % 1_000_000).astype(np.int64),
        item_id=random.integers(0, 50_000, rows),
        created_at=_timestamps(random, rows),
        day=pl.lit(days),
        price=np.round(random.lognormal(3, 1, rows), 2),
        score=random.normal(0, 1, rows),
        quantity=pl.when(known).then(pl.lit(random.integers(1, 100, rows))),
        is_mobile=random.random(rows) < 0.6,
        city=pl.lit(pl.Series(CITIES).gather(random.integers(0, len(CITIES), rows))),
        device=pl.lit(pl.Series(["ios", "android", "web", ""]).gather(random.integers(0, 4, rows))),
        session=pl.lit(pl.Series(random.integers(0, 2**60, rows))).cast(pl.String),
    )


MIXED = {
    **{"event_id": "INT64", "user_id": "INT64", "item_id": "INT64", "created_at": "TIMESTAMP"},
    **{"day": "DATE", "price": "FLOAT64", "score": "FLOAT64", "quantity": "INT64"},
    **{"is_mobile": "BOOL", "city": "STRING", "device": "STRING", "session": "STRING"},
}


def _integers(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    most = (10, 1_000, 100_000, 10**7, 10**9, 10**12, 10**15, 10**18)
    return pl.DataFrame(
        {f"i{n}": random.integers(-bound, bound, rows) for n, bound in enumerate(most)}
    )


def _floats(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame({f"f{n}": random.normal(0, 10.0**n, rows) for n in range(8)})


def _words(random: np.random.Generator) -> np.ndarray:
    """Mostly Latin, some Japanese, and the few that make a field need quotes."""
    words = ["line\nbreak", 'a "quoted" word', "this, that", '"']
    for alphabet, count in ((LETTERS, 20_000), (KANA, 4_000)):
        letters = np.array(list(alphabet))
        for length in random.integers(2, 10, count):
            words.append("".join(letters[random.integers(0, len(letters), length)]))
    return np.array(words, dtype=object)


def _texts(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    words = _words(random)

    def column(most_words: int) -> list[str]:
        lengths = random.integers(1, most_words + 1, rows)
        picked = iter(words[random.zipf(1.1, int(lengths.sum())) % len(words)])
        return [" ".join(next(picked) for _ in range(length)) for length in lengths]

    return pl.DataFrame({"short": column(2), "title": column(8), "body": column(60)})


def _wide(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    values = random.integers(0, 1000, (rows, WIDE_COLUMNS))
    return pl.DataFrame(values, schema=[f"c{n}" for n in range(WIDE_COLUMNS)])


def data_sets(scale: float) -> Iterator[DataSet]:
    """All of them; at scale 1.0 most have some 900 MB of text."""

    def rows(count: int) -> int:
        return max(SHARDS, round(count * scale))

    yield DataSet("mixed", MIXED, _mixed, rows(6_000_000))
    yield DataSet("integers", {f"i{n}": "INT64" for n in range(8)}, _integers, rows(8_000_000))
    yield DataSet("floats", {f"f{n}": "FLOAT64" for n in range(8)}, _floats, rows(4_000_000))
    texts = dict.fromkeys(("short", "title", "body"), "STRING")
    yield DataSet("text", texts, _texts, rows(2_000_000))
    wide = {f"c{n}": "INT64" for n in range(WIDE_COLUMNS)}
    yield DataSet("wide", wide, _wide, rows(80_000))
    many = max(SHARDS, round(MANY_SHARDS * scale))
    yield DataSet("many", MIXED, _mixed, many * 70, shards=many)
    yield DataSet("single", MIXED, _mixed, rows(6_000_000), shards=1)
    yield DataSet("plain", MIXED, _mixed, rows(6_000_000), compressed=False)
