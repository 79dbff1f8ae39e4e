"""The way from a bucket to this machine: what the last export over it says of the next one.

ZSTD makes an export's Parquet files a sixth smaller than SNAPPY does, and takes longer to undo:
that pays where the network was waited for. Whether EXPORT DATA takes it the service's documents
disagree on, so it is tried, and a refusal is remembered.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hayate.errors import HayateError, StorageError
from hayate.google import known
from hayate.google.projection import Format
from hayate.google.statement import COMPRESSIONS

_KIND = "links"
_SMALL = "ZSTD"
#: Of the reading threads' time: from there on the network is what takes the time.
_WALL_SHARE = 0.5
#: What is read sooner than connections get up to their speed says nothing of the network.
_LEAST_BYTES = 64_000_000


@dataclass(frozen=True)
class Link:
    """From a bucket to the machine that the store is on.

    Attributes:
        store: where it is kept.
        bucket: its name.
    """

    store: str
    bucket: str

    def compression(self, format_name: Format) -> str:
        """Of the next export."""
        facts = known.recall(self.store, _KIND, self.bucket)
        is_wall = facts.get("is_wall") is True and facts.get("is_refused") is not True
        return _SMALL if format_name == "parquet" and is_wall else COMPRESSIONS[format_name]

    def measured(self, received_bytes: int, waited_share: float) -> None:
        """Takes in how an export was read: its size, and for which share of the time the reading
        threads waited for bytes.
        """
        if received_bytes >= _LEAST_BYTES:
            self._remember(is_wall=waited_share >= _WALL_SHARE)

    def refused(self, error: HayateError, compression: str) -> bool:
        """Takes in why an export failed: whether another compression is to be tried."""
        said = error.what.lower()
        is_refused = compression == _SMALL and ("compression" in said or "zstd" in said)
        if is_refused:
            self._remember(is_refused=True)
        return is_refused

    def _remember(self, **facts: bool) -> None:
        had = known.recall(self.store, _KIND, self.bucket)
        if had != had | facts:
            with contextlib.suppress(StorageError):  # a hint is not worth a result, nor an error
                known.remember(self.store, _KIND, self.bucket, had | facts)
