"""hayate.doctor: credentials, datasets and buckets, against services in memory."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("google.cloud.bigquery", reason="google-cloud-bigquery is not installed")

from google_service import FakeBigQuery, FakeStorage, error, serving

import hayate as hy
from hayate.doctor import buckets, datasets, identity
from hayate.doctor.finding import Check, Finding, NotTried, run_check
from hayate.doctor.google_access import Access
from hayate.doctor.secrets_in_use import SecretsInUse
from hayate.doctor.targets import Targets, make_targets
from hayate.google import credentials as google_credentials
from hayate.google.credentials import Credentials, Endpoints, Token

TOKEN = "planted-access-token"


class Google:
    """As google-auth's credentials: a token that never ends."""

    service_account_email = "nightly@p.iam.gserviceaccount.com"
    token = TOKEN
    expiry: dt.datetime | None = None


class Service(FakeBigQuery):
    """With datasets: "p.d" → resource."""

    def __init__(self) -> None:
        super().__init__()
        self.datasets: dict[str, dict[str, Any]] = {}

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        parts = path.partition("?")[0].strip("/").split("/")
        parts = parts[parts.index("projects") :]
        if parts[2] == "datasets" and len(parts) == 4:
            found = self.datasets.get(f"{parts[1]}.{parts[3]}")
            reference = {"projectId": parts[1], "datasetId": parts[3]}
            answer = {**(found or {}), "datasetReference": reference}
            return (200, answer) if found else error(404, "notFound", "Not found: Dataset")
        return super()._answer(method, path, body)


@pytest.fixture
def service() -> Service:
    made = Service()
    fields = [{"name": "one", "type": "INTEGER"}]
    made.dry = {"schema": {"fields": fields}, "totalBytesProcessed": "0"}
    return made


@pytest.fixture
def access(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Access]:
    with serving(service) as url:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", url)
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        made = Access("test-project", SecretsInUse())
        yield made
        made.bigquery().close()


def _found(checks: list[Check]) -> list[Finding]:
    return [one for check in checks for one in run_check(check)[0]]


def _bucket(resource: dict[str, Any]) -> dict[str, Finding]:
    return {one.name: one for one in buckets.settings("gs://b", resource)}


# Credentials


def _find(monkeypatch: pytest.MonkeyPatch, result: Callable[[], Credentials]) -> Access:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setattr(google_credentials, "find", lambda project=None: result())
    return Access("", SecretsInUse())


def _google(project: str) -> Credentials:
    google = Google()
    return Credentials(google, project, Endpoints(), Token(google, request=object()))


def test_whose_credentials_these_are_is_said_and_the_token_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = SecretsInUse()
    access = _find(monkeypatch, lambda: _google("shop"))
    access.secrets = secrets
    (found,) = identity.google(access, is_needed=True)
    assert found.level == "ok"
    assert found.what.startswith("nightly@p.iam.gserviceaccount.com (")
    assert "project shop; they give a token" in found.what
    assert TOKEN not in str(found)
    assert secrets.remove_from(f"a {TOKEN} b") == "a [removed] b"


def test_credentials_without_a_project_are_a_problem_where_one_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    access = _find(monkeypatch, lambda: _google(""))
    assert [one.level for one in identity.google(access, is_needed=True)] == ["problem"]
    access = _find(monkeypatch, lambda: _google(""))
    assert [one.level for one in identity.google(access, is_needed=False)] == ["ok"]


def test_credentials_that_are_missing_are_a_problem_once_and_only_where_they_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing() -> Credentials:
        raise hy.UsageError("there are none", fix="Log in.")

    access = _find(monkeypatch, nothing)
    assert [one.level for one in identity.google(access, is_needed=False)] == ["skipped"]
    access = _find(monkeypatch, nothing)
    targets = make_targets(["gs://bucket"], ["p.d"])
    checks = identity.checks(access, is_needed=True)
    checks += datasets.checks(access, targets, is_needed=True)
    checks += buckets.checks(access, targets)
    problem, *others = _found(checks)
    assert (problem.level, problem.what, problem.remedy) == ("problem", "there are none", "Log in.")
    assert {one.level for one in others} == {"skipped"}
    assert all("see above" in one.what for one in others)


def _key_file(path: pathlib.Path, content: dict[str, Any], mode: int) -> dict[str, str]:
    path.write_text(json.dumps(content))
    path.chmod(mode)
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}


def test_a_key_that_others_may_read_is_advice(tmp_path: pathlib.Path) -> None:
    content = {"type": "service_account", "private_key": "planted"}
    open_to_all = _key_file(tmp_path / "a.json", content, 0o644)
    closed = _key_file(tmp_path / "b.json", content, 0o600)
    (advice,) = identity.key_file(open_to_all)
    (well,) = identity.key_file(closed)
    assert (advice.level, well.level) == ("advice", "ok")
    assert advice.remedy.startswith(f"Run chmod 600 {tmp_path}")
    assert "planted" not in str(advice) + str(well)
    assert list(identity.key_file({})) == []
    assert list(identity.key_file({"GOOGLE_APPLICATION_CREDENTIALS": "/none"})) == []


def test_a_federation_that_uses_the_role_of_the_node_is_advice(tmp_path: pathlib.Path) -> None:
    content = {"type": "external_account", "credential_source": {"environment_id": "aws1"}}
    environment = _key_file(tmp_path / "a.json", content, 0o644)
    pod = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}
    (advice,) = identity.key_file(environment | pod)
    assert advice.level == "advice" and "--credential-source-file=/var/run/token" in advice.remedy
    (alone,) = identity.key_file(environment)
    (with_keys,) = identity.key_file(environment | pod | {"AWS_ACCESS_KEY_ID": "AKIA"})
    assert (alone.level, with_keys.level) == ("ok", "ok")


# BigQuery


def test_datasets_are_where_they_are(service: Service, access: Access) -> None:
    service.datasets["shop.clicks"] = {"location": "asia-northeast1"}
    targets = make_targets([], ["shop.clicks", "shop.none"])
    queries, there, missing = _found(datasets.checks(access, targets, is_needed=True))
    assert queries.what == "may run in test-project, by default in US"
    assert (there.level, there.what) == ("ok", "shop.clicks in asia-northeast1")
    assert missing.level == "problem" and "notFound" in missing.what
    assert service.inserted == {} and len(service.dry_runs) == 1


def test_a_dataset_elsewhere_than_queries_is_a_problem(service: Service, access: Access) -> None:
    service.datasets["shop.clicks"] = {"location": "EU"}
    (same,) = datasets.dataset(access, "shop.clicks", "eu")
    (other,) = datasets.dataset(access, "shop.clicks", "US")
    assert (same.level, other.level) == ("ok", "problem")
    assert "--location EU" in other.remedy


def test_a_project_that_lets_nobody_run_queries_is_a_problem(
    service: Service, access: Access
) -> None:
    service.dry_answer = lambda sql: error(403, "accessDenied", "no bigquery.jobs.create")
    (found,) = _found(datasets.checks(access, Targets(), is_needed=True))
    assert found.level == "problem" and "bigquery.jobs.create" in found.remedy
    assert datasets.checks(access, Targets(), is_needed=False) == []


def test_a_service_in_trouble_is_said_within_the_time(service: Service, access: Access) -> None:
    service.faults[("POST", "jobs")] = [error(503, "backendError")] * 100
    check = datasets.checks(access, Targets(), is_needed=True)[0]
    quick = Check(check.section, check.name, check.run, 0.3, 0.1, check.waits_for)
    (found,) = run_check(quick)[0]
    assert found.level == "problem" and "503" in found.what


# Buckets


def test_a_plain_bucket_is_well() -> None:
    found = _bucket({"location": "US", "storageClass": "STANDARD"})
    assert {one.level for one in found.values()} == {"ok"}
    assert found["bucket"].what == "gs://b in US, STANDARD"
    assert found["soft delete"].what == "off"


@pytest.mark.parametrize(
    ("resource", "name", "level", "part", "remedy"),
    [
        (
            {"softDeletePolicy": {"retentionDurationSeconds": "604800"}},
            "soft delete",
            "advice",
            "7 days",
            "--clear-soft-delete",
        ),
        (
            {"retentionPolicy": {"retentionPeriod": "86400"}},
            "bucket lock",
            "problem",
            "for 1 day",
            "--clear-retention-period",
        ),
        (
            {"retentionPolicy": {"retentionPeriod": "60", "isLocked": True}},
            "bucket lock",
            "problem",
            "for 60 s, and the lock cannot be taken off",
            "Use another bucket",
        ),
        ({"defaultEventBasedHold": True}, "bucket lock", "problem", "held", "another bucket"),
        ({"versioning": {"enabled": True}}, "versioning", "advice", "version", "--no-versioning"),
        ({"billing": {"requesterPays": True}}, "billing", "problem", "Requester", "another bucket"),
        ({"storageClass": "NEARLINE"}, "storage class", "advice", "month", "STANDARD"),
    ],
)
def test_what_is_against_exports_has_its_remedy(
    resource: dict[str, Any], name: str, level: str, part: str, remedy: str
) -> None:
    found = _bucket({"location": "US", **resource})[name]
    assert found.level == level and part in found.what and remedy in found.remedy


def test_settings_that_are_odd_are_none() -> None:
    odd = {"softDeletePolicy": {"retentionDurationSeconds": "soon"}, "retentionPolicy": None}
    assert {one.level for one in _bucket(odd).values()} == {"ok"}
    placed = {
        "location": "US",
        "customPlacementConfig": {"dataLocations": ["US-EAST1", "US-EAST4"]},
    }
    assert "US (US-EAST1, US-EAST4)" in _bucket(placed)["bucket"].what


@pytest.mark.parametrize(
    ("data", "place", "level"),
    [
        ("US", "US", "ok"),
        ("asia-northeast1", "ASIA-NORTHEAST1", "ok"),
        ("US", "US-CENTRAL1", "ok"),
        ("US", "ASIA-NORTHEAST1", "advice"),
    ],
)
def test_pairs(
    access: Access, monkeypatch: pytest.MonkeyPatch, data: str, place: str, level: str
) -> None:
    monkeypatch.setattr(access, "dataset_location", lambda name: data)
    monkeypatch.setattr(access, "bucket", lambda name: {"location": place})
    (found,) = buckets.pair(access, "shop.clicks", "b")
    assert found.level == level
    assert bool(found.remedy) == (level == "advice")
    monkeypatch.setattr(access, "bucket", lambda name: {})
    with pytest.raises(NotTried):
        list(buckets.pair(access, "shop.clicks", "b"))


def test_permissions_are_tried_on_one_object_that_is_removed() -> None:
    storage = FakeStorage()
    storage.write("gs://b/f/foreign", b"x")
    (found,) = buckets.permissions(storage, "gs://b/f/")
    assert (found.level, found.what) == ("ok", "create, list, get, delete: tried on one object")
    assert sorted(storage.objects) == ["gs://b/f/foreign"]
    assert storage.deleted[0].startswith("gs://b/f/hayate-doctor-")


@pytest.mark.parametrize(
    ("fails", "held", "what"),
    [
        ({"list"}, None, "list failed, create, get, delete went well"),
        ({"read"}, None, "get failed, create, list, delete went well"),
        ({"delete"}, None, "delete failed, create, list, get went well"),
        ({"write"}, ["storage.objects.get"], "create, delete failed, list went well"),
        ({"write", "list"}, [], "create, list, get, delete failed"),
    ],
)
def test_permissions_that_are_missing_are_named(
    fails: set[str], held: list[str] | None, what: str
) -> None:
    storage = FakeStorage()
    storage.fails, storage.held = fails, held
    (found,) = buckets.permissions(storage, "gs://b/f/")
    assert found.level == "problem" and found.what.startswith(f"{what}: ")
    assert "roles/storage.objectUser" in found.remedy
    left = list(storage.objects)
    assert bool(left) == ("delete" in fails)
    assert all(one in found.remedy for one in left)


def test_what_two_checks_need_is_asked_for_once_and_its_failure_told_once() -> None:
    access = Access("p", SecretsInUse())
    asked: list[str] = []

    def fail() -> None:
        asked.append("x")
        raise hy.InputError("gone")

    with pytest.raises(hy.InputError, match="gone"):
        access._once("the thing", fail)
    with pytest.raises(NotTried) as later:
        access._once("the thing", fail)
    assert later.value.reason == "the thing cannot be used, see above"
    first = access._once("other", object)
    assert access._once("other", object) is first
    assert asked == ["x"]


def test_a_check_does_not_wait_for_what_a_late_one_has_in_hand() -> None:
    access = Access("p", SecretsInUse())
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return "made"

    thread = threading.Thread(target=lambda: access._once("it", slow))
    thread.start()
    assert begun.wait(60)
    with pytest.raises(NotTried):
        access._once("it", slow)
    go_on.set()
    thread.join(60)
    assert access._once("it", slow) == "made"


# Names


def test_targets_are_plain_names() -> None:
    found = make_targets(
        ["gs://shop-tokyo", "gs://shop-tokyo/tmp/", "gs://shop-tokyo/tmp"],
        ["clicks", "example.com:shop.a_1", "shop.clicks"],
        "shop",
        "EU",
    )
    assert found.folders == ("gs://shop-tokyo/", "gs://shop-tokyo/tmp/")
    assert found.datasets == ("shop.clicks", "example.com:shop.a_1")
    other = make_targets(["gs://other"], [], "else")
    joined = found.joined(other)
    assert joined.folders[-1] == "gs://other/" and joined.project == "shop"
    assert not Targets().is_any and other.is_any


@pytest.mark.parametrize(
    "text", ["clicks", "shop.clicks.table", "shop.", "", "s hop.a", "shop.a-b"]
)
def test_what_is_no_dataset_is_wrong_use(text: str) -> None:
    with pytest.raises(hy.UsageError, match="names no dataset"):
        make_targets([], [text])


@pytest.mark.parametrize("text", ["shop", "s3://shop", "gs://", "gs://b/*", "gs://shop//a"])
def test_what_is_no_bucket_is_wrong_use(text: str) -> None:
    with pytest.raises(hy.UsageError) as caught:
        make_targets([text], [])
    assert "export=" not in str(caught.value)
