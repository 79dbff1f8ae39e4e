"""What a read has cost, in lines for people."""

from __future__ import annotations

from dataclasses import dataclass

from hayate.google.regions import Relation


@dataclass(frozen=True)
class Summary:
    """What was spent on a result.

    Attributes:
        rows: of the result.
        bytes_billed: by BigQuery.
        objects, object_bytes: written to the bucket; 0 without an export.
        data_location, bucket_location: of the query and of the bucket.
        relation: of the two.
        seconds: from the call to the result.
        retries: of all calls.
    """

    rows: int
    bytes_billed: int
    objects: int = 0
    object_bytes: int = 0
    data_location: str = ""
    bucket_location: str = ""
    relation: Relation = "same"
    seconds: float = 0.0
    retries: int = 0

    @property
    def bytes_across_regions(self) -> int:
        """What is paid for as transfer between regions."""
        return self.object_bytes if self.relation == "far" else 0

    def __str__(self) -> str:
        line = f"{self.rows:,} rows in {self.seconds:.0f} s; {size(self.bytes_billed)} billed"
        if self.objects:
            line += f", {self.objects:,} objects written ({size(self.object_bytes)})"
        if self.bytes_across_regions:
            line += (
                f", {size(self.bytes_across_regions)} across regions ({self.data_location} to "
                f"{self.bucket_location})"
            )
        return line + (f", {self.retries} retries" if self.retries else "")


def size(count: int) -> str:
    """Bytes in the units of a bill."""
    if count < 1_000_000:
        return f"{count:,} bytes"
    if count < 1_000_000_000:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e9:.2f} GB"
