"""The manifest of a frame, read."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pyarrow as pa

from hayate import _core


class Manifest:
    """What a frame's directory holds (docs/formats/frame.md), as far as Python needs it."""

    def __init__(self, path: str) -> None:
        described = json.loads(_core.read_manifest(path))
        self.path = path
        self.name: str = described.get("name", "")
        self.rows: int = described.get("rows", 0)
        self.extra: dict[str, Any] = described.get("extra") or {}
        self.parts: list[dict[str, Any]] = described["parts"]
        self.schema: pa.Schema | None = None
        if described.get("schema"):
            message = base64.b64decode(described["schema"]["ipc"])
            self.schema = pa.ipc.read_schema(pa.py_buffer(message))

    @property
    def is_table(self) -> bool:
        return self.schema is not None

    def part_path(self, part: dict[str, Any]) -> str:
        return os.path.join(self.path, part["file"])
