"""Credentials are used, and seen nowhere: not in what is said, stored, logged, sent or raised."""

from __future__ import annotations

import base64
import json
import pickle
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google.oauth2.credentials
import pytest
from bigquery.reads import Child, Reads, expected_numbers, numbers
from emulators import faults
from emulators.credentials import Credentials
from emulators.http_service import Call
from emulators.jobs import JobError, JobPlan

from hayate.errors import HayateError
from hayate.google import credentials as own_credentials

ROWS = 200
PLAN = JobPlan(running_polls=0, shards=2)


def write_user(credentials: Credentials, path: Path) -> Path:
    """A user's file, as gcloud writes it, with a refresh token."""
    user = {
        "type": "authorized_user",
        "client_id": "1.apps.example",
        "client_secret": f"client-{credentials.secret}",
        "refresh_token": f"refresh-{credentials.secret}",
    }
    path.write_text(json.dumps(user))
    return path


KINDS: dict[str, Callable[[Credentials, Path], Path | None]] = {
    "service account": lambda made, path: made.write_service_account(path),
    "federation": lambda made, path: made.write_federation(path),
    "impersonation": lambda made, path: made.write_federation(path, impersonates=True),
    "user": write_user,
    "metadata server": lambda made, path: None,
}


def some_quick(names: Iterable[str], *quick: str) -> list[Any]:
    """Parameters of a test: all but `quick` are of the longer set."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.all) for name in names]


@dataclass
class Secrets:
    """The services with real credentials, and a search for these in everything.

    Attributes:
        reads: the stand-ins; both ask for tokens.
        credentials: makes them.
    """

    reads: Reads
    credentials: Credentials

    def needles(self) -> list[bytes]:
        """What may be found nowhere: each secret, as it is and as parts of it are encoded."""
        key = "".join(self.credentials.private_key().splitlines()[1:-1])
        lines = [key[at : at + 40] for at in range(0, len(key), 64)]
        # Every token has it, and so have the refresh token, the subject token and the key's id.
        secret = self.credentials.secret
        # Of base64 the middle does not depend on what is around it.
        encoded = [base64.b64encode(b"x" * skip + secret.encode())[8:-8].decode() for skip in
                   range(3)]  # fmt: skip
        return [text.encode() for text in (secret, *encoded, *lines)]

    def assert_not_in(self, data: bytes, place: str) -> None:
        for needle in self.needles():
            at = data.find(needle)
            assert at < 0, f"{place} has a secret: …{data[max(0, at - 80) : at]!r}"

    def assert_not_in_error(self, error: BaseException) -> None:
        """Not in its text, its notes, its causes, its attributes, nor in how it is printed."""
        seen: list[BaseException] = []
        one: BaseException | None = error
        while one is not None and one not in seen:
            seen.append(one)
            texts = [str(one), repr(one), repr(vars(one)), *getattr(one, "__notes__", ())]
            self.assert_not_in("\n".join(texts).encode(), type(one).__name__)
            one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        self.assert_not_in("".join(traceback.format_exception(error)).encode(), "the traceback")
        self.assert_not_in(pickle.dumps(error), "the pickled error")

    def assert_nowhere(self, said: str = "") -> None:
        """Searches what was said, sent, and is in the files below the working directory."""
        self.assert_not_in(said.encode(), "what was said")
        self.assert_not_in("".join(self.reads.errors.readouterr()).encode(), "the output")
        for path in self.reads.folder.rglob("*"):
            if path.is_file() and path.parent.name != "identity":
                self.assert_not_in(path.read_bytes(), str(path))
        for server in (self.reads.big_query, self.reads.proxy):
            for call in server.calls():
                self.assert_not_in(call.target.encode(), "a URL")
                self.assert_not_in(call.body, f"the body of {call.method} {call.path}")
                for name, value in call.headers.items():
                    if name.lower() != "authorization":
                        self.assert_not_in(value.encode(), f"the header {name}")


@pytest.fixture(params=["service account"])
def secrets(
    request: pytest.FixtureRequest,
    reads: Reads,
    credentials: Credentials,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Secrets]:
    folder = tmp_path / "identity"
    folder.mkdir()
    monkeypatch.setenv("HAYATE_EMULATOR_CREDENTIALS", "1")
    # No other identity of the machine's.
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(folder / "gcloud"))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setattr(
        google.oauth2.credentials, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{credentials.endpoint}/token"
    )
    monkeypatch.setattr(own_credentials, "RENEWAL", own_credentials.dt.timedelta(0))
    path = KINDS[request.param](credentials, folder / "file.json")
    if path is not None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"):
        monkeypatch.setenv(name, credentials.host)
    reads.big_query.good_tokens = credentials.good
    reads.proxy.good_tokens = credentials.good
    yield Secrets(reads, credentials)
    reads.big_query.good_tokens = reads.proxy.good_tokens = None


@pytest.mark.parametrize("secrets", KINDS, indirect=True)
def test_each_kind_of_credentials_reads_and_is_seen_nowhere(secrets: Secrets) -> None:
    reads = secrets.reads
    found = reads.read(numbers(ROWS), PLAN, format="csv", keep_export=True)
    assert found.equals(expected_numbers(ROWS))
    assert secrets.credentials.tokens
    sent = {call.headers["Authorization"] for call in reads.proxy.calls()}
    assert sent <= {f"Bearer {token}" for token in secrets.credentials.tokens}
    for name in reads.objects():
        secrets.assert_not_in(reads.storage.read(reads.bucket, name), name)
    secrets.assert_nowhere()


def echo_of(secrets: Secrets) -> str:
    """What a bad proxy would put into its answers: what it was sent."""
    token = secrets.credentials.tokens[-1]
    return f"cannot serve Authorization: Bearer {token} (access_token={token}) to you"


@dataclass
class Echo:
    """Once there is a token: adds the fault whose answer repeats it."""

    secrets: Secrets
    path: str
    status: int
    times: int | None
    on_storage: bool
    added: threading.Event = field(default_factory=threading.Event)
    fault: faults.Fault | None = None

    @property
    def was_met(self) -> bool:
        """Whether a call was answered so."""
        return self.fault is not None and self.fault.seen > 0

    def __call__(self, call: Call) -> None:
        if self.added.is_set():
            return
        self.added.set()
        reads = self.secrets.reads
        server = reads.proxy if self.on_storage else reads.big_query
        text = echo_of(self.secrets)
        # A 403 by another reason is worth many attempts.
        reason = "forbidden" if self.status == 403 else faults.REASONS[self.status]
        body = json.dumps(faults.error_body(self.status, reason, text))
        self.fault = faults.answer(
            self.path,
            self.status,
            times=self.times,
            body=body.encode(),
            headers={"WWW-Authenticate": text, "X-Echo": text},
        )
        server.faults.add(self.fault)


STORAGE_PATHS = {
    "bucket": r"/storage/v1/b/[^/]+(\?|$)",
    "lease": r"/upload/",
    "list": r"/o\?",
    "media": "alt=media",
    "delete": r"/batch/",
}


@pytest.mark.parametrize("path", some_quick(STORAGE_PATHS, "media"))
@pytest.mark.parametrize(("status", "times"), [(503, 1), (401, None), (403, None), (404, None)])
def test_cloud_storage_that_repeats_the_token_in_its_answers(
    secrets: Secrets, path: str, status: int, times: int | None
) -> None:
    echo = Echo(secrets, STORAGE_PATHS[path], status, times, on_storage=True)
    secrets.reads.proxy.before = echo
    check_read(secrets, numbers(ROWS), PLAN)
    assert echo.was_met


BIGQUERY_PATHS = {"insert": r"/jobs(\?|$)", "poll": r"/jobs/hayate_"}


@pytest.mark.parametrize("path", some_quick(BIGQUERY_PATHS, "insert"))
@pytest.mark.parametrize(("status", "times"), [(503, 1), (400, None), (401, None), (403, None)])
def test_bigquery_that_repeats_the_token_in_its_answers(
    secrets: Secrets, path: str, status: int, times: int | None
) -> None:
    echo = Echo(secrets, BIGQUERY_PATHS[path], status, times, on_storage=False)
    secrets.reads.proxy.before = echo
    # The second read has a token from its first call on.
    check_read(secrets, numbers(ROWS), PLAN)
    check_read(secrets, numbers(ROWS + 1), PLAN)
    assert echo.was_met


def check_read(secrets: Secrets, sql: str, plan: JobPlan) -> HayateError | None:
    """Reads, and looks for secrets in the error, if there is one."""
    try:
        secrets.reads.read(sql, plan)
    except HayateError as error:
        secrets.assert_not_in_error(error)
        raised: HayateError | None = error
    else:
        raised = None
    secrets.reads.big_query.settings.plans.clear()
    secrets.assert_nowhere()
    return raised


def test_failing_job_that_repeats_the_token(secrets: Secrets) -> None:
    secrets.reads.read(numbers(3), PLAN)
    plan = JobPlan(running_polls=0, error=JobError("invalidQuery", f"{echo_of(secrets)} at [1:3]"))
    error = check_read(secrets, numbers(ROWS), plan)
    assert error is not None and "cannot serve" in str(error)


@pytest.mark.parametrize("way", ["reset", "short", "flip"])
def test_broken_transfers(secrets: Secrets, way: str) -> None:
    make = {"reset": faults.reset, "short": faults.short, "flip": faults.flip}[way]
    secrets.reads.proxy.faults.add(make("alt=media", 500))
    assert check_read(secrets, numbers(ROWS), PLAN) is None


@pytest.mark.parametrize("secrets", KINDS, indirect=True)
@pytest.mark.parametrize("status", [400, pytest.param(403, marks=pytest.mark.all)])
def test_identity_service_that_refuses_and_repeats_what_it_was_sent(
    secrets: Secrets, status: int
) -> None:
    secret, key = secrets.credentials.secret, secrets.credentials.private_key()
    text = f"assertion=eyJhbGciOi.{secret} refresh_token=refresh-{secret} {key}"
    answer = {
        "error": "invalid_grant",
        "error_description": f"{text} subject_token=subject-{secret}",
    }
    secrets.credentials.faults.add(
        faults.answer("token|Token", status, times=None, body=json.dumps(answer).encode())
    )
    error = check_read(secrets, numbers(ROWS), PLAN)
    assert error is not None and error.fix
    assert secrets.reads.jobs() == []


def test_key_file_that_cannot_be_read_is_not_shown(secrets: Secrets) -> None:
    path = secrets.reads.folder / "identity" / "file.json"
    whole = path.read_text()
    key = json.loads(whole)
    for text in (
        whole[:-2],
        json.dumps({**key, "private_key": key["private_key"][:200]}),
        json.dumps({name: value for name, value in key.items() if name != "client_email"}),
    ):
        path.write_text(text)
        error = check_read(secrets, numbers(ROWS), PLAN)
        assert error is not None and error.fix


def test_process_of_its_own_that_dies_of_an_error_shows_nothing(secrets: Secrets) -> None:
    """All that Python prints of an exception that nobody catches."""
    reads = secrets.reads
    reads.read(numbers(3), PLAN)
    reads.proxy.faults.add(
        faults.answer("alt=media", 403, times=None, reason="forbidden", message=echo_of(secrets))
    )
    reads.big_query.plan_next(PLAN)
    child: Child = reads.start(numbers(ROWS))
    try:
        assert child.wait() == 1 and "Traceback" in child.said
    finally:
        child.end()
    secrets.assert_nowhere(child.said)


JOB = """
import hayate as hy

clicks = hy.bigquery("{sql}", export="gs://{bucket}/folder", project="test-project")


@hy.stage
def all_of_it(clicks):
    return clicks


hy.output(all_of_it, "out.csv")
"""


@pytest.mark.all
def test_run_of_a_job_with_its_log_and_its_record(secrets: Secrets, project: Any) -> None:
    reads = secrets.reads
    reads.read(numbers(3), PLAN)
    sql = " ".join(numbers(ROWS).split())
    project.write("job.py", JOB.format(sql=sql, bucket=reads.bucket))
    echo = echo_of(secrets)
    reads.proxy.faults.add(faults.answer("alt=media", 503, message=echo))
    reads.big_query.faults.add(faults.answer(r"/jobs/hayate_", 503, method="GET", message=echo))
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert list((project.folder / ".hayate" / "runs").glob("*/run.json"))
    secrets.assert_nowhere(ran.out + ran.err)
    # And one that fails, in the plan and in the run.
    project.write("job.py", JOB.format(sql=sql.replace("text", "word"), bucket=reads.bucket))
    refusal = faults.answer("alt=media", 403, times=None, reason="forbidden", message=echo)
    reads.proxy.faults.add(refusal)
    ran = project.hayate("run", "job.py")
    assert ran.code == 1 and "clicks" in ran.err
    secrets.assert_nowhere(ran.out + ran.err)
    reads.big_query.faults.add(
        faults.answer(r"/jobs(\?|$)", 403, times=None, reason="accessDenied", message=echo)
    )
    ran = project.hayate("plan", "job.py")
    assert ran.code != 0
    secrets.assert_nowhere(ran.out + ran.err)


def test_search_finds_what_it_looks_for(secrets: Secrets) -> None:
    """Else every test above would pass whatever was shown."""
    secrets.reads.read(numbers(3), PLAN)
    token = secrets.credentials.tokens[-1]
    (secrets.reads.folder / "leak").write_text(f"x{token}")
    with pytest.raises(AssertionError, match="leak has a secret"):
        secrets.assert_nowhere()
    with pytest.raises(AssertionError, match="has a secret"):
        secrets.assert_not_in_error(HayateError(f"Bearer {token}"))
    line = secrets.credentials.private_key().splitlines()[3]
    with pytest.raises(AssertionError, match="has a secret"):
        secrets.assert_not_in(line.encode(), "a text")
    with pytest.raises(AssertionError, match="has a secret"):
        secrets.assert_not_in(base64.b64encode(f"Bearer {token}".encode()), "a text")
