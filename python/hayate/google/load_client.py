"""What loading asks of BigQuery: the table and its dataset, and jobs that load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hayate.errors import UsageError, Where
from hayate.google.client import REQUEST_TIMEOUT_S, BigQuery, JobReference, Resource
from hayate.google.credentials import find
from hayate.google.engine import Engine, Storage, engine
from hayate.google.export import stop_job
from hayate.google.load_target import Target, check_partition
from hayate.google.retries import Retries
from hayate.google.service_errors import code_of


class LoadClient(BigQuery):
    """BigQuery with what loading needs."""

    def dataset(self, path: Mapping[str, str]) -> Resource | None:
        """The resource of a table's dataset; None if there is none.

        Raises:
            HayateError: it cannot be asked for.
        """
        reference = self._library.DatasetReference(path["projectId"], path["datasetId"])

        def get() -> Any:
            try:
                return self._client.get_dataset(reference, retry=None, timeout=REQUEST_TIMEOUT_S)
            except Exception as error:
                if code_of(error) == 404:
                    return None
                raise

        name = f"{path['projectId']}.{path['datasetId']}"
        what = "the dataset is refused"
        found = self._call("reading a dataset's description", get, what, name)
        return None if found is None else dict(found.to_api_repr())

    def find_job(self, reference: JobReference) -> Resource | None:
        """The job's resource; None if there is no such job.

        Raises:
            HayateError: it cannot be asked for.
        """

        def get() -> Any:
            try:
                return self._get(reference)
            except Exception as error:
                if code_of(error) == 404:
                    return None
                raise

        what = "the job cannot be looked for"
        found = self._call("looking for a job", get, what, str(reference))
        return None if found is None else dict(found._properties)

    def insert_load(
        self,
        uris: Sequence[str],
        table: Mapping[str, str],
        configuration: Resource,
        reference: JobReference,
    ) -> Resource:
        """Starts a job that loads objects into a table; see insert_query."""
        destination = self._library.TableReference.from_api_repr(dict(table))
        config = self._library.LoadJobConfig.from_api_repr(configuration)

        def insert() -> Any:
            return self._client.load_table_from_uri(
                list(uris),
                destination,
                job_config=config,
                job_id=reference.id,
                project=reference.project,
                location=reference.location,
                retry=None,
                timeout=REQUEST_TIMEOUT_S,
            )

        return self._insert(insert, reference, "")


class Connection:
    """BigQuery and Cloud Storage for one table; a context manager.

    Args:
        target: the table.
        project: that jobs run in; by default that of the credentials.
        retries: how BigQuery is asked again.
        say: is told what Cloud Storage is asked again.

    Attributes:
        endpoint: of Cloud Storage.
        target: the table with its project.
    """

    def __init__(
        self, target: Target, project: str | None, retries: Retries, say: Callable[[str], None]
    ) -> None:
        self._say = say
        self._credentials = find(project)
        self._storage: Storage | None = None
        self.endpoint = self._credentials.endpoints.storage_url
        self.bigquery = LoadClient(self._credentials, retries)
        self.target = target.within(self.bigquery.project)
        self.retries = retries

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self.bigquery.close()

    def storage(self) -> Storage:
        """Cloud Storage, connected once it is needed."""
        if self._storage is None:
            used: Engine = engine()
            self._storage = used.CloudStorage(self.endpoint, self._credentials.token, self._say)
        return self._storage

    def stop(self, job: JobReference) -> bool:
        """Ends a job of a run that is gone."""
        return stop_job(self.bigquery, job)


@dataclass(frozen=True)
class Place:
    """The table as it was before, and where it is."""

    resource: Resource | None
    location: str

    @property
    def fields(self) -> list[dict[str, Any]] | None:
        """Of the table; None if there is none."""
        if self.resource is None:
            return None
        return list((self.resource.get("schema") or {}).get("fields") or ())


def find_place(connection: Connection, wanted: str | None) -> Place:
    """Looks at the table, or at the dataset that it will be in.

    Args:
        wanted: the location that was told, if one was.

    Raises:
        UsageError: it cannot be written to.
    """
    target = connection.target
    where = Where(object=target.uri)
    resource = connection.bigquery.table(target.path)
    kind = str((resource or {}).get("type") or "TABLE")
    if kind != "TABLE":
        raise UsageError(
            f"this is a {kind.lower().replace('_', ' ')}, and rows are written to tables",
            where,
            "Name a table.",
        )
    if target.partition:
        check_partition(target, resource)
    holder = resource if resource is not None else connection.bigquery.dataset(target.path)
    if holder is None:
        name = f"{target.project}.{target.dataset}"
        raise UsageError(
            "there is no such dataset",
            Where(object=name),
            f"Check the name, or make it: CREATE SCHEMA `{name}` OPTIONS (location = '…').",
        )
    location = str(holder.get("location") or "US")
    if wanted and wanted.upper() != location.upper():
        raise UsageError(
            f"location= says {wanted}, and the dataset is in {location}",
            where,
            f'Give location="{location}", or leave it out.',
        )
    return Place(resource, location)


def state_of_table(table: Mapping[str, Any]) -> str:
    """What identifies a table as it is: another text after each change."""
    parts = [str(table.get(name) or "") for name in ("creationTime", "lastModifiedTime", "numRows")]
    # Rows that are streamed in are seen in the table before its time of change says so.
    streamed = table.get("streamingBuffer") or {}
    return "-".join([*parts, str(streamed.get("estimatedRows") or "")])


def state_of_job(job: Mapping[str, Any]) -> str:
    """PENDING, RUNNING or DONE."""
    return str((job.get("status") or {}).get("state") or "")


def has_succeeded(job: Mapping[str, Any]) -> bool:
    """Whether a job has ended well."""
    status = job.get("status") or {}
    return status.get("state") == "DONE" and not status.get("errorResult")


def sources(job: Mapping[str, Any]) -> list[str]:
    """The URIs that a job loads."""
    load = (job.get("configuration") or {}).get("load") or {}
    return list(load.get("sourceUris") or ())


def output_rows(job: Mapping[str, Any]) -> int | None:
    """The rows that a job has loaded; None if it does not say."""
    rows = ((job.get("statistics") or {}).get("load") or {}).get("outputRows")
    return None if rows is None else int(rows)


def name_of(job: Mapping[str, Any]) -> str:
    """The ID of a job."""
    reference = job.get("jobReference") or {}
    return str(reference.get("jobId") or "")
