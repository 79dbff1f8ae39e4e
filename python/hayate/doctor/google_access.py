"""What several checks need of Google: credentials and connections, made once, when first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from hayate.doctor.finding import NotTried
from hayate.doctor.secrets_in_use import SecretsInUse
from hayate.google import credentials as google_credentials
from hayate.google.client import BigQuery, Resource
from hayate.google.credentials import Credentials
from hayate.google.retries import Retries

if TYPE_CHECKING:
    from hayate.google.engine import Storage

_Made = TypeVar("_Made")


class Access:
    """Google as this process sees it. Checks run one after the other, but one that was late may
    still be running beside the next: nobody waits for what that one has in hand.

    Args:
        project: that jobs run in; empty: that of the credentials.
        secrets: gets the tokens.

    Attributes:
        secrets: what must not be shown.
    """

    def __init__(self, project: str, secrets: SecretsInUse) -> None:
        self._project = project
        self.secrets = secrets
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}
        self._failed: set[str] = set()
        self._last_retry = ""

    def credentials(self) -> Credentials:
        """Who we are. Raises HayateError the first time, NotTried later."""
        return self._once("the credentials", lambda: google_credentials.find(self._project or None))

    def bigquery(self) -> Datasets:
        """A connection to BigQuery. Raises like credentials."""
        return self._once(
            "BigQuery", lambda: Datasets(self.credentials(), Retries(self.note, 4, total_s=10.0))
        )

    def storage(self) -> Storage:
        """A connection to Cloud Storage. Raises like credentials."""

        def make() -> Storage:
            # Loads the engine and pyarrow, which may be what is broken.
            from hayate.google.engine import engine

            found = self.credentials()
            token = None if found.token is None else self._watched(found.token)
            return engine().CloudStorage(found.endpoints.storage_url, token, self.note)

        return self._once("Cloud Storage", make)

    def token(self) -> str:
        """A token; empty for emulators."""
        token = self.credentials().token
        return "" if token is None else self._watched(token)(False)

    def dataset_location(self, name: str) -> str:
        """Where a dataset is: project.dataset.

        Raises:
            HayateError: it cannot be looked at; NotTried the next time.
        """
        return self._once(f"the dataset {name}", lambda: self._dataset(name))

    def _dataset(self, name: str) -> str:
        project, _, dataset = name.rpartition(".")
        return str(self.bigquery().dataset(project, dataset).get("location") or "")

    def bucket(self, name: str) -> Mapping[str, Any]:
        """A bucket's description.

        Raises:
            HayateError: it cannot be looked at; NotTried the next time.
        """
        return self._once(f"the bucket gs://{name}", lambda: self.storage().bucket(name))

    def note(self, text: str) -> None:
        """Takes what is tried again, and why."""
        self._last_retry = text

    def last_retry(self) -> str:
        """What was tried again last; asking forgets it."""
        text, self._last_retry = self._last_retry, ""
        return text

    def _watched(self, token: Callable[[bool], str]) -> Callable[[bool], str]:
        def watched(renew: bool) -> str:
            value = token(renew)
            self.secrets.add(value)
            return value

        return watched

    def _once(self, what: str, make: Callable[[], _Made]) -> _Made:
        with self._lock:
            if what in self._failed:
                raise NotTried(f"{what} cannot be used, see above")
            if what in self._made:
                made: _Made = self._made[what]
                return made
            # Until it is there: a thread that is late with it keeps all others off.
            self._failed.add(what)
        value = make()
        with self._lock:
            self._failed.discard(what)
            self._made[what] = value
        return value


class Datasets(BigQuery):
    """BigQuery, with what only a doctor asks of it."""

    def dataset(self, project: str, dataset: str) -> Resource:
        """The dataset's resource.

        Raises:
            HayateError: it is not there, or we may not look at it.
        """
        reference = self._library.DatasetReference(project, dataset)
        found = self._call(
            "reading a dataset's description",
            lambda: self._client.get_dataset(reference, retry=None, timeout=20.0),
            "the dataset cannot be looked at",
            f"{project}.{dataset}",
        )
        return dict(found.to_api_repr())
