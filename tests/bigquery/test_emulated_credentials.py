"""The stand-in for Google's identity services, asked by google-auth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
import pytest
from emulators.credentials import EMAIL, SCOPE, Credentials
from emulators.http_client import ask

FLAVOR = {"Metadata-Flavor": "Google"}


def load(file: Path) -> Any:
    found, _ = google.auth.load_credentials_from_file(str(file), scopes=[SCOPE])
    return found


def refreshed(credentials: Any) -> str:
    """The token after a refresh."""
    credentials.refresh(google.auth.transport.requests.Request())
    return str(credentials.token)


pytestmark = pytest.mark.filterwarnings("ignore:The load_credentials_from_file method")


def test_service_account_gets_a_token_for_its_signature(
    credentials: Credentials, tmp_path: Path
) -> None:
    made = load(credentials.write_service_account(tmp_path / "key.json"))
    token = refreshed(made)
    assert token in credentials.good and credentials.secret in token
    assert not made.expired
    credentials.lifetime_s = 60
    refreshed(made)
    assert made.expired  # google-auth takes a token for expired some minutes before its end.


def test_wrong_signature_gets_no_token(credentials: Credentials, tmp_path: Path) -> None:
    file = credentials.write_service_account(tmp_path / "key.json")
    described = json.loads(file.read_text())
    with Credentials() as other:
        described["private_key"] = other.private_key()
    file.write_text(json.dumps(described))
    with pytest.raises(google.auth.exceptions.RefreshError, match="Invalid JWT Signature"):
        refreshed(load(file))
    assert not credentials.tokens


def test_federated_pod_gets_a_token_for_its_own(credentials: Credentials, tmp_path: Path) -> None:
    made = load(credentials.write_federation(tmp_path / "federation.json"))
    assert refreshed(made) in credentials.good
    (tmp_path / "subject-token").write_text("another pod's")
    with pytest.raises(google.auth.exceptions.OAuthError, match="Bad subject token"):
        refreshed(made)


def test_federated_pod_becomes_a_service_account(credentials: Credentials, tmp_path: Path) -> None:
    made = load(credentials.write_federation(tmp_path / "federation.json", impersonates=True))
    assert refreshed(made) == credentials.tokens[1]
    assert made.service_account_email == EMAIL


def test_metadata_server_gives_tokens(credentials: Credentials) -> None:
    url = f"{credentials.endpoint}/computeMetadata/v1/instance/service-accounts/default/token"
    assert ask("GET", url).status == 403
    answer = ask("GET", url, headers=FLAVOR).json()
    assert answer["access_token"] in credentials.good
    assert ask("GET", f"{credentials.endpoint}/").headers["Metadata-Flavor"] == "Google"


def test_tokens_can_be_made_invalid(credentials: Credentials, tmp_path: Path) -> None:
    made = load(credentials.write_service_account(tmp_path / "key.json"))
    first = refreshed(made)
    credentials.expire_tokens()
    assert first not in credentials.good
    assert refreshed(made) in credentials.good
