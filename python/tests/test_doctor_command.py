"""python -m hayate.doctor, whole: exit codes, both forms, and no planted secret in either."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("google.auth", reason="google-auth is not installed")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hayate.command import program

TOKEN = "ya29.planted-access-token-0123456789"
PLAIN_TOKEN = "planted0plain0access0token"
TIMEOUT_S = 120


def _environment(home: pathlib.Path, **more: str) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("GOOGLE_", "AWS_", "CLOUDSDK"))
    }
    for name in ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        kept.pop(name, None)
    # No look at the metadata server of a machine of Google's.
    return {**kept, "HOME": str(home), "NO_GCE_CHECK": "true", **more}


def _doctor(
    folder: pathlib.Path, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "hayate.doctor", *words],
        cwd=folder,
        env=_environment(folder, **environment),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


class Answers(http.server.BaseHTTPRequestHandler):
    """A token, and refusals that repeat every credential of the request: the worst of servers."""

    token = TOKEN

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode(errors="replace")
        if self.path == "/token":
            self._reply(200, {"access_token": self.token, "expires_in": 3600})
            return
        self._refuse(body)

    def do_GET(self) -> None:
        self._refuse("")

    def _refuse(self, body: str) -> None:
        held = str(self.headers.get("Authorization")).removeprefix("Bearer ")
        message = f"no: {held} {body[:200]}"
        errors = [{"reason": "accessDenied", "message": message}]
        self._reply(403, {"error": {"code": 403, "message": message, "errors": errors}})

    def _reply(self, code: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def _serving(token: str) -> Iterator[str]:
    handler = type("WithToken", (Answers,), {"token": token})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_alone_it_looks_at_the_machine_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    ran = _doctor(tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert ran.stderr == ""
    for section in ("Machine", "Python", "Credentials"):
        assert f"{section}\n" in ran.stdout
    assert "\033" not in ran.stdout
    assert max(len(line) for line in ran.stdout.splitlines()) <= 100
    assert list(tmp_path.iterdir()) == []


def test_for_programs_it_is_json(tmp_path: pathlib.Path) -> None:
    ran = _doctor(tmp_path, "--json")
    found = json.loads(ran.stdout)
    assert found["level"] in ("skipped", "advice")
    names = {one["name"] for one in found["findings"]}
    assert {"cores", "memory", "disk", "/dev/shm", "Python", "hayate", "packages"} <= names
    assert {frozenset(one) for one in found["findings"]} == {
        frozenset({"section", "level", "name", "what", "remedy"})
    }


@pytest.mark.parametrize(
    "words",
    [
        ["--bucket", "shop"],
        ["--dataset", "clicks"],
        ["--set", "a=b"],
        ["--save", "x"],
        ["--no-such-option"],
        ["none.py"],
        ["none.py", "--set", "a"],
    ],
)
def test_wrong_use_is_2_and_says_what_to_write(tmp_path: pathlib.Path, words: list[str]) -> None:
    ran = _doctor(tmp_path, *words)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("hayate: error: ") and "fix:" in ran.stderr


def test_a_problem_is_1(tmp_path: pathlib.Path) -> None:
    (tmp_path / "job.py").write_text("raise ValueError('boom')\n")
    ran = _doctor(tmp_path, "job.py")
    assert ran.returncode == 1
    assert "PROBLEM  job file" in ran.stdout and "ValueError: boom" in ran.stdout
    assert "1 problem, " in ran.stdout


@pytest.mark.parametrize(("token", "form"), [(TOKEN, ["--json"]), (PLAIN_TOKEN, [])])
def test_no_planted_secret_is_shown(tmp_path: pathlib.Path, token: str, form: list[str]) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with _serving(token) as url:
        account = {
            "type": "service_account",
            "client_email": "nightly@shop.iam.gserviceaccount.com",
            "token_uri": f"{url}/token",
            "private_key": key.decode(),
            "private_key_id": "planted-key-id",
            "project_id": "shop",
        }
        path = tmp_path / "key.json"
        path.write_text(json.dumps(account))
        path.chmod(0o600)
        words = ["--bucket", "gs://shop-tokyo", "--dataset", "shop.clicks", "--probe", *form]
        ran = _doctor(
            tmp_path,
            *words,
            GOOGLE_APPLICATION_CREDENTIALS=str(path),
            BIGQUERY_EMULATOR_HOST=url,
            STORAGE_EMULATOR_HOST=url,
            HAYATE_EMULATOR_CREDENTIALS="1",
        )
    # What it saved counts as well.
    saved = [one for one in (tmp_path / ".hayate").rglob("*") if one.is_file()]
    assert [one.name for one in saved if one.name == "report.json"]
    shown = ran.stdout + ran.stderr + "".join(one.read_text() for one in saved)
    assert ran.returncode == 1, shown
    # It went so far that the token was in use: the answers repeat it.
    assert "nightly@shop.iam.gserviceaccount.com" in shown
    assert "[removed]" in shown
    squeezed = "".join(shown.split())
    for secret in (token, *key.decode().splitlines()[1:-1]):
        assert secret not in squeezed
    assert base64.b64encode(token.encode()).decode() not in squeezed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it(tmp_path: pathlib.Path, number: signal.Signals) -> None:
    (tmp_path / "job.py").write_text(
        "import threading\nopen('begun', 'w').close()\nthreading.Event().wait()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "hayate.doctor", "job.py"],
        cwd=tmp_path,
        env=_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pause = threading.Event()
    for _ in range(1200):
        if (tmp_path / "begun").exists():
            break
        pause.wait(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 128 + number
    assert (out, err) == ("", "")


def _command(folder: pathlib.Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as users have it, which starts the module."""
    words = ["doctor", "--json", "--set=a=b c", "job.py"]
    return subprocess.run(
        [program(), *words],
        cwd=folder,
        env=_environment(folder, **environment),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_the_command_hands_its_words_on_as_they_are(tmp_path: pathlib.Path) -> None:
    (tmp_path / "job.py").write_text("import hayate as hy\na = hy.param(int)\n")
    ran = _command(tmp_path, HAYATE_PYTHON=sys.executable)
    assert ran.returncode == 1 and ran.stderr == ""
    (job,) = [one for one in json.loads(ran.stdout)["findings"] if one["name"] == "job file"]
    assert "b c" in job["what"]


def test_a_python_that_lacks_hayate_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "hayate").mkdir()
    (tmp_path / "hayate" / "__init__.py").write_text("raise ImportError('no engine')\n")
    ran = _command(tmp_path, HAYATE_PYTHON=sys.executable, PYTHONPATH=str(tmp_path))
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith(f"hayate: error: {sys.executable} cannot import hayate: no engine")
    assert "HAYATE_PYTHON" in ran.stderr


def test_a_python_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    ran = _command(tmp_path, HAYATE_PYTHON="/nowhere/python")
    assert ran.returncode != 0
    assert "/nowhere/python" in ran.stderr and "cannot be started" in ran.stderr
