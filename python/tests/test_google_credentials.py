"""hayate.google.credentials and redaction: found, kept fresh, never shown."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import sys
import threading
from typing import Any

import google.auth
import pytest
from google.auth import exceptions as auth_exceptions

import hayate as hy
from hayate.google import credentials as module
from hayate.google.credentials import Endpoints, Token, describe, find
from hayate.google.redaction import without_secrets

_START = dt.datetime(2026, 11, 24, 3, 0)


class _Credentials:
    """As google-auth's: a token of an hour, counted."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.expiry: dt.datetime | None = None
        self.refreshed = 0
        self.now = _START
        self.error: Exception | None = None

    def refresh(self, request: Any) -> None:
        if self.error is not None:
            raise self.error
        self.refreshed += 1
        self.token = f"ya29.secret-{self.refreshed}"
        self.expiry = self.now + dt.timedelta(hours=1)


def _token(credentials: _Credentials) -> Token:
    return Token(credentials, request=object(), now=lambda: credentials.now)


def test_a_token_is_made_once_and_renewed_ahead_of_its_end() -> None:
    credentials = _Credentials()
    token = _token(credentials)
    assert [token() for _ in range(3)] == ["ya29.secret-1"] * 3
    credentials.now = _START + dt.timedelta(minutes=54)
    assert token() == "ya29.secret-1"
    credentials.now = _START + dt.timedelta(minutes=56)
    assert token() == "ya29.secret-2"
    assert credentials.refreshed == 2


def test_a_token_that_a_service_refused_is_renewed_once_for_all_threads() -> None:
    credentials = _Credentials()
    token = _token(credentials)
    token()
    credentials.now = _START + dt.timedelta(minutes=1)
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(token(True))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {"ya29.secret-2"}
    assert credentials.refreshed == 2


def test_while_a_token_is_good_a_failing_refresh_is_no_error() -> None:
    credentials = _Credentials()
    token = _token(credentials)
    token()
    credentials.now = _START + dt.timedelta(minutes=56)
    credentials.error = auth_exceptions.RefreshError("busy", {"secret": "ya29.leak"})
    assert token() == "ya29.secret-1"
    credentials.now = _START + dt.timedelta(minutes=61)
    with pytest.raises(hy.UsageError, match="give no token: busy") as caught:
        token()
    assert "leak" not in str(caught.value)
    assert "gcloud auth application-default login" in caught.value.fix
    credentials.error = None
    assert token() == "ya29.secret-2"


def test_nothing_shows_a_token() -> None:
    credentials = _Credentials()
    token = _token(credentials)
    secret = token()
    found = module.Credentials(credentials, "p", Endpoints(), token)
    assert secret not in repr(token) + repr(found) + str(found) + found.who


def test_emulators_are_asked_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "127.0.0.1:9050")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:4443/")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    found = find("p")
    assert found.token is None and found.project == "p"
    assert found.endpoints.bigquery == "http://127.0.0.1:9050"
    assert found.endpoints.storage_url == "http://127.0.0.1:4443"
    assert Endpoints().storage_url == "https://storage.googleapis.com"
    assert not Endpoints().is_anonymous
    monkeypatch.setenv("HAYATE_EMULATOR_CREDENTIALS", "1")
    assert not Endpoints.from_environment().is_anonymous


@pytest.fixture
def _no_emulators(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_emulators")
def test_a_file_that_is_not_there_is_an_error_with_its_remedies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    path = str(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
    with pytest.raises(hy.UsageError, match="credentials cannot be used") as caught:
        find()
    assert caught.value.where.object == path
    assert "workload identity federation" in caught.value.fix


@pytest.mark.usefixtures("_no_emulators")
def test_a_user_of_a_file_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "user.json"
    user = {
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "planted-secret",
        "refresh_token": "1//planted-refresh-token",
        "quota_project_id": "p",
        "account": "me@example.com",
    }
    path.write_text(json.dumps(user))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    found = find("p")
    assert found.who == "me@example.com (a user)"
    assert found.token is not None
    assert "planted" not in repr(found)


@pytest.mark.usefixtures("_no_emulators")
def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.exceptions", None)
    with pytest.raises(hy.UsageError, match="Google's packages") as caught:
        find()
    assert caught.value.fix == "pip install 'hayate[bigquery]'"


def test_whose_credentials_they_are() -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.oauth2.credentials import Credentials

    assert describe(Credentials("token")) == "a user"  # type: ignore[no-untyped-call]
    assert describe(AnonymousCredentials()) == "AnonymousCredentials"
    assert google.auth  # imported for the fixtures above


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer SECRET.abc-1",
        "bad token ya29.SECRET-abc",
        '{"refresh_token": "SECRET", "x": 1}',
        "client_secret=SECRET&grant=1",
        "https://x/y?X-Goog-Signature=SECRET&a=1",
        "https://x/y?X-Goog-Credential=SECRET",
        "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY----- end",
        "-----BEGIN RSA PRIVATE KEY-----\nSECRET cut off",
        "jwt eyJSECRET.eyJSECRET.SECRET",
        "refresh 1//0SECRETSECRET",
        "https://x/upload?upload_id=SECRET",
    ],
)
def test_secrets_are_taken_out_of_messages(text: str) -> None:
    shown = without_secrets(text)
    assert "SECRET" not in shown and "[removed]" in shown


def test_other_text_stays() -> None:
    text = "Not found: Table p:d.t was not found in location US at [3:15] gs://b/1/x"
    assert without_secrets(text) == text
