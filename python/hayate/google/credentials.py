"""Who we are to Google: found as google-auth finds it, and kept fresh."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hayate.errors import HayateError, UsageError, Where
from hayate.google.packages import package
from hayate.google.redaction import without_secrets

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
STORAGE_ENDPOINT = "https://storage.googleapis.com"

_REMEDY = (
    "Log in by: gcloud auth application-default login; or set GOOGLE_APPLICATION_CREDENTIALS to "
    "the file of a service account or of a workload identity federation; on Google's machines "
    "attach a service account."
)
#: A token is renewed when it has less than this to live: a long read must not see its end.
REFRESH_AHEAD = dt.timedelta(minutes=5)
#: A token that is younger than this is not renewed again: who was refused had the one before.
RENEWAL = dt.timedelta(seconds=10)
#: After a refresh failed while the old token is still good, seconds until the next attempt.
RETRY_AFTER_S = 20.0


@dataclass(frozen=True)
class Endpoints:
    """Where the services are; emulators, where the environment names some.

    Attributes:
        bigquery, storage, read: address of the emulator, or empty for the service itself.
        uses_credentials: whether emulators are asked with credentials, too: never unless that is
            said, for a token of the real service is nothing to give to another program.
    """

    bigquery: str = ""
    storage: str = ""
    read: str = ""
    uses_credentials: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Endpoints:
        """By BIGQUERY_EMULATOR_HOST and STORAGE_EMULATOR_HOST, as Google's clients read them, and
        BIGQUERY_STORAGE_EMULATOR_HOST (host:port of the Storage Read API); with
        HAYATE_EMULATOR_CREDENTIALS=1 there are credentials beside them."""
        values = os.environ if environment is None else environment
        return cls(
            _address(values.get("BIGQUERY_EMULATOR_HOST", "")),
            _address(values.get("STORAGE_EMULATOR_HOST", "")),
            values.get("BIGQUERY_STORAGE_EMULATOR_HOST", ""),
            values.get("HAYATE_EMULATOR_CREDENTIALS", "") == "1",
        )

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing is asked of Google: then there are no credentials."""
        return bool(self.bigquery or self.storage) and not self.uses_credentials

    @property
    def storage_url(self) -> str:
        """Of Cloud Storage."""
        return self.storage or STORAGE_ENDPOINT


def _address(host: str) -> str:
    host = host.strip().rstrip("/")
    return host if not host or "://" in host else f"http://{host}"


@dataclass
class Credentials:
    """Credentials, the project that they name, and the token that the engine uses.

    Attributes:
        google: of google-auth, for its clients.
        project: that they belong to, or empty.
        endpoints: where they are used.
        token: None where nothing is asked of Google.
    """

    google: Any = field(repr=False)
    project: str
    endpoints: Endpoints
    token: Token | None = field(repr=False)

    @property
    def who(self) -> str:
        """Whose they are, for people and for keys: no secret is in it."""
        return "nobody (an emulator)" if self.token is None else describe(self.google)


def find(project: str | None = None, endpoints: Endpoints | None = None) -> Credentials:
    """The application default credentials: a service account's file, a user, the metadata server,
    workload identity federation, impersonation.

    Args:
        project: the one to use; by default GOOGLE_CLOUD_PROJECT, else that of the credentials.
        endpoints: by default what the environment says.

    Raises:
        UsageError: Google's packages or credentials are missing, or cannot be read.
    """
    where = Endpoints.from_environment() if endpoints is None else endpoints
    named = project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    exceptions = package("google.auth.exceptions")
    if where.is_anonymous:
        anonymous = package("google.auth.credentials").AnonymousCredentials()
        return Credentials(anonymous, named, where, None)
    try:
        found, own_project = package("google.auth").default(scopes=SCOPES)
    except exceptions.DefaultCredentialsError as error:
        raise UsageError(
            f"Google's credentials cannot be used: {_first(error)}",
            Where(object=os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")),
            _REMEDY,
        ) from None
    except exceptions.GoogleAuthError as error:
        raise refused(error, found=None) from None
    return Credentials(found, named or own_project or "", where, Token(found))


class Token:
    """An access token that is always good for a while; may be called from any thread.

    The engine calls it before each request, so it is cheap: a refresh happens `REFRESH_AHEAD`
    before the end. Where a service has refused the token it is asked for another one, whatever the
    clock says; of many threads that say so at once only the first has its way.

    Args:
        credentials: of google-auth; refreshed by this alone while a thread holds the lock.
        request: what google-auth sends its requests by; by default its transport over requests.
        now: the time in UTC, without a zone (as google-auth has it).
    """

    def __init__(
        self,
        credentials: Any,
        request: Any = None,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC).replace(tzinfo=None),
    ) -> None:
        self._credentials = credentials
        self._request = request
        self._now = now
        self._lock = threading.Lock()
        self._not_before = dt.datetime.min
        self._made = dt.datetime.min

    def __repr__(self) -> str:
        return "<Token>"

    def __call__(self, renew: bool = False) -> str:
        """The token.

        Args:
            renew: whether a service has just refused the last one (401).

        Raises:
            HayateError: it cannot be had.
        """
        with self._lock:
            token = self._credentials.token
            must = not token or self._has_less_than(dt.timedelta(0))
            must = must or (renew and self._now() >= self._made + RENEWAL)
            if must or self._has_less_than(REFRESH_AHEAD):
                self._refresh(must)
            return str(self._credentials.token)

    def _has_less_than(self, time: dt.timedelta) -> bool:
        expiry = self._credentials.expiry
        return expiry is not None and expiry - self._now() < time

    def _refresh(self, must: bool) -> None:
        """Makes a new token. While the old one is good, a failure is no error: `must` is False."""
        if not must and self._now() < self._not_before:
            return
        exceptions = package("google.auth.exceptions")
        if self._request is None:
            self._request = package("google.auth.transport.requests").Request()
        try:
            self._credentials.refresh(self._request)
        except exceptions.GoogleAuthError as error:
            if must:
                raise refused(error, self._credentials) from None
            self._not_before = self._now() + dt.timedelta(seconds=RETRY_AFTER_S)
        else:
            self._made = self._now()


def refused(error: BaseException, found: Any) -> HayateError:
    """The error of credentials that give no token. Its text is google-auth's first word alone: what
    is behind that may be a whole answer of the server."""
    whose = "" if found is None else f" of {describe(found)}"
    return UsageError(f"the credentials{whose} give no token: {_first(error)}", fix=_REMEDY)


def _first(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return without_secrets(text).split("\n", 1)[0][:500]


#: Class of google-auth → what it is.
_KINDS = {
    "google.oauth2.service_account": "a service account's key",
    "google.oauth2.credentials": "a user",
    "google.auth.compute_engine.credentials": "this machine's service account",
    "google.auth.impersonated_credentials": "an impersonated service account",
    "google.auth.identity_pool": "workload identity federation",
    "google.auth.aws": "workload identity federation from AWS",
    "google.auth.pluggable": "workload identity federation by a program",
    "google.auth.external_account_authorized_user": "a user of workforce identity federation",
}


def describe(credentials: Any) -> str:
    """Whose credentials these are: the kind, and the name where they tell one."""
    kind = _KINDS.get(type(credentials).__module__, type(credentials).__name__)
    name = (
        getattr(credentials, "service_account_email", None)
        or getattr(credentials, "signer_email", None)
        or getattr(credentials, "account", None)
    )
    if isinstance(name, str) and name and name != "default":
        return f"{name} ({kind})"
    return kind
