"""Writes a click log and its items as a BigQuery export to Cloud Storage leaves them.

    python generate.py --rows 2000000 --out data --seed 7 --shards 16

`clicks-000000000000.csv.gz` and so on, a header in each, quotes only where needed, `... UTC`
timestamps whose fraction is trimmed, null as an empty field and the empty string as `""`. Rows come
in no order, as an export without ORDER BY. The same arguments give the same rows; a folder that is
already there with the same arguments is left as it is.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import gzip
import json
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

GENERATOR_VERSION = 1
FIRST_DAY = np.datetime64("2026-10-26T00:00:00", "us")
DAYS = 28
DAY_US = 86_400_000_000
BLOCK_ROWS = 100_000
MARKER = "dataset.json"

# Every kind of text that a reader has to get right: delimiter, quote, other scripts, line breaks.
CATEGORIES: tuple[str | None, ...] = (
    "shoes",
    "bags",
    "sofas, armchairs",
    "cups, plates & bowls",
    'TVs 50"-65"',
    'the "little" things',
    "本・雑誌",
    "家電",
    "食品、飲料",
    "おもちゃ, ゲーム",
    "garden\ntools",
    "日用品\n(まとめ買い)",
    "café",
    "outdoor",
    "toys",
    "",
    None,
)
QUERIES: tuple[str | None, ...] = (
    None,
    "",
    "null",
    *(
        f"{kind}{thing}{size}"
        for kind in ("", "red ", "cheap ", "ＮＥＷ ", "中古 ", "kids' ", '"retro" ')
        for thing in ("shoes", "sofa, grey", "コーヒー 豆", "ランニング シューズ", "usb c", "傘")
        for size in ("", " S", " XL", " 2m", ' 55"', " ３個セット", " gift")
    ),
)
DEVICES: tuple[str, ...] = ("android", "ios", "web", "web mobile")


@dataclass(frozen=True)
class Settings:
    """What decides the rows; stands in the folder's dataset.json."""

    rows: int
    seed: int
    shards: int
    version: int = GENERATOR_VERSION


@dataclass(frozen=True)
class Log:
    """The whole click log in columns of equal length, sorted by time."""

    event_id: np.ndarray  # int64, rises with time
    ts: np.ndarray  # int64, microseconds since 1970
    user_id: np.ndarray  # int64
    item: np.ndarray  # index into Items
    category: np.ndarray  # index into CATEGORIES: the page that showed the item
    query: np.ndarray  # index into QUERIES
    device: np.ndarray  # index into DEVICES
    position: np.ndarray  # int64, from 1; 0 where it was not recorded
    clicked: np.ndarray  # bool


@dataclass(frozen=True)
class Items:
    """The shop's items in columns of equal length."""

    item_id: np.ndarray  # int64
    category: np.ndarray  # index into CATEGORIES
    price: np.ndarray  # float64, in yen and sen
    quality: np.ndarray  # float64, hidden: what the model has to find out


def skewed(rng: np.random.Generator, count: int, exponent: float, size: int) -> np.ndarray:
    """`size` indexes below `count`, a few of them very often (a Zipf law with a flat head)."""
    weights = (np.arange(count) + 5.0) ** -exponent
    edges = np.cumsum(weights)
    return np.minimum(np.searchsorted(edges, rng.random(size) * edges[-1]), count - 1)


def make_items(rng: np.random.Generator, rows: int) -> Items:
    """Items, the most popular first."""
    count = min(20_000, max(40, rows // 100))
    return Items(
        item_id=rng.permutation(np.arange(count)) * 17 + 100_003,
        category=rng.integers(0, len(CATEGORIES), count),
        price=np.round(np.exp(rng.normal(7.5, 1.0, count)), 2),
        quality=rng.normal(0.0, 0.7, count),
    )


def make_log(rng: np.random.Generator, rows: int, items: Items) -> Log:
    """`rows` impressions in sessions of some minutes, with clicks that follow hidden tastes."""
    user_count = max(30, rows // 40)
    lengths = rng.geometric(1 / 7.0, rows // 6 + 30)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), rows)) + 1]
    session = np.repeat(np.arange(len(lengths)), lengths)[:rows]
    if len(session) < rows:
        session = np.concatenate([session, np.full(rows - len(session), len(lengths) - 1)])

    session_user = skewed(rng, user_count, 0.8, len(lengths))
    evening = np.clip(rng.normal(0.83, 0.12, len(lengths)), 0.0, 1.0)
    daytime = np.where(rng.random(len(lengths)) < 0.5, evening, rng.random(len(lengths)))
    start_us = (rng.integers(0, DAYS, len(lengths)) + daytime) * DAY_US * 0.999
    first = np.flatnonzero(np.diff(session, prepend=-1))
    elapsed = np.cumsum(rng.exponential(35e6, rows))
    since_start = elapsed - elapsed[first][session]
    offset_us = np.minimum(start_us[session] + since_start, DAYS * DAY_US - 1).astype(np.int64)
    # Many clients log seconds or milliseconds: fractions of every length, also none.
    unit = rng.choice(np.array([1, 1_000, 100_000, 1_000_000]), rows, p=[0.4, 0.3, 0.1, 0.2])
    offset_us -= offset_us % unit
    in_time = np.argsort(offset_us, kind="stable")
    session, offset_us = session[in_time], offset_us[in_time]

    user = session_user[session]
    item = skewed(rng, len(items.item_id), 0.9, rows)
    category = np.where(
        rng.random(rows) < 0.8, items.category[item], rng.integers(0, len(CATEGORIES), rows)
    )
    device = (user + (rng.random(len(session_user)) < 0.2)[session]) % len(DEVICES)
    query = np.where(rng.random(rows) < 0.5, 0, rng.integers(0, len(QUERIES), rows))
    position = rng.integers(1, 25, rows)
    taste = rng.normal(0.0, 0.9, (user_count, len(CATEGORIES))).astype(np.float32)
    habit = rng.normal(-0.4, 0.8, user_count)
    mood = rng.normal(0.0, 0.5, len(session_user))
    logit = (
        habit[user]
        + items.quality[item]
        + taste[user, category]
        + mood[session]
        + np.where(position > 4, -0.8, 0.5)
        - 0.06 * position
        + 0.3 * (device == 1)
        + 0.4 * (query > 1)
        - 0.25 * np.log(items.price[item] / 1800.0)
        - 1.2
    )
    return Log(
        event_id=np.arange(rows, dtype=np.int64) * 3 + 88_000_000_001,
        ts=FIRST_DAY.astype(np.int64) + offset_us,
        user_id=rng.permutation(user_count)[user].astype(np.int64) * 7919 + 5_000_000_029,
        item=item,
        category=category,
        query=query,
        device=device,
        position=np.where(rng.random(rows) < 0.03, 0, position),
        clicked=rng.random(rows) < 1.0 / (1.0 + np.exp(-logit)),
    )


def field(text: str | None) -> str:
    """One field as BigQuery writes it: null is empty, the empty string is quoted."""
    if text is None:
        return ""
    if text == "" or any(c in text for c in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


def texts(values: tuple[str | None, ...], index: np.ndarray) -> pa.Array:
    """The fields of a column whose values are few."""
    return pa.array([field(value) for value in values]).take(pa.array(index))


def timestamps(ts_us: np.ndarray) -> pa.Array:
    """`2026-11-02 08:15:00.25 UTC`: no fraction where it is zero, else without trailing zeros."""
    seconds = pa.array((ts_us // 1_000_000).astype("datetime64[s]")).cast(pa.string())
    micros = pa.array(ts_us % 1_000_000 + 1_000_000).cast(pa.string())
    fraction = pc.utf8_rtrim(pc.utf8_slice_codeunits(micros, 1), "0")
    dot = pc.if_else(pc.equal(fraction, ""), "", ".")
    return pc.binary_join_element_wise(seconds, dot, fraction, " UTC", "")


def joined_bytes(columns: list[pa.Array]) -> bytes:
    """The text of the records, by one join over columns that are text already."""
    records = pc.binary_join_element_wise(*columns, ",")
    lines = pc.binary_join_element_wise(records, "\n", "").cast(pa.large_string())
    buffer = lines.buffers()[2]
    return buffer.to_pybytes() if buffer is not None else b""


def clicks_text(log: Log, items: Items, rows: np.ndarray) -> bytes:
    """CSV records of the given rows of the log."""
    position = pa.array(log.position[rows])
    blank = pc.if_else(pc.equal(position, 0), "", position.cast(pa.string()))
    item = log.item[rows]
    return joined_bytes(
        [
            pa.array(log.event_id[rows]).cast(pa.string()),
            timestamps(log.ts[rows]),
            pa.array(log.user_id[rows]).cast(pa.string()),
            pa.array(items.item_id[item]).cast(pa.string()),
            texts(CATEGORIES, log.category[rows]),
            texts(QUERIES, log.query[rows]),
            texts(DEVICES, log.device[rows]),
            blank,
            pa.array(items.price[item]).cast(pa.string()),
            pa.array(log.clicked[rows]).cast(pa.string()),
        ]
    )


CLICKS_HEADER = b"event_id,ts,user_id,item_id,category,query,device,position,price,clicked\n"
ITEMS_HEADER = b"item_id,item_category,list_price,listed_on,title\n"


def write_clicks(path: Path, log: Log, items: Items, rows: np.ndarray) -> None:
    """One shard. The gzip header carries no time, so that equal rows are equal bytes."""
    with (
        open(path, "wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=3, fileobj=raw, mtime=0) as file,
    ):
        file.write(CLICKS_HEADER)
        for start in range(0, len(rows), BLOCK_ROWS):
            file.write(clicks_text(log, items, rows[start : start + BLOCK_ROWS]))


def write_items(path: Path, items: Items, rng: np.random.Generator) -> None:
    """The items table, one shard."""
    listed = FIRST_DAY.astype("datetime64[D]") - rng.integers(1, 900, len(items.item_id))
    words = rng.integers(0, len(CATEGORIES), len(items.item_id))
    kinds = [(CATEGORIES[word] or "item").splitlines()[0] for word in words]
    titles = [
        field(f'{kind} No. {i}, "new"' if i % 3 else f"No. {i}") for i, kind in enumerate(kinds)
    ]
    text = joined_bytes(
        [
            pa.array(items.item_id).cast(pa.string()),
            texts(CATEGORIES, items.category),
            pa.array(items.price).cast(pa.string()),
            pa.array(listed).cast(pa.string()),
            pa.array(titles),
        ]
    )
    path.write_bytes(gzip.compress(ITEMS_HEADER + text, compresslevel=6, mtime=0))


def generate(settings: Settings, folder: Path, threads: int) -> None:
    """Writes every shard into `folder`, which is there and empty."""
    rng = np.random.default_rng(settings.seed)
    items = make_items(rng, settings.rows)
    log = make_log(rng, settings.rows, items)
    order = rng.permutation(settings.rows)
    # Shards of an export differ in size; the first is the largest here.
    weights = 1.0 + np.arange(settings.shards)[::-1] / (2.0 * settings.shards)
    ends = np.round(np.cumsum(weights) / weights.sum() * settings.rows).astype(np.int64)
    write_items(folder / "items-000000000000.csv.gz", items, rng)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        done = [
            pool.submit(write_clicks, folder / f"clicks-{number:012d}.csv.gz", log, items, rows)
            for number, rows in enumerate(np.split(order, ends[:-1]))
        ]
        for one in done:
            one.result()


def up_to_date(settings: Settings, out: Path) -> bool:
    """True if `out` holds these rows. Exits rather than replace a folder that is not ours."""
    if not out.exists():
        return False
    marker = out / MARKER
    if not marker.is_file():
        if any(out.iterdir()):
            sys.exit(f"generate.py: {out} is not empty and holds no {MARKER}: give another --out")
        return False
    return bool(json.loads(marker.read_text()) == asdict(settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000, help="impressions (2000000)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--shards", type=int, default=16, help="shards of clicks (16)")
    arguments = parser.parse_args()
    if arguments.rows < 1 or not 1 <= arguments.shards <= arguments.rows:
        parser.error("--rows must be at least 1, --shards between 1 and --rows")
    settings = Settings(arguments.rows, arguments.seed, arguments.shards)
    out: Path = arguments.out.resolve()
    if up_to_date(settings, out):
        print(f"{out}: {settings.rows:,} rows are there already")
        return
    begin = time.perf_counter()
    partial = out.with_name(out.name + ".partial")
    if partial.exists():  # an interrupted run left it
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    generate(settings, partial, len(os.sched_getaffinity(0)))
    (partial / MARKER).write_text(json.dumps(asdict(settings)) + "\n")
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)
    size = sum(path.stat().st_size for path in out.iterdir())
    seconds = time.perf_counter() - begin
    print(f"{out}: {settings.rows:,} rows, {size / 1e6:,.0f} MB of csv.gz in {seconds:.1f} s")


if __name__ == "__main__":
    main()
