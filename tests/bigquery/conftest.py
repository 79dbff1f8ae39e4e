"""The stand-ins for Google's services, one of each for all tests, as new for every test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from bigquery.reads import Reads
from emulators import install
from emulators.bigquery import BigQuery
from emulators.cloud_storage import CloudStorage
from emulators.credentials import Credentials
from emulators.networks import Networks
from emulators.storage_proxy import StorageProxy
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from hayate.google import export, fetch
from hayate.google.retries import Retries

PROJECT = "test-project"


def _require(*names: str) -> None:
    for name in names:
        if install.find(name) is None:
            part = install.PARTS[name]
            pytest.skip(
                f"{part.program} is not installed: ./dev test --all --area bigquery installs it"
            )


@pytest.fixture(scope="session")
def storage_server() -> Iterator[CloudStorage]:
    _require("storage")
    with CloudStorage() as server:
        yield server


@pytest.fixture(scope="session")
def bigquery_server(storage_server: CloudStorage) -> Iterator[BigQuery]:
    _require("bigquery")
    with BigQuery(storage_server, PROJECT) as server:
        yield server


@pytest.fixture(scope="session")
def proxy_server(storage_server: CloudStorage) -> Iterator[StorageProxy]:
    with StorageProxy(storage_server) as server:
        yield server


@pytest.fixture(scope="session")
def credentials_server() -> Iterator[Credentials]:
    with Credentials() as server:
        yield server


@pytest.fixture(scope="session")
def networks() -> Iterator[Networks]:
    _require("networks")
    with Networks() as server:
        yield server


@pytest.fixture
def cloud_storage(storage_server: CloudStorage) -> CloudStorage:
    return storage_server


@pytest.fixture
def storage_proxy(proxy_server: StorageProxy) -> Iterator[StorageProxy]:
    proxy_server.forget()
    yield proxy_server
    proxy_server.forget()


@pytest.fixture
def credentials(credentials_server: Credentials) -> Iterator[Credentials]:
    credentials_server.forget()
    yield credentials_server
    credentials_server.forget()


@pytest.fixture
def big_query(bigquery_server: BigQuery, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQuery]:
    """The server, found by official clients through their own variable."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_server.endpoint)
    bigquery_server.forget()
    yield bigquery_server
    bigquery_server.forget()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name of this test alone, for buckets and datasets."""
    plain = re.sub(r"[^a-z0-9]+", "_", request.node.name.lower()).strip("_")
    return f"t_{plain[-48:].strip('_')}"


@pytest.fixture
def bucket(cloud_storage: CloudStorage, name: str) -> Iterator[str]:
    """A bucket that is empty."""
    cloud_storage.make_bucket(name)
    yield name
    cloud_storage.empty(name)


@pytest.fixture
def client(big_query: BigQuery) -> Iterator[bigquery.Client]:
    """The official client."""
    with bigquery.Client(PROJECT, AnonymousCredentials()) as one:
        yield one


@pytest.fixture
def dataset(client: bigquery.Client, name: str) -> Iterator[str]:
    """A dataset that is empty."""
    client.create_dataset(name)
    yield name
    client.delete_dataset(name, delete_contents=True)


@pytest.fixture
def reads(
    big_query: BigQuery,
    storage_proxy: StorageProxy,
    cloud_storage: CloudStorage,
    client: bigquery.Client,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Reads:
    """hy.read_bigquery in a folder of its own; it waits for jobs only as long as tests want to."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_proxy.endpoint)
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", big_query.storage_read_address)
    monkeypatch.setenv("HAYATE_TMP", str(tmp_path / "tmp"))
    monkeypatch.setattr(export, "_FIRST_POLL_S", 0.02)
    monkeypatch.setattr(export, "_MOST_POLL_S", 0.02)
    monkeypatch.setattr(fetch, "Retries", partial(Retries, sleep=lambda wait_s: None))
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path)
    return Reads(big_query, storage_proxy, cloud_storage, client, bucket, tmp_path, capfd)
