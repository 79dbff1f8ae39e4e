"""One reader over one data set, in this process: prints what it took as JSON.

    python _ingest_reader.py READER SCHEMA_JSON LIST

LIST is a file with a path a line. Imports are done before the clock starts; the result is typed,
timestamps and dates too, and is held in memory as Arrow (pandas: as pandas holds it).

Some hypervisors take back what a machine has freed. There the first touch of a page costs ten times
and more of what the kernel takes to clear it, or nothing of that, as chance has it; so a child
touches as much memory as a reader may want, and frees it, right before the clock starts.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Reader = Callable[[list[str], dict[str, str]], Any]


def hayate_table() -> Reader:
    from hayate import read_csv  # named here, because hayate imports what is asked for

    return lambda paths, schema: read_csv(paths, schema=schema, as_="arrow").num_rows


def hayate_frame() -> Reader:
    from hayate import read_csv

    return lambda paths, schema: read_csv(paths, schema=schema, as_="frame").rows


def read_polars() -> Reader:
    import polars as pl

    types = {
        **{"INT64": pl.Int64, "FLOAT64": pl.Float64, "BOOL": pl.Boolean, "DATE": pl.Date},
        **{"STRING": pl.String, "TIMESTAMP": pl.String},
    }

    def read(paths: list[str], schema: dict[str, str]) -> int:
        frame = pl.scan_csv(paths, schema={name: types[kind] for name, kind in schema.items()})
        times = [name for name, kind in schema.items() if kind == "TIMESTAMP"]
        parsed = [pl.col(one).str.to_datetime("%Y-%m-%d %H:%M:%S%.f UTC") for one in times]
        return len(frame.with_columns(parsed).collect(engine="streaming"))

    return read


def read_pyarrow() -> Reader:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as csv

    types = {
        **{"INT64": pa.int64(), "FLOAT64": pa.float64(), "BOOL": pa.bool_(), "DATE": pa.date32()},
        **{"STRING": pa.string(), "TIMESTAMP": pa.string()},
    }

    def read(paths: list[str], schema: dict[str, str]) -> int:
        convert = csv.ConvertOptions(
            column_types={name: types[kind] for name, kind in schema.items()},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        )
        parse = csv.ParseOptions(newlines_in_values=True)
        tables = [csv.read_csv(one, convert_options=convert, parse_options=parse) for one in paths]
        table = pa.concat_tables(tables)
        for place, (name, kind) in enumerate(schema.items()):
            if kind == "TIMESTAMP":
                text = pc.utf8_slice_codeunits(table[name], 0, -4)
                table = table.set_column(place, name, text.cast(pa.timestamp("us")))
        return table.num_rows

    return read


def read_duckdb() -> Reader:
    import duckdb

    types = {
        **{"INT64": "BIGINT", "FLOAT64": "DOUBLE", "BOOL": "BOOLEAN", "DATE": "DATE"},
        **{"STRING": "VARCHAR", "TIMESTAMP": "VARCHAR"},
    }

    def read(paths: list[str], schema: dict[str, str]) -> int:
        columns = {name: types[kind] for name, kind in schema.items()}
        times = [name for name, kind in schema.items() if kind == "TIMESTAMP"]
        parsed = ", ".join(f"{one}[:-5]::TIMESTAMP AS {one}" for one in times)
        replaced = f"* REPLACE ({parsed})" if times else "*"
        files = ", ".join(f"'{one}'" for one in paths)
        options = f"columns={columns}, header=true, quote='\"'"
        text = f"SELECT {replaced} FROM read_csv([{files}], {options})"
        return duckdb.sql(text).to_arrow_table().num_rows

    return read


def read_pandas() -> Reader:
    import pandas as pd

    types = {"INT64": "Int64", "FLOAT64": "float64", "BOOL": "boolean", "STRING": "str"}

    def read(paths: list[str], schema: dict[str, str]) -> int:
        given = {name: types[kind] for name, kind in schema.items() if kind in types}
        frame = pd.concat([pd.read_csv(one, dtype=given) for one in paths], ignore_index=True)
        for name, kind in schema.items():
            if kind == "TIMESTAMP":
                frame[name] = pd.to_datetime(frame[name].str[:-4], format="ISO8601", utc=True)
            elif kind == "DATE":
                frame[name] = pd.to_datetime(frame[name], format="%Y-%m-%d")
        return len(frame)

    return read


READERS: dict[str, Callable[[], Reader]] = {
    "hayate": hayate_table,
    "hayate frame": hayate_frame,
    "polars": read_polars,
    "pyarrow": read_pyarrow,
    "duckdb": read_duckdb,
    "pandas": read_pandas,
}


def have_memory_ready() -> None:
    page_bytes, most_bytes = 4096, 6 << 30
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    pages = min(most_bytes, available * 3 // 4) // page_bytes
    child = os.fork()
    if child == 0:
        own = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # shared memory has no huge pages
        with mmap.mmap(-1, pages * page_bytes, flags=own) as memory:
            memory.madvise(mmap.MADV_HUGEPAGE)
            memory[::page_bytes] = b"1" * pages
        os._exit(0)
    os.waitpid(child, 0)


def main() -> None:
    name, schema_json, listed = sys.argv[1:]
    paths = Path(listed).read_text().splitlines()
    read = READERS[name]()
    schema = json.loads(schema_json)
    have_memory_ready()
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    rows = read(paths, schema)
    wall_s, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak_bytes = after.ru_maxrss * 1024
    print(json.dumps({"rows": rows, "wall_s": wall_s, "cpu_s": cpu_s, "peak_bytes": peak_bytes}))


if __name__ == "__main__":
    main()
