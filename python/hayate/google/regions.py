"""Where data lies, and what that means for time and money."""

from __future__ import annotations

from typing import Literal

Relation = Literal["same", "near", "far"]

#: Multi-region → the beginnings of the regions in it.
_MULTI_REGIONS = {"US": ("US-",), "EU": ("EUROPE-",), "ASIA": ("ASIA-",)}
#: Dual regions of Cloud Storage with a name of their own → their regions.
_DUAL_REGIONS = {
    "NAM4": ("US-CENTRAL1", "US-EAST1"),
    "EUR4": ("EUROPE-NORTH1", "EUROPE-WEST4"),
    "EUR5": ("EUROPE-WEST1", "EUROPE-WEST2"),
    "EUR7": ("EUROPE-WEST2", "EUROPE-WEST3"),
    "EUR8": ("EUROPE-WEST3", "EUROPE-WEST6"),
    "ASIA1": ("ASIA-NORTHEAST1", "ASIA-NORTHEAST2"),
}


def relation(data: str, bucket: str) -> Relation:
    """How far a bucket is from the data: in the same location, within the same multi-region, or in
    another region, which the transfer is paid for."""
    one, other = data.upper(), bucket.upper()
    if one == other:
        return "same"
    inside = _regions(other)
    if one in inside or other in _regions(one):
        return "near"
    for multi, beginnings in _MULTI_REGIONS.items():
        if multi in (one, other) and all(
            region == multi or region.startswith(beginnings)
            for place in (one, other)
            for region in _regions(place)
        ):
            return "near"
    return "far"


def _regions(place: str) -> tuple[str, ...]:
    return _DUAL_REGIONS.get(place, (place,))
