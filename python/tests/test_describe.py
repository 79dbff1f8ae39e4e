"""The job description and the planner that gives it to the supervisor."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_files import HEAD, load, write

from hayate.describe import describe, parse_as_of
from hayate.errors import UsageError
from hayate.location import Location
from hayate.paths import absolute, fill
from hayate.planner import serve
from hayate.protocol import Channel

SHOP = """
import pandas as pd
day = hy.param(dt.date)
clicks = hy.csv("data/{day:%Y}/clicks-*.csv.gz", schema={"user_id": "INT64"}, null_values="NA")
items = hy.parquet(["/abs/items.parquet"], columns=["id"], min_rows=5, allow_empty=False)

@hy.stage(partition_by="user_id")
def features(clicks: pd.DataFrame, items, day):
    return clicks

def fit(features, k, extra):
    return {"k": k}
model = hy.stage(fit, name="model", inputs={"k": 3, "extra": [1, 2]})

@hy.stage(rows=200_000, cores=2)
def scores(features, model):
    return features

hy.output(scores, "out/{day}.parquet")
"""


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    return describe(load(tmp_path, SHOP, day="2026-11-24"))


def test_sources_have_absolute_paths_with_parameters_filled_in(tmp_path, shop):
    clicks, items = shop["nodes"][:2]
    assert clicks == {
        "kind": "source",
        "name": "clicks",
        "format": "csv",
        "paths": [f"{tmp_path}/data/2026/clicks-*.csv.gz"],
        "options": {"schema": {"user_id": "INT64"}, "null_values": ["NA"]},
        "allow_empty": False,
        "min_rows": 0,
        "line": 5,
    }
    assert items["paths"] == ["/abs/items.parquet"] and items["min_rows"] == 5
    assert items["options"] == {"columns": ["id"]}


def test_stages_say_how_they_are_split_started_and_what_they_read(shop):
    features, model, scores = shop["nodes"][2:]
    assert (features["mode"], features["by"], features["split"]) == (
        "partition",
        ["user_id"],
        ["clicks"],
    )
    assert [one["start"] for one in (features, model, scores)] == ["fork", "exec", "exec"]
    assert features["inputs"] == [
        {"param": "clicks", "node": "clicks", "output": 0, "as": None},
        {"param": "items", "node": "items", "output": 0, "as": None},
        {"param": "day", "value": {"type": "date", "value": "2026-11-24"}},
    ]
    assert model["inputs"][1] == {"param": "k", "value": {"type": "int", "value": 3}}
    assert model["inputs"][2]["value"]["type"] == "constant"
    assert (scores["mode"], scores["rows"], scores["cores"]) == ("rows", 200_000, 2)
    assert "features()" in features["code"] and features["code"]["pandas"]


def test_the_job_is_described_whole(tmp_path, shop):
    assert shop["job"] == str(tmp_path / "job.py") and shop["name"] == "job"
    assert shop["params"] == [{"name": "day", "type": "date", "value": "2026-11-24"}]
    assert shop["outputs"] == [
        {"node": "scores", "output": 0, "path": f"{tmp_path}/out/2026-11-24.parquet", "line": 20}
    ]
    assert "pandas" in shop["preload"] and "hayate" not in shop["preload"]
    assert json.loads(json.dumps(shop)) == shop


def test_a_constant_has_a_digest_of_its_content(tmp_path):
    def digest(text: str) -> str:
        described = describe(load(tmp_path, SHOP.replace("[1, 2]", text), day="2026-11-24"))
        return str(described["nodes"][3]["inputs"][2]["value"]["value"])

    assert digest("[1, 2]") == digest("[1] + [2]") != digest("[1, 3]")


def test_preload_names_installed_modules_only(tmp_path):
    write(tmp_path, "import numpy.linalg\nimport json\n", "shoplib.py")
    described = describe(
        load(tmp_path, "import shoplib, collections\n@hy.stage\ndef s(): return 1\n")
    )
    assert described["preload"] == ["numpy.linalg"]


HERE = Location("job.py", 1, {})


@given(st.dates(dt.date(1000, 1, 1)), st.text(st.characters(blacklist_characters="{}")))
def test_paths_are_filled_as_format_does(day, text):
    assert fill(text + "{day}", {"day": day}, HERE) == text + day.isoformat()
    assert fill("{day:%Y%m%d}" + text, {"day": day}, HERE) == day.strftime("%Y%m%d") + text
    assert fill("{{" + text + "}}", {}, HERE) == "{" + text + "}"


@pytest.mark.parametrize(
    "path", ["{dya}", "{}", "{day", "{day!r}", "{day.year}", "{n:%Y}", "{none}"]
)
def test_a_path_that_cannot_be_filled_is_told(path):
    given_values = {"day": dt.date(2026, 11, 24), "n": 3, "none": None}
    with pytest.raises(UsageError) as caught:
        fill(path, given_values, HERE)
    assert path in caught.value.what and caught.value.fix
    assert caught.value.where.line == 1


def test_a_directory_with_signs_of_a_pattern_is_taken_as_it_is():
    assert absolute("a*.csv", "/x[1]", is_pattern=True) == "/x[[]1]/a*.csv"
    assert absolute("./a.csv", "/x[1]", is_pattern=False) == "/x[1]/a.csv"
    assert absolute("../a.csv", "/x", is_pattern=False) == "/x/../a.csv"


def test_outputs_that_meet_by_a_parameter_are_told(tmp_path):
    text = """
    k = hy.param(str)
    @hy.stage
    def s(): ...
    hy.output(s, "{k}.csv")
    hy.output(s, "a.csv")
    """
    with pytest.raises(UsageError, match="two outputs"):
        describe(load(tmp_path, text, k="a"))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-24T00:00:00Z", dt.datetime(2026, 11, 24, tzinfo=dt.UTC)),
        ("2026-11-24T09:00:00+09:00", dt.datetime(2026, 11, 24, tzinfo=dt.UTC)),
        ("2026-11-24", dt.datetime(2026, 11, 24, tzinfo=dt.UTC)),
        (0, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (None, None),
    ],
)
def test_the_instant_of_a_run_is_read(text, instant):
    assert parse_as_of(text) == instant


def ask(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What a planner says to these messages, its hello first."""
    ours, theirs = socket.socketpair()
    served = threading.Thread(target=serve, args=(Channel(theirs),))
    served.start()
    channel = Channel(ours)
    answers = [channel.receive()]
    for message in messages:
        channel.send(message)
        answers.append(channel.receive())
    channel.send({"type": "exit"})
    served.join(timeout=60)
    assert not served.is_alive()
    channel.close()
    theirs.close()
    return [one for one in answers if one is not None]


def test_the_planner_describes_a_job_over_its_socket(tmp_path):
    path = write(tmp_path, SHOP)
    task = {"type": "task", "kind": "describe", "job": str(path), "as_of": "2026-11-24T00:00:00Z"}
    hello, done, failed = ask(
        {**task, "id": 7, "set": {"day": "2026-11-24"}}, {**task, "id": 8, "set": {}}
    )
    assert (hello["type"], hello["role"]) == ("hello", "planner")
    assert (done["type"], done["task"]) == ("done", 7)
    assert done["result"]["nodes"][0]["name"] == "clicks"
    assert done["usage"]["max_rss_bytes"] > 0
    assert (failed["type"], failed["task"]) == ("failed", 8)
    assert failed["error"]["fault"] == "usage" and "--set day=" in failed["error"]["fix"]


@pytest.mark.parametrize("body", ["raise ValueError('x')", "import sys; sys.exit(1)", "def f(:"])
def test_the_planner_outlives_what_a_job_file_raises(tmp_path, body):
    path = tmp_path / "job.py"
    path.write_text(HEAD + body + "\n")
    _, failed = ask({"type": "task", "id": 1, "kind": "describe", "job": str(path), "set": {}})
    error = failed["error"]
    assert error["fault"] == "user_code" and error["where"]["object"] == str(path)
    assert error["where"]["line"] == 3 and "job.py" in error["traceback"]


def test_the_planner_knows_no_other_task():
    _, failed = ask({"type": "task", "id": 1, "kind": "stage"})
    assert failed["error"]["fault"] == "internal"
