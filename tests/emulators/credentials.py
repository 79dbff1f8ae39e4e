"""Google's identity services: tokens for service accounts and users, and a metadata server."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from emulators.http_service import Answer, Call, Service

EMAIL = "nightly@test-project.iam.gserviceaccount.com"
PROJECT = "test-project"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# What google-auth writes into its assertions, whatever server it posts them to.
AUDIENCE = "https://oauth2.googleapis.com/token"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_METADATA = "/computeMetadata/v1"


class Credentials(Service):
    """The stand-in; a context manager that closes it.

    Attributes:
        secret: a text that is part of every token, key and refresh token, and may be seen nowhere.
        lifetime_s: how long the next tokens last.
        tokens: the tokens that were given, the last one last.
        good: the tokens that servers take; shared with their `good_tokens`.
        is_on_gce: whether the metadata server answers.
    """

    def __init__(self) -> None:
        self.secret = f"planted-secret-{uuid.uuid4().hex}"
        self.lifetime_s = 3600
        self.tokens: list[str] = []
        self.good: set[str] = set()
        self.is_on_gce = True
        self._tokens_lock = threading.Lock()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        super().__init__()

    @property
    def host(self) -> str:
        """For GCE_METADATA_HOST, GCE_METADATA_IP and GCE_METADATA_ROOT."""
        return self.endpoint.removeprefix("http://")

    def private_key(self) -> str:
        """The service account's key, in PEM."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def write_service_account(self, path: Path) -> Path:
        """A key file for GOOGLE_APPLICATION_CREDENTIALS."""
        path.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": PROJECT,
                    "private_key_id": f"{self.secret}-id",
                    "private_key": self.private_key(),
                    "client_email": EMAIL,
                    "client_id": "1",
                    "token_uri": f"{self.endpoint}/token",
                }
            )
        )
        return path

    def write_federation(self, path: Path, *, impersonates: bool = False) -> Path:
        """A file for workload identity federation, with a subject token of a pod beside it.

        Args:
            path: the file.
            impersonates: whether the pod's token is then exchanged for the service account's.
        """
        subject = path.with_name("subject-token")
        subject.write_text(f"subject-{self.secret}")
        # Without the project's number, which google-auth would look up at Google.
        pool = "locations/global/workloadIdentityPools/pool/providers/eks"
        described: dict[str, Any] = {
            "type": "external_account",
            "audience": f"//iam.googleapis.com/{pool}",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{self.endpoint}/v1/token",
            "credential_source": {"file": str(subject)},
        }
        if impersonates:
            account = f"{self.endpoint}/v1/projects/-/serviceAccounts/{EMAIL}"
            described["service_account_impersonation_url"] = f"{account}:generateAccessToken"
        path.write_text(json.dumps(described))
        return path

    def expire_tokens(self) -> None:
        """No token that was given so far is taken any more."""
        with self._tokens_lock:
            self.good.clear()

    def forget(self) -> None:
        super().forget()
        self.lifetime_s = 3600
        self.is_on_gce = True
        with self._tokens_lock:
            self.tokens.clear()
            self.good.clear()

    def serve(self, call: Call) -> Answer:
        if call.method == "POST" and call.path == "/token":
            return self._token(call)
        if call.method == "POST" and call.path == "/v1/token":
            return self._exchange(call)
        if call.method == "POST" and call.path.endswith(":generateAccessToken"):
            return self._impersonate(call)
        if call.method == "GET" and self.is_on_gce:
            return self._metadata(call)
        return Answer.of_error(404, "notFound", f"nothing at {call.path}")

    def _new_token(self) -> dict[str, Any]:
        with self._tokens_lock:
            token = f"ya29.{self.secret}.{len(self.tokens)}"
            self.tokens.append(token)
            self.good.add(token)
        return {"access_token": token, "expires_in": self.lifetime_s, "token_type": "Bearer"}

    def _token(self, call: Call) -> Answer:
        form = dict(urllib.parse.parse_qsl(call.body.decode()))
        if form.get("grant_type") == "refresh_token":
            if form.get("refresh_token") != f"refresh-{self.secret}":
                return _refused("Bad refresh token.")
            return Answer.of_json(self._new_token())
        if form.get("grant_type") != _GRANT:
            return _refused("Unknown grant.")
        problem = self._problem(form.get("assertion", ""))
        return _refused(problem) if problem else Answer.of_json(self._new_token())

    def _problem(self, assertion: str) -> str:
        """What is wrong with a signed assertion; empty where all is right."""
        try:
            head, claims, signature = assertion.split(".")
            header = json.loads(_decoded(head))
            payload = json.loads(_decoded(claims))
            self._key.public_key().verify(
                _decoded(signature),
                f"{head}.{claims}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except (ValueError, InvalidSignature):
            return "Invalid JWT Signature."
        if header.get("alg") != "RS256":
            return "Invalid JWT: the algorithm is not RS256."
        if payload.get("iss") != EMAIL or payload.get("aud") != AUDIENCE:
            return "Invalid JWT: wrong issuer or audience."
        if not payload["iat"] - 60 <= time.time() <= payload["exp"]:
            return "Invalid JWT: it must be short-lived."
        return ""

    def _exchange(self, call: Call) -> Answer:
        """Workload identity federation: a token of another cloud for one of ours."""
        form = dict(urllib.parse.parse_qsl(call.body.decode()))
        is_known = form.get("subject_token") == f"subject-{self.secret}"
        if form.get("grant_type") != _EXCHANGE or not is_known:
            return _refused("Bad subject token.")
        issued = "urn:ietf:params:oauth:token-type:access_token"
        return Answer.of_json({**self._new_token(), "issued_token_type": issued})

    def _impersonate(self, call: Call) -> Answer:
        if call.headers.get("Authorization", "").removeprefix("Bearer ") not in self.good:
            return Answer.of_error(401, "authError", "Invalid Credentials")
        token = self._new_token()
        end = time.gmtime(time.time() + self.lifetime_s)
        expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", end)
        return Answer.of_json({"accessToken": token["access_token"], "expireTime": expiry})

    def _metadata(self, call: Call) -> Answer:
        flavor = ("Metadata-Flavor", "Google")
        if call.path == "/":
            return Answer(200, [flavor], b"computeMetadata/")
        if call.headers.get("Metadata-Flavor") != "Google":
            return Answer(403, [flavor], b"Missing Metadata-Flavor:Google header.")
        account = f"{_METADATA}/instance/service-accounts/"
        texts = {
            f"{_METADATA}/project/project-id": PROJECT,
            f"{_METADATA}/instance/zone": "projects/1/zones/asia-northeast1-a",
            f"{_METADATA}/universe/universe-domain": "googleapis.com",
            f"{account}default/email": EMAIL,
            f"{account}default/scopes": SCOPE,
        }
        if call.path in texts:
            return Answer(200, [flavor, ("Content-Type", "text/plain")], texts[call.path].encode())
        if call.path.startswith(account):
            name, _, rest = call.path.removeprefix(account).partition("/")
            if name in ("default", EMAIL) and rest == "token":
                return Answer.of_json(self._new_token(), headers=dict([flavor]))
            if name in ("default", EMAIL) and rest == "":
                described = {"aliases": ["default"], "email": EMAIL, "scopes": [SCOPE]}
                return Answer.of_json(described, headers=dict([flavor]))
        return Answer(404, [flavor], b"Not Found")


def _refused(why: str) -> Answer:
    return Answer.of_json({"error": "invalid_grant", "error_description": why}, 400)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
