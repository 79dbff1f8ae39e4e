"""What other readers make of the same files: Python's csv module, and DuckDB."""

from __future__ import annotations

import csv
import gzip
import random
from pathlib import Path

import duckdb
import pytest

import hayate as hy

FILES_OF_SEED = 60
PIECES = [
    "a",
    "Z",
    "7",
    " ",
    ",",
    ";",
    "\t",
    "|",
    '"',
    '""',
    "\n",
    "\r\n",
    "'",
    "é",
    "名前",
    "😀",
    "\\",
]
TIMES = [" {:02}:{:02}:{:02}", " {:02}:{:02}:{:02}.{:06}", "T{:02}:{:02}:{:02}"]
DELIMITERS = [",", ";", "\t", "|"]


def random_text(pick: random.Random) -> str:
    length = pick.choice([0, 1, 1, 2, 3, 5, 20, 300 if pick.random() < 0.05 else 4])
    return "".join(pick.choice(PIECES) for _ in range(length))


def random_file(pick: random.Random, path: Path) -> tuple[str, list[list[str]]]:
    """A file as Python writes it, its delimiter, and its rows with the header."""
    delimiter = pick.choice(DELIMITERS)
    columns = pick.randint(2, 6)
    rows = [[f"c{n}" for n in range(columns)]]
    rows += [[random_text(pick) for _ in range(columns)] for _ in range(pick.randint(1, 40))]
    name = path / "plain.csv"
    with name.open("w", newline="") as file:
        csv.writer(
            file,
            delimiter=delimiter,
            quoting=pick.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
            lineterminator=pick.choice(["\n", "\r\n"]),
        ).writerows(rows)
    data = name.read_bytes()
    if pick.random() < 0.3:
        data = data.rstrip(b"\r\n") if not rows[-1][-1].endswith(("\n", "\r")) else data
        name.write_bytes(data)
    # Members of any length, empty ones too.
    members = sorted(pick.randint(0, len(data)) for _ in range(pick.randint(0, 3)))
    borders = zip([0, *members], [*members, len(data)], strict=True)
    (path / "a.csv.gz").write_bytes(b"".join(gzip.compress(data[a:b]) for a, b in borders))
    return delimiter, rows


@pytest.mark.parametrize("seed", range(10))
def test_text_is_read_as_the_csv_module_and_duckdb_read_it(tmp_path: Path, seed: int) -> None:
    pick = random.Random(seed)
    for _ in range(FILES_OF_SEED):
        delimiter, rows = random_file(pick, tmp_path)
        plain = tmp_path / "plain.csv"
        with plain.open(newline="") as file:
            assert list(csv.reader(file, delimiter=delimiter)) == rows
        schema = dict.fromkeys(rows[0], "STRING")
        for path in (plain, tmp_path / "a.csv.gz"):
            table = hy.read_csv(path, schema=schema, delimiter=delimiter, as_="arrow")
            read = [[cell or "" for cell in row.values()] for row in table.to_pylist()]
            assert [table.column_names, *read] == rows
        options = f"all_varchar=true, header=true, delim='{delimiter}', quote='\"', escape='\"'"
        other = duckdb.sql(
            f"SELECT * FROM read_csv('{plain}', {options}, auto_detect=false, columns={schema!r})"
            .replace("STRING", "VARCHAR").replace("all_varchar=true, ", "")
        )  # fmt: skip
        assert [[cell or "" for cell in row] for row in other.fetchall()] == read


@pytest.mark.parametrize("seed", range(5))
def test_values_are_read_as_duckdb_reads_them(tmp_path: Path, seed: int) -> None:
    pick = random.Random(seed)
    kinds = {"i": "INT64", "f": "FLOAT64", "d": "DATE", "t": "DATETIME", "b": "BOOL"}
    makers = {
        "i": lambda: str(pick.randint(-(10 ** pick.randint(1, 18)), 10 ** pick.randint(1, 18))),
        "f": lambda: pick.choice(["{:.17g}", "{:.3f}", "{:e}", "{!r}"]).format(
            pick.choice([-1, 1]) * pick.random() * 10.0 ** pick.randint(-30, 30)
        ),
        "d": lambda: (
            f"{pick.randint(1600, 2400):04}-{pick.randint(1, 12):02}-{pick.randint(1, 28):02}"
        ),
        "b": lambda: pick.choice(["true", "false"]),
    }
    makers["t"] = lambda: (
        makers["d"]()
        + pick.choice(TIMES).format(
            pick.randint(0, 23), pick.randint(0, 59), pick.randint(0, 59), pick.randint(0, 999_999)
        )
    )
    path = tmp_path / "a.csv"
    lines = [",".join(kinds)]
    lines += [
        ",".join("" if pick.random() < 0.1 else makers[kind]() for kind in kinds)
        for _ in range(3000)
    ]
    path.write_text("\n".join(lines) + "\n")
    table = hy.read_csv(path, schema=kinds, as_="arrow")
    columns = {"i": "BIGINT", "f": "DOUBLE", "d": "DATE", "t": "TIMESTAMP", "b": "BOOLEAN"}
    other = duckdb.sql(
        f"SELECT * FROM read_csv('{path}', auto_detect=false, header=true, columns={columns!r})"
    )
    assert [tuple(row.values()) for row in table.to_pylist()] == other.fetchall()
