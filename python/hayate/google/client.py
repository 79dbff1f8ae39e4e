"""BigQuery by its official client: one call of the REST API a method, retried so that it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hayate.errors import UsageError, Where
from hayate.google.credentials import Credentials
from hayate.google.packages import package
from hayate.google.retries import Retries
from hayate.google.service_errors import code_of, from_exception, is_transient

Resource = dict[str, Any]

#: Seconds that one request may take. The service ends a dry run of many tables after a minute.
REQUEST_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class JobReference:
    """A job's full name."""

    project: str
    location: str
    id: str

    def __str__(self) -> str:
        return f"{self.project}:{self.location}.{self.id}"

    def to_json(self) -> dict[str, str]:
        """The three parts by name."""
        return {"project": self.project, "location": self.location, "id": self.id}


class BigQuery:
    """Jobs and tables. The client's own retries are off: they would be silent.

    Args:
        credentials: found before.
        project: that jobs run in.
        retries: how calls are made again.
    """

    def __init__(self, credentials: Credentials, retries: Retries) -> None:
        if not credentials.project:
            raise UsageError(
                "no project is named that the query could run in",
                fix='Give project="…", or set GOOGLE_CLOUD_PROJECT, or run '
                "gcloud auth application-default set-quota-project.",
            )
        self._library = package("google.cloud.bigquery")
        self.project = credentials.project
        self.retries = retries
        options = None
        if credentials.endpoints.bigquery:
            options = {"api_endpoint": credentials.endpoints.bigquery}
        self._client = self._library.Client(
            project=credentials.project, credentials=credentials.google, client_options=options
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def dry_run(self, sql: str, configuration: Resource, location: str | None) -> Resource:
        """The job resource of a query that is only checked: nothing runs, nothing is billed.

        Raises:
            HayateError: the query is refused.
        """
        config = self._library.QueryJobConfig.from_api_repr({**configuration, "dryRun": True})

        def insert() -> Any:
            # A dry run leaves no job behind, so a repeated one needs no name.
            return self._client.query(
                sql,
                job_config=config,
                location=location,
                retry=None,
                job_retry=None,
                timeout=REQUEST_TIMEOUT_S,
            )

        return _resource(self._call("checking the query", insert, "the query is refused", sql=sql))

    def insert_query(
        self, sql: str, configuration: Resource, reference: JobReference, shown: str = ""
    ) -> Resource:
        """Starts a query job under a name of ours. Safe to call again: where the name is taken, it
        is the same job, whose first answer was lost.

        Args:
            shown: the user's text, in which the position of an error lies.

        Raises:
            HayateError: the job is refused.
        """
        config = self._library.QueryJobConfig.from_api_repr(configuration)

        def insert() -> Any:
            return self._client.query(
                sql,
                job_config=config,
                job_id=reference.id,
                project=reference.project,
                location=reference.location,
                retry=None,
                job_retry=None,
                timeout=REQUEST_TIMEOUT_S,
            )

        return self._insert(insert, reference, shown)

    def insert_extract(
        self, table: Mapping[str, str], uri: str, configuration: Resource, reference: JobReference
    ) -> Resource:
        """Starts a job that writes a table to Cloud Storage; see insert_query."""
        source = self._library.TableReference.from_api_repr(dict(table))
        config = self._library.ExtractJobConfig.from_api_repr(configuration)

        def insert() -> Any:
            return self._client.extract_table(
                source,
                uri,
                job_config=config,
                job_id=reference.id,
                project=reference.project,
                location=reference.location,
                retry=None,
                timeout=REQUEST_TIMEOUT_S,
            )

        return self._insert(insert, reference, "")

    def _insert(self, insert: Callable[[], Any], reference: JobReference, shown: str) -> Resource:
        is_there = False

        def once() -> Any:
            nonlocal is_there
            if not is_there:
                try:
                    return insert()
                except Exception as error:
                    if code_of(error) != 409:
                        raise
                    is_there = True
            return self._get(reference)

        def retried(error: BaseException) -> bool:
            # Just after its making a job may be refused as duplicate and yet not be found.
            return is_transient(error) or (is_there and code_of(error) == 404)

        what = "the job is refused"
        return _resource(self._call("starting the job", once, what, str(reference), shown, retried))

    def _get(self, reference: JobReference) -> Any:
        return self._client.get_job(
            reference.id,
            project=reference.project,
            location=reference.location,
            retry=None,
            timeout=REQUEST_TIMEOUT_S,
        )

    def job(self, reference: JobReference) -> Resource:
        """The job's resource as it is now.

        Raises:
            HayateError: the service cannot be asked, or has no such job.
        """
        what = "the job cannot be watched"
        return _resource(
            self._call("asking for the job", lambda: self._get(reference), what, str(reference))
        )

    def cancel(self, reference: JobReference) -> bool:
        """Asks a job to end; whether there is one."""

        def cancel() -> bool:
            try:
                self._client.cancel_job(
                    reference.id,
                    project=reference.project,
                    location=reference.location,
                    retry=None,
                    timeout=REQUEST_TIMEOUT_S,
                )
            except Exception as error:
                if code_of(error) == 404:
                    return False
                raise
            return True

        what = "the job cannot be cancelled"
        return bool(self._call("cancelling the job", cancel, what, str(reference)))

    def table(self, path: Mapping[str, str]) -> Resource | None:
        """The table's resource; None if there is no such table.

        Raises:
            HayateError: it cannot be asked for.
        """
        reference = self._library.TableReference.from_api_repr(dict(path))

        def get() -> Any:
            try:
                return self._client.get_table(reference, retry=None, timeout=REQUEST_TIMEOUT_S)
            except Exception as error:
                if code_of(error) == 404:
                    return None
                raise

        name = ".".join(path[part] for part in ("projectId", "datasetId", "tableId"))
        found = self._call("reading a table's description", get, "the table is refused", name)
        return None if found is None else dict(found.to_api_repr())

    def _call(
        self,
        doing: str,
        call: Callable[[], Any],
        what: str,
        object_name: str = "",
        sql: str = "",
        retried: Callable[[BaseException], bool] = is_transient,
    ) -> Any:
        try:
            return self.retries.call(doing, call, retried)
        except Exception as error:
            raise from_exception(error, what, Where(object=object_name), sql) from None


def _resource(job: Any) -> Resource:
    """The job as the REST API has it. The client's class leaves out what it has set itself
    (to_api_repr of a query job has neither its status nor its statistics)."""
    return dict(job._properties)


def query_configuration(
    parameters: Sequence[Mapping[str, Any]],
    *,
    max_bytes_billed: int | None = None,
    labels: Mapping[str, str] | None = None,
    priority: str = "INTERACTIVE",
) -> Resource:
    """The configuration of a query job, as the REST API has it."""
    query: Resource = {
        "useLegacySql": False,
        "priority": priority,
    }
    if parameters:
        query["queryParameters"] = [dict(one) for one in parameters]
    if max_bytes_billed is not None:
        query["maximumBytesBilled"] = str(max_bytes_billed)
    return {"query": query, "labels": dict(labels or {})}
