"""hy.output to a table of BigQuery in a job: the worker that loads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hayate.google.load import Load, load_frame
from hayate.google.service_task import Heartbeat, Send, cores_of, ended_by_signals, store_of


def run(task: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """Runs a task of kind ``load`` (docs/formats/protocol.md).

    Args:
        task: the message.
        send: takes `progress` messages.

    Returns:
        The result of the `done` message.

    Raises:
        HayateError: the table is as before, or the error says what it is.
    """
    with ended_by_signals(), Heartbeat(task["id"], send) as heartbeat:
        done = load_frame(
            task["frame"],
            Load.from_json(task["load"]),
            store=store_of(task["frame"]),
            key=task["key"],
            threads=cores_of(task),
            progress=heartbeat.show,
        )
    return {"rows": done["rows"], "bytes": done["bytes"], "state": done["state"] or ""}
