"""hayate.doctor.screen and secrets_in_use: what is shown fits, and shows no credential."""

from __future__ import annotations

import io
import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayate.doctor.finding import LEVELS, Finding, Results
from hayate.doctor.screen import (
    MARKS,
    WIDTH,
    Screen,
    display_width,
    has_colour,
    to_json,
    wrapped,
)
from hayate.doctor.secrets_in_use import SecretsInUse

SECRET = "xK9-planted/secret+Qz7"
KEY = (
    "-----BEGIN PRIVATE KEY-----\nMIIEplantedPlanted0001\nMIIEplantedPlanted0002\n-----END KEY-----"
)
LOOKALIKES = ("ya29.planted-token", "Bearer planted-bearer-token", "X-Goog-Signature=plantedsig0")

_LEVEL = st.sampled_from(LEVELS)
_PIECE = st.one_of(st.text(max_size=30), st.sampled_from([SECRET, *LOOKALIKES, "日本語の長い名前"]))
_TEXT = st.lists(_PIECE, max_size=8).map(" ".join)
_LONG = st.text(alphabet="abc/é日🚄\u0301\x1b\n\t", max_size=300)
_FINDING = st.builds(Finding, _LEVEL, _TEXT | _LONG, _TEXT | _LONG, _TEXT | _LONG)


def _screen(findings: list[Finding], *, colour: bool = False) -> str:
    file = io.StringIO()
    secrets = SecretsInUse([SECRET])
    screen = Screen(file, secrets.remove_from, colour=colour)
    screen.show("Machine", findings)
    screen.close(Results({"Machine": findings}), [f"a note with {SECRET}"])
    return file.getvalue()


@given(st.lists(_FINDING, min_size=1, max_size=4))
def test_no_line_is_wider_than_the_screen_and_none_shows_a_secret(findings: list[Finding]) -> None:
    text = _screen(findings)
    for line in text.split("\n"):
        assert display_width(line) <= WIDTH, line
    assert "\x1b" not in text
    as_json = to_json(Results({"Machine": findings}), SecretsInUse([SECRET]).remove_from, "1")
    for shown in (text, as_json):
        assert SECRET not in shown
        for planted in ("planted-token", "planted-bearer-token", "plantedsig0"):
            assert planted not in shown
    assert len(json.loads(as_json)["findings"]) == len(findings)


@given(st.text(max_size=200), st.integers(2, 40))
def test_wrapping_keeps_every_character_but_blanks(text: str, width: int) -> None:
    lines = list(wrapped(text, width))
    assert all(0 < display_width(line) <= width or line for line in lines)
    assert all(display_width(line) <= width for line in lines)
    kept = [one for one in text if one in "".join(lines)]
    assert "".join("".join(lines).split()) == "".join(one for one in kept if not one.isspace())


def test_a_screen_as_people_see_it() -> None:
    findings = [
        Finding("ok", "cores", "16 of 64 may be used"),
        Finding("advice", "memory", "4.00 GiB", "Give more."),
        Finding("problem", "a name that is long", "it is broken", "Mend it."),
        Finding("skipped", "disk", "not looked at: there is none"),
    ]
    assert _screen(findings).splitlines()[:9] == [
        "Machine",
        "  ok       cores           16 of 64 may be used",
        "  advice   memory          4.00 GiB",
        "                             Give more.",
        "  PROBLEM  a name that is long",
        "                           it is broken",
        "                             Mend it.",
        "  -        disk            not looked at: there is none",
        "",
    ]
    assert "1 problem, 1 piece of advice" in _screen(findings)
    assert len(set(MARKS.values())) == len(LEVELS)


def test_colour_is_for_terminals_that_want_it() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert has_colour(Terminal(), {})
    assert not has_colour(Terminal(), {"NO_COLOR": "1"})
    assert not has_colour(Terminal(), {"TERM": "dumb"})
    assert not has_colour(io.StringIO(), {})
    coloured = _screen([Finding("problem", "x", "y")], colour=True)
    assert "\033[31;1mPROBLEM\033[0m" in coloured
    assert coloured.replace("\033[31;1m", "").replace("\033[0m", "") == _screen(
        [Finding("problem", "x", "y")]
    )


@pytest.mark.parametrize("kind", ["service_account", "authorized_user", "external_account"])
def test_secrets_of_a_file_are_known(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "key.json"
    content = {
        "type": kind,
        "private_key": KEY,
        "nested": [{"client_secret": SECRET, "refresh_token": "1//short-refresh"}],
        "client_email": "me@p.iam.gserviceaccount.com",
    }
    path.write_text(json.dumps(content))
    token_file = tmp_path / "token"
    token_file.write_text("a-token-of-the-pod\n")
    secrets = SecretsInUse.from_environment(
        {
            "HOME": str(tmp_path),
            "GOOGLE_APPLICATION_CREDENTIALS": str(path),
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
            "AWS_SESSION_TOKEN": "session-token-of-aws",
        }
    )
    text = (
        f"{SECRET} {KEY} MIIEplantedPlanted0002 1//short-refresh a-token-of-the-pod "
        "session-token-of-aws me@p.iam.gserviceaccount.com " + json.dumps(KEY)
    )
    shown = secrets.remove_from(text)
    for secret in (SECRET, "MIIEplanted", "short-refresh", "a-token-of-the-pod", "session-token"):
        assert secret not in shown
    assert "me@p.iam.gserviceaccount.com" in shown


def test_files_that_cannot_be_read_have_no_secrets(tmp_path: pathlib.Path) -> None:
    (tmp_path / "key.json").write_bytes(b"\xff{")
    secrets = SecretsInUse.from_environment(
        {"HOME": str(tmp_path), "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")}
    )
    assert secrets.remove_from("plain text") == "plain text"
