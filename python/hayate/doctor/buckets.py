"""Buckets: where they are, what is kept of what is deleted there, and what we may do."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hayate.doctor.finding import Check, Finding, NotTried
from hayate.doctor.google_access import Access
from hayate.doctor.targets import Targets
from hayate.errors import HayateError
from hayate.google.regions import relation
from hayate.google.statement import bucket_of

if TYPE_CHECKING:
    from hayate.google.engine import Storage

SECTION = "Bucket"
_LIMIT_S = 30.0
_DAY_S = 86400
_ROLE = "Give this identity roles/storage.objectUser on the bucket"
_CONTENT = b"written by hayate doctor, which removes it at once\n"


def checks(access: Access, targets: Targets) -> list[Check]:
    """All that is to be looked at here."""
    found = []
    for folder in targets.folders:
        found += _of_folder(access, folder, targets.datasets)
    return found


def _of_folder(access: Access, folder: str, datasets: tuple[str, ...]) -> list[Check]:
    name = bucket_of(folder)
    uri = f"gs://{name}"

    def check(label: str, run: Callable[[threading.Event], Iterator[Finding]]) -> Check:
        return Check(SECTION, label, run, _LIMIT_S, 10.0, access.last_retry)

    return [
        check("bucket", lambda _: settings(uri, access.bucket(name))),
        *(
            check("pair", lambda _, one=one: pair(access, one, name))  # type: ignore[misc]
            for one in datasets
        ),
        check("permissions", lambda _: permissions(access.storage(), folder)),
    ]


def settings(uri: str, resource: Mapping[str, Any]) -> Iterator[Finding]:
    """What a bucket is, and what of that is against exports, which are written once, read once and
    deleted.

    Args:
        uri: gs://bucket
        resource: as Cloud Storage describes it.
    """
    place = _place(resource)
    storage_class = str(resource.get("storageClass") or "STANDARD").upper()
    yield Finding("ok", "bucket", f"{uri} in {place or 'an unknown place'}, {storage_class}")
    retention = resource.get("retentionPolicy") or {}
    if _seconds(retention, "retentionPeriod"):
        kept = _duration(_seconds(retention, "retentionPeriod"))
        locked = ", and the lock cannot be taken off" if retention.get("isLocked") else ""
        yield Finding(
            "problem",
            "bucket lock",
            f"a retention policy forbids to delete objects for {kept}{locked}",
            "Use another bucket for exports."
            if locked
            else f"gcloud storage buckets update {uri} --clear-retention-period",
        )
    if resource.get("defaultEventBasedHold"):
        yield Finding(
            "problem",
            "bucket lock",
            "new objects are held (event-based hold), so they cannot be deleted",
            f"gcloud storage buckets update {uri} --no-default-event-based-hold, or another "
            "bucket.",
        )
    deleted = resource.get("softDeletePolicy") or {}
    if _seconds(deleted, "retentionDurationSeconds"):
        kept = _duration(_seconds(deleted, "retentionDurationSeconds"))
        yield Finding(
            "advice",
            "soft delete",
            f"on: what an export wrote is kept, and paid for, {kept} after it is removed",
            f"gcloud storage buckets update {uri} --clear-soft-delete",
        )
    else:
        yield Finding("ok", "soft delete", "off")
    if (resource.get("versioning") or {}).get("enabled"):
        yield Finding(
            "advice",
            "versioning",
            "on: every object that is removed stays as an old version, and is paid for",
            f"gcloud storage buckets update {uri} --no-versioning",
        )
    if (resource.get("billing") or {}).get("requesterPays"):
        yield Finding(
            "problem",
            "billing",
            "Requester Pays is on, and hayate names no project that pays",
            f"gcloud storage buckets update {uri} --no-requester-pays, or another bucket.",
        )
    if storage_class not in ("STANDARD", "MULTI_REGIONAL", "REGIONAL"):
        yield Finding(
            "advice",
            "storage class",
            f"{storage_class}: objects are paid for a month or more, however soon they are removed",
            f"gcloud storage buckets update {uri} --default-storage-class=STANDARD",
        )


def pair(access: Access, dataset: str, bucket: str) -> Iterator[Finding]:
    """Whether a dataset and a bucket go together."""
    data = access.dataset_location(dataset)
    place = str(access.bucket(bucket).get("location") or "")
    if not data or not place:
        raise NotTried("one of the two locations is not told")
    what = f"{dataset} in {data}, the bucket in {place}"
    if relation(data, place) == "far":
        yield Finding(
            "advice",
            "pair",
            f"{what}: an export crosses regions, which is billed by the gigabyte",
            f"Sensible only if this machine is near the bucket. Else use a bucket in {data}.",
        )
    else:
        yield Finding("ok", "pair", what)


def permissions(storage: Storage, folder: str) -> Iterator[Finding]:
    """Whether we may create, list, get and delete, tried on one object of the folder."""
    uri = f"{folder}hayate-doctor-{secrets.token_hex(8)}"
    allowed: list[str] = []
    failed: list[tuple[str, HayateError]] = []

    def attempt(what: str, action: Callable[[], object]) -> bool:
        try:
            action()
        except HayateError as error:
            failed.append((what, error))
            return False
        allowed.append(what)
        return True

    with_object = attempt("create", lambda: storage.write(uri, _CONTENT, if_absent=True))
    attempt("list", lambda: storage.list(uri))
    if with_object:
        attempt("get", lambda: storage.read(uri))
        attempt("delete", lambda: storage.delete([(uri, 0)]))
    if not failed:
        yield Finding("ok", "permissions", f"{', '.join(allowed)}: tried on one object")
        return
    missing = [what for what, _ in failed]
    if not with_object:
        missing += _not_held(storage, folder, ("get", "delete"))
    first = failed[0][1]
    what = f"{', '.join(missing)} failed" + (f", {', '.join(allowed)} went well" if allowed else "")
    remedy = f"{_ROLE}: it creates, gets, lists and deletes objects."
    if "delete" in missing and with_object:
        remedy += f" The object {uri} is left."
    yield Finding("problem", "permissions", f"{what}: {first.what}", remedy)


def _not_held(storage: Storage, folder: str, wanted: tuple[str, ...]) -> list[str]:
    """Those of the permissions that the service says we lack, where nothing could be tried."""
    names = {f"storage.objects.{one}": one for one in wanted}
    try:
        held = storage.permissions(bucket_of(folder), list(names))
    except HayateError:
        return []
    return [one for name, one in names.items() if name not in held]


def _place(resource: Mapping[str, Any]) -> str:
    place = str(resource.get("location") or "")
    parts = (resource.get("customPlacementConfig") or {}).get("dataLocations") or ()
    return f"{place} ({', '.join(str(one) for one in parts)})" if parts else place


def _seconds(policy: Mapping[str, Any], name: str) -> int:
    try:
        return int(policy.get(name) or 0)
    except (TypeError, ValueError):
        return 0


def _duration(seconds: int) -> str:
    days = seconds / _DAY_S
    if days < 1:
        return f"{seconds:,} s"
    return f"{days:.0f} day{'' if round(days) == 1 else 's'}"
