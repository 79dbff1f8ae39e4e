"""hy.read_bigquery: the rows of a query as a data frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from hayate import _core
from hayate.convert import As, check_as
from hayate.csv_options import texts
from hayate.errors import UsageError
from hayate.frames import Frame
from hayate.google.fetch import Fetch, Request, Speaker, check_columns
from hayate.google.parameters import Params
from hayate.google.statement import folder_uri
from hayate.location import caller
from hayate.progress import Progress


def read_bigquery(
    sql: str,
    *,
    export: str | None = None,
    params: Params | None = None,
    project: str | None = None,
    location: str | None = None,
    columns: Iterable[str] | None = None,
    max_bytes_billed: int | None = None,
    labels: Mapping[str, str] | None = None,
    format: Literal["auto", "csv", "parquet"] = "auto",
    progress: bool | None = None,
    as_: As | None = None,
    keep_export: bool = False,
    store: str | os.PathLike[str] | None = None,
    priority: Literal["INTERACTIVE", "BATCH"] = "INTERACTIVE",
    threads: int | None = None,
) -> Any:
    """Reads the result of a query of BigQuery into one data frame.

    With `export` the query is exported to a bucket and its files are read while others are still
    being written, verified and removed: the fast way for much data. Without it the rows come
    through the Storage Read API. The same query over unchanged tables is not run again: its result
    is kept in the store.

    Args:
        sql: one SELECT. An ORDER BY is kept.
        export: gs://bucket/folder, for the files of the export; each run has a folder of its own in
            it. The bucket may be anywhere: near the data or near this machine.
        params: values of the SQL's parameters: a dict for ``@name``, a list for ``?``. None and
            empty lists need a type: ``hayate.google.Typed(None, "INT64")``.
        project: that the query runs in and that pays; by default GOOGLE_CLOUD_PROJECT, else that of
            the credentials.
        location: of the tables (US, EU, asia-northeast1, …); by default BigQuery finds it.
        columns: only these, in this order.
        max_bytes_billed: a query that would be billed more is refused before it runs.
        labels: of the jobs, for the bill.
        format: of the export: "parquet", which "auto" means: exact, typed, cheap to read; or "csv".
        progress: whether to say on stderr how far it is, and at the end what it has cost; by
            default the first where that is a terminal, and the second always.
        as_: "pandas" (the default), "polars", "arrow" or "frame": a hy.Frame.
        keep_export: whether the files stay in the bucket.
        store: where results are kept, and what has to be cleaned up is noted; by default
            `.hayate` in the working directory.
        priority: "BATCH" waits for idle slots.
        threads: at most this many read; by default one for each core that the process may use.

    Raises:
        UsageError: the query is refused, or an argument is wrong; says what to change.
        InputError: what has arrived is not what was exported, or the service does not answer.
        StorageError: the disk is full, or the store cannot be written to.
    """
    form = check_as(as_)
    if priority not in ("INTERACTIVE", "BATCH"):
        raise UsageError(f"priority={priority!r} is not known", fix='Use "INTERACTIVE" or "BATCH".')
    request = Request(
        sql=sql,
        export=None if export is None else folder_uri(export),
        params=params,
        project=project,
        location=location,
        columns=None if columns is None else texts("columns", columns, caller()),
        max_bytes_billed=max_bytes_billed,
        labels=labels,
        format=format,
        keep_export=keep_export,
        store=os.path.abspath(".hayate" if store is None else store),
        priority=priority,
        threads=threads or _core.available_cores(),
    )
    speaker = Speaker(is_quiet=progress is False)
    result = Fetch(request, speaker, lambda: Progress(progress)).run()
    frame = Frame(result.directory, folder=result.folder)
    if form == "frame":
        check_columns(result.wanted_columns)
    return frame.to(form, result.wanted_columns)
