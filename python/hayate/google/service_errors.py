"""What BigQuery answers when it refuses, as errors that say what, where and what to do.

The kind of an error is its `reason`, a word that the REST API defines; no message is searched for
it. The position of a syntax error is the one thing that is in the message only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hayate.errors import HayateError, InputError, InterruptedRunError, UsageError, Where
from hayate.google.redaction import without_secrets

#: Reasons for which the same call may well succeed a little later.
TRANSIENT_REASONS = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "rateLimitExceeded",
        "jobRateLimitExceeded",
        "badGateway",
    }
)
#: Codes of HTTP, where there is no reason.
TRANSIENT_CODES = frozenset({408, 429, 500, 502, 503, 504})

_LOGIN = (
    "Log in by: gcloud auth application-default login; or set GOOGLE_APPLICATION_CREDENTIALS to "
    "the file of a service account or of a workload identity federation."
)
#: Reason → the kind of error and its remedy.
_BY_REASON: dict[str, tuple[type[HayateError], str]] = {
    "accessDenied": (
        UsageError,
        "Give this identity bigquery.jobs.create in the project (roles/bigquery.jobUser), "
        "bigquery.tables.getData on the tables that are read (roles/bigquery.dataViewer), "
        "updateData on those that are written (roles/bigquery.dataEditor), and "
        "storage.objects.create and delete on the bucket (roles/storage.objectUser).",
    ),
    "authError": (UsageError, _LOGIN),
    "billingNotEnabled": (UsageError, "Enable billing for the project."),
    "billingTierLimitExceeded": (UsageError, "Simplify the query, or read less."),
    "bytesBilledLimitExceeded": (
        UsageError,
        "Raise max_bytes_billed=, or read less: name the columns, and filter by the partition.",
    ),
    "duplicate": (UsageError, "Give the job another name."),
    "invalid": (UsageError, "Correct what it names."),
    "invalidQuery": (UsageError, "Correct the SQL."),
    "invalidUser": (UsageError, _LOGIN),
    "notFound": (
        InputError,
        "Check the name, and that location= is where the table is (US, EU, asia-northeast1, …).",
    ),
    "quotaExceeded": (
        InputError,
        "Wait until the quota is free again, or have it raised in the console (IAM & Admin, "
        "Quotas).",
    ),
    "rateLimitExceeded": (InputError, "Run it again later, or start fewer jobs at once."),
    "jobRateLimitExceeded": (InputError, "Run it again later, or start fewer jobs at once."),
    "required": (UsageError, "Give what it names."),
    "resourceInUse": (InputError, "Run it again later."),
    "resourcesExceeded": (
        InputError,
        "Read less at once: leave out ORDER BY, or split the query by a partition.",
    ),
    "responseTooLarge": (UsageError, "Read less, or use export=."),
    "stopped": (InterruptedRunError, "Run it again."),
    "tableUnavailable": (InputError, "Run it again later."),
    "timeout": (InputError, "Run it again, or read less."),
}
_BY_CODE = {
    400: "invalid",
    401: "authError",
    403: "accessDenied",
    404: "notFound",
    409: "duplicate",
    429: "rateLimitExceeded",
}
_MAX_MESSAGE = 2000


def reason_of(error: BaseException) -> str:
    """The reason that a service gave for an exception of Google's client, or empty."""
    errors = getattr(error, "errors", None)
    if isinstance(errors, (list, tuple)) and errors and isinstance(errors[0], Mapping):
        return str(errors[0].get("reason") or "")
    return ""


def code_of(error: BaseException) -> int:
    """The code of HTTP of an exception of Google's client, or 0."""
    try:
        return int(getattr(error, "code", 0) or 0)
    except (TypeError, ValueError):
        return 0


def is_transient(error: BaseException) -> bool:
    """Whether the call may be made again: the service is busy, or the connection was lost."""
    import requests.exceptions
    from google.auth import exceptions as auth_exceptions

    if isinstance(error, requests.exceptions.SSLError):
        return False
    lost = (
        ConnectionError,
        requests.exceptions.ConnectionError,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.Timeout,
        auth_exceptions.TransportError,
    )
    if isinstance(error, lost):
        return True
    return reason_of(error) in TRANSIENT_REASONS or code_of(error) in TRANSIENT_CODES


def from_exception(error: BaseException, what: str, where: Where, sql: str = "") -> HayateError:
    """The error of a call that failed.

    Args:
        error: of google.api_core, google.auth or requests.
        what: what was tried, as in "the query cannot be checked".
        where: the table, job or bucket it is about.
        sql: the user's text, in which a position may lie.
    """
    from google.auth import exceptions as auth_exceptions

    if isinstance(error, HayateError):
        return error
    # Of a retry that gave up: what it gave up on.
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        error = cause
    if isinstance(error, auth_exceptions.TransportError):
        return InputError(
            f"{what}: Google cannot be reached ({_shortened(str(error))})",
            where,
            "Check the network and the proxy settings, then run it again.",
        )
    if isinstance(error, auth_exceptions.GoogleAuthError):
        text = str(error.args[0]) if error.args else type(error).__name__
        return UsageError(f"{what}: the credentials were refused ({_shortened(text)})", fix=_LOGIN)
    reason = reason_of(error) or _BY_CODE.get(code_of(error), "")
    return from_reason(reason, _message(error), what, where, sql)


def _message(error: BaseException) -> str:
    """What the service says. An exception's own text has the request around it."""
    errors = getattr(error, "errors", None)
    if isinstance(errors, (list, tuple)) and errors and isinstance(errors[0], Mapping):
        return str(errors[0].get("message") or error)
    return str(getattr(error, "message", None) or error or type(error).__name__)


def from_job(result: Mapping[str, Any], what: str, where: Where, sql: str = "") -> HayateError:
    """The error of a job that ended with `errorResult`."""
    return from_reason(
        str(result.get("reason") or ""), str(result.get("message") or ""), what, where, sql
    )


def from_reason(reason: str, message: str, what: str, where: Where, sql: str = "") -> HayateError:
    """The error of a reason and a message of the service."""
    kind, remedy = _BY_REASON.get(reason, (InputError, "Run it again; see the message."))
    text = f"{what}: {_shortened(message)}" + (f" ({reason})" if reason else "")
    line, column = position(message) if reason == "invalidQuery" else (0, 0)
    if line:
        lines = sql.splitlines()
        if line <= len(lines):
            text += f"\n  {lines[line - 1]}\n  {' ' * (column - 1)}^"
        where = Where(object=where.object or "the SQL", line=line)
    return kind(text, where, remedy)


def position(message: str) -> tuple[int, int]:
    """Line and column, from 1, of "… at [3:15]" at the end of a message; zeros if there is none."""
    _, mark, rest = message.rpartition("[")
    inside, closing, _ = rest.partition("]")
    line, colon, column = inside.partition(":")
    if mark and closing and colon and line.isdecimal() and column.isdecimal():
        return int(line), int(column)
    return 0, 0


def _shortened(message: str) -> str:
    text = without_secrets(message).strip()
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + " …"
