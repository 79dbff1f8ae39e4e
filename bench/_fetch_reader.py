"""One way to get an export into one process: prints what it took as JSON.

    python _fetch_reader.py READER JOB_JSON

JOB_JSON has the attributes of `Job`. Imports are done before the clock starts. The result is typed
and whole: a table in memory as the library holds it; hayate's is a frame on disk, which is mapped
when it is used. Every peer is used as its documentation has it, with as many transfers at once as
there are shards, where it can do that.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _ingest_reader import have_memory_ready, read_pandas, read_polars


@dataclass(frozen=True)
class Job:
    """What is to be read.

    Attributes:
        names: of the objects, in their order.
        paths: the same shards on this machine's disk.
        schema: type by column, in BigQuery's names.
        work: a folder of our own.
        project, table: of the query API.
        is_small: whether so little is read that it is only tried whether everything works.
    """

    endpoint: str
    bucket: str
    prefix: str
    names: list[str]
    paths: list[str]
    format: str
    schema: dict[str, str]
    rows: int
    work: str
    project: str
    table: str
    is_small: bool

    @property
    def host(self) -> str:
        return self.endpoint.removeprefix("http://")


#: Reads, and returns how many rows there are, and what else is worth knowing.
Reader = Callable[[Job], dict[str, Any]]


def hayate_export() -> Reader:
    from hayate import _core
    from hayate.google.types import arrow_schema

    def read(job: Job) -> dict[str, Any]:
        schema = arrow_schema([{"name": name, "type": kind} for name, kind in job.schema.items()])
        retries: list[str] = []
        storage = _core.CloudStorage(job.endpoint, lambda renew: "token", retries.append)
        said = {"done": True, "files": len(job.names), "rows": job.rows}
        found = _core.ingest_export(
            storage,
            f"gs://{job.bucket}/{job.prefix}",
            str(Path(job.work) / "frame"),
            job.format,
            schema,
            "",
            0,
            lambda: said,
            None,
        )
        return {**found, "said": retries[:3]}

    return read


def hayate_decode() -> Reader:
    """The same shards from the disk."""
    from hayate import read_csv, read_parquet

    def read(job: Job) -> dict[str, Any]:
        if job.format == "csv":
            return {"rows": read_csv(job.paths, schema=job.schema, as_="frame").rows}
        return {"rows": read_parquet(job.paths, as_="frame").rows}

    return read


def gcsfs_pandas() -> Reader:
    # Else it waits for a minute for an interface of the service's that its stand-in does not have.
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
    import gcsfs
    import pandas as pd

    columns = read_pandas()

    def read(job: Job) -> dict[str, Any]:
        files = gcsfs.GCSFileSystem(endpoint_url=job.endpoint, token="anon")
        found = files.cat([f"{job.bucket}/{name}" for name in job.names])
        shards = [found[name] for name in sorted(found)]
        if job.format == "parquet":
            frame = pd.concat([pd.read_parquet(io.BytesIO(one)) for one in shards])
            return {"rows": len(frame)}
        texts: list[Any] = [gzip.GzipFile(fileobj=io.BytesIO(one)) for one in shards]
        return {"rows": columns(texts, job.schema)}

    return read


def anonymous() -> Any:
    from google.auth import credentials

    untyped: Any = credentials
    return untyped.AnonymousCredentials()


def transfer_manager_polars() -> Reader:
    import polars as pl
    from google.cloud import storage
    from google.cloud.storage import transfer_manager

    columns = read_polars()

    def read(job: Job) -> dict[str, Any]:
        client = storage.Client(
            project="bench",
            credentials=anonymous(),
            client_options={"api_endpoint": job.endpoint},
        )
        results = transfer_manager.download_many_to_path(
            client.bucket(job.bucket),
            job.names,
            destination_directory=job.work,
            worker_type=transfer_manager.THREAD,
            max_workers=len(job.names),
            raise_exception=True,
        )
        assert len(results) == len(job.names)
        paths = [str(Path(job.work, name)) for name in job.names]
        if job.format == "parquet":
            return {"rows": len(pl.scan_parquet(paths).collect(engine="streaming"))}
        return {"rows": columns(paths, job.schema)}

    return read


def pyarrow_filesystem() -> Reader:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as csv
    import pyarrow.dataset as ds
    from pyarrow.fs import GcsFileSystem

    types = {
        **{"INT64": pa.int64(), "FLOAT64": pa.float64(), "BOOL": pa.bool_(), "DATE": pa.date32()},
        **{"STRING": pa.string(), "TIMESTAMP": pa.string()},
    }

    def read(job: Job) -> dict[str, Any]:
        pa.set_io_thread_count(len(job.names))
        files = GcsFileSystem(anonymous=True, scheme="http", endpoint_override=job.host)
        paths = [f"{job.bucket}/{name}" for name in job.names]
        if job.format == "parquet":
            data = ds.dataset(paths, filesystem=files, format="parquet")
            return {"rows": data.to_table(fragment_readahead=len(paths)).num_rows}
        convert = csv.ConvertOptions(
            column_types={name: types[kind] for name, kind in job.schema.items()},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        )
        text = ds.CsvFileFormat(convert_options=convert)
        data = ds.dataset(paths, filesystem=files, format=text)
        table = data.to_table(fragment_readahead=len(paths))
        for place, (name, kind) in enumerate(job.schema.items()):
            if kind == "TIMESTAMP":
                cut = pc.utf8_slice_codeunits(table[name], 0, -4)
                table = table.set_column(place, name, cut.cast(pa.timestamp("us")))
        return {"rows": table.num_rows}

    return read


def query_api() -> Reader:
    """Pages of rows as JSON, as the client has them without the Storage Read API."""
    import pandas as pd
    from google.cloud import bigquery

    assert pd  # to_dataframe's, before the clock starts

    def read(job: Job) -> dict[str, Any]:
        client = bigquery.Client(
            project=job.project,
            credentials=anonymous(),
            client_options={"api_endpoint": job.endpoint},
        )
        query = client.query(f"SELECT * FROM `{job.table}`")
        return {"rows": len(query.result().to_dataframe(create_bqstorage_client=False))}

    return read


READERS: dict[str, Callable[[], Reader]] = {
    "hayate": hayate_export,
    "decode alone": hayate_decode,
    "gcsfs + pandas": gcsfs_pandas,
    "transfer_manager + polars": transfer_manager_polars,
    "pyarrow": pyarrow_filesystem,
    "query API": query_api,
}


def peak_bytes() -> int:
    """Of the memory that is resident; not of the process that became this one, as getrusage has."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (one for one in lines if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    name, job_json = sys.argv[1:]
    job = Job(**json.loads(job_json))
    read = READERS[name]()
    if not job.is_small:
        have_memory_ready()  # takes some seconds
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    found = read(job)
    wall_s, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({**found, "wall_s": wall_s, "cpu_s": cpu_s, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
