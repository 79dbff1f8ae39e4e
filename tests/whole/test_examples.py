"""The examples, run as their readers run them."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
CTR = ROOT / "examples" / "ctr"
FLIGHTS = ROOT / "examples" / "flights"
FLIGHT_DATA = ROOT.parent / "shared" / "data" / "flight_data.csv.gz"
ROWS = 20_000


def load(path: Path) -> ModuleType:
    """A module of an example, by its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def python(script: Path, *words: str | Path) -> str:
    command = [sys.executable, str(script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def export(tmp_path_factory) -> Path:
    """A small export."""
    folder = tmp_path_factory.mktemp("ctr") / "data"
    python(CTR / "generate.py", "--rows", str(ROWS), "--shards", "3", "--out", folder)
    return folder


@pytest.fixture(scope="session")
def before(export, tmp_path_factory) -> Path:
    """What the job writes without hayate."""
    out = tmp_path_factory.mktemp("before")
    python(CTR / "before.py", "--data", export, "--out", out, "--timings", out / "timings.json")
    return out


@pytest.fixture(scope="session")
def ctrlib() -> ModuleType:
    return load(CTR / "ctrlib.py")


@pytest.fixture(scope="session")
def clicks(export, ctrlib) -> pd.DataFrame:
    clicks: pd.DataFrame = load(CTR / "before.py").extract(export)
    return clicks


def test_export_has_the_dialect_of_bigquery(export):
    names = sorted(path.name for path in export.glob("clicks-*"))
    assert names == [f"clicks-{number:012d}.csv.gz" for number in range(3)]
    texts = [gzip.decompress((export / name).read_bytes()).decode() for name in names]
    assert all(text.startswith("event_id,ts,user_id,item_id,category,") for text in texts)
    everything = "".join(texts)
    assert ',"",' in everything  # the empty string
    assert ',"sofas, armchairs",' in everything
    assert ',"TVs 50""-65""",' in everything
    assert ',"garden\ntools",' in everything
    assert ",本・雑誌," in everything
    times = pd.read_csv(export / names[0])["ts"]
    assert times.str.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{0,5}[1-9])? UTC").all()
    assert times.str.len().nunique() >= 5


def test_export_is_the_same_for_the_same_seed(export, tmp_path):
    python(CTR / "generate.py", "--rows", str(ROWS), "--shards", "3", "--out", tmp_path / "again")
    python(CTR / "generate.py", "--rows", "100", "--seed", "8", "--out", tmp_path / "other")
    for path in export.glob("*.csv.gz"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert len(list((tmp_path / "other").glob("clicks-*"))) == 16


def test_generator_leaves_a_folder_of_others_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    command = [sys.executable, str(CTR / "generate.py"), "--rows", "10", "--shards", "1"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "give another --out" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_features_of_some_users_are_those_of_all(clicks, ctrlib):
    whole = ctrlib.user_features(clicks)
    part_of = clicks["user_id"] % 5
    parts = [
        ctrlib.user_features(clicks[part_of == part].reset_index(drop=True))
        for part in sorted(part_of.unique())
    ]
    pd.testing.assert_frame_equal(
        pd.concat(parts).sort_values("event_id", ignore_index=True),
        whole.sort_values("event_id", ignore_index=True),
        check_exact=True,
    )


def test_features_do_not_see_what_comes_later(clicks, ctrlib):
    until = clicks["ts"].sort_values(ignore_index=True).iloc[ROWS // 2]
    later = clicks["ts"] > until
    other = clicks.assign(clicked=clicks["clicked"] ^ later)
    columns = ctrlib.USER_FEATURES
    known = ctrlib.user_features(clicks).set_index("event_id")[columns]
    unknown = ctrlib.user_features(other).set_index("event_id")[columns]
    early = clicks.loc[~later, "event_id"]
    pd.testing.assert_frame_equal(known.loc[early], unknown.loc[early], check_exact=True)
    assert not known.equals(unknown)


def test_windows_count_what_a_plain_loop_counts(clicks, ctrlib):
    user = clicks["user_id"].value_counts().index[3]
    log = clicks[clicks["user_id"] == user]
    features = ctrlib.user_features(log.reset_index(drop=True)).set_index("event_id")
    for row in log.sample(25, random_state=1).itertuples():
        week = log[(log["ts"] < row.ts) & (log["ts"] >= row.ts - pd.Timedelta(days=7))]
        same = week[week["category"].fillna("") == ("" if pd.isna(row.category) else row.category)]
        got = features.loc[row.event_id]
        assert got["rate_7d"] == (week["clicked"].sum() + 5) / (len(week) + 25)
        assert got["category_rate_7d"] == (same["clicked"].sum() + 5) / (len(same) + 25)


def test_both_ways_predict_the_same_row_by_row(export, before, project):
    out = project.folder / "out"
    words = ["--set", f"data={export}", "--set", f"out={out}", "--store", project.folder / "store"]
    ran = project.hayate("run", CTR / "job.py", *words)
    assert ran.code == 0, ran.err
    ours = pd.read_parquet(out / "scores.parquet").sort_values("event_id", ignore_index=True)
    theirs = pd.read_parquet(before / "scores.parquet").sort_values("event_id", ignore_index=True)
    assert len(ours) == ROWS
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    as_text = pd.read_csv(out / "scores.csv").sort_values("event_id", ignore_index=True)
    np.testing.assert_allclose(as_text["score"], ours["score"], rtol=1e-15)
    measured = json.loads((before / "timings.json").read_text())["metrics"]
    assert measured["auc"] > 0.6
    assert f"auc {measured['auc']:.6g}" in ran.out + ran.err
    assert not list(CTR.glob(".hayate"))


@pytest.mark.skipif(not FLIGHT_DATA.exists(), reason="the real table is not beside the checkout")
def test_flights_runs_on_the_real_table(project):
    # Relative to where the command is started, as a shell completes it.
    data = os.path.relpath(FLIGHT_DATA, project.folder)
    out = project.folder / "out"
    words = ["--set", f"data={data}", "--set", "out=out", "--store", project.folder / "s"]
    ran = project.hayate("run", FLIGHTS / "job.py", *words)
    assert ran.code == 0, ran.err
    delays = pd.read_csv(out / "delays.csv")
    table = pd.read_csv(FLIGHT_DATA, dtype=str)
    real = table[(table["DAY"] == "4") & table["ARRIVAL_DELAY"].notna()]
    assert len(delays) == len(real)
    assert sorted(delays["delay_min"]) == sorted(real["ARRIVAL_DELAY"].astype(float))
    error = (delays["delay_min"] - delays["predicted_min"]).abs().mean()
    assert error < 0.9 * (delays["delay_min"] - delays["delay_min"].median()).abs().mean()


@pytest.mark.all
def test_native_program_links_the_installed_library(export, tmp_path):
    def cmake(*words: str | Path) -> None:
        done = subprocess.run(
            ["cmake", *map(str, words)], capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    prefix, build = tmp_path / "prefix", tmp_path / "build"
    cmake("--install", ROOT / "build" / "dev", "--prefix", prefix)
    source = ROOT / "examples" / "native"
    cmake("-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
    cmake("--build", build)

    out = tmp_path / "out"
    program = [str(build / "user_totals"), str(out), str(export / "clicks-*.csv.gz")]
    env = {"PATH": os.devnull}  # no Python to be found
    done = subprocess.run(program, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{ROWS} impressions" in done.stdout

    manifest = json.loads((out / "totals" / "frame.json").read_text())
    parts = [pd.read_feather(out / "totals" / part["file"]) for part in manifest["parts"]]
    totals = pd.concat(parts).sort_values("user_id", ignore_index=True)
    log = pd.concat([pd.read_csv(path) for path in sorted(export.glob("clicks-*"))])
    users = log.groupby("user_id")
    assert totals["user_id"].tolist() == list(users.groups)
    assert totals["shown"].tolist() == users.size().tolist()
    assert totals["clicks"].tolist() == users["clicked"].sum().tolist()
    spent = (log["price"] * log["clicked"]).groupby(log["user_id"]).sum()
    np.testing.assert_allclose(totals["spent"], spent, rtol=1e-12)

    missing = subprocess.run(
        [program[0], str(out), str(export / "none-*.csv.gz")],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert missing.returncode == 1
    assert "none-*.csv.gz" in missing.stderr
