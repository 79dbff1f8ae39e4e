"""What of a store a run trusts: damage, restarts of the machine, runs that were cut short."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

JOB = """
import os
import hayate as hy

data = hy.csv("data/*.csv.gz")


@hy.stage(partition_by="user_id")
def features(data):
    return data.assign(twice=data["price"] * 2)


@hy.stage(rows=40)
def scores(features):
    if os.path.exists("broken"):
        raise ValueError("not today")
    return features[["event_id", "twice"]]


hy.output(scores, "out/scores.csv")
"""


@pytest.fixture
def stored(project, clicks):
    """A folder in which the job ran to its end."""
    for shard in range(2):
        project.write_gzip(f"data/a-{shard}.csv.gz", clicks(60 * shard, 60))
    (project.folder / "job.py").write_text(JOB)
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    return project


def frame(project, name: str) -> Path:
    """The only frame of that name."""
    (found,) = (project.folder / ".hayate/frames").glob(f"{name}-{'[0-9a-f]' * 16}")
    return found


def change_manifest(directory: Path, **members: object) -> None:
    path = directory / "frame.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def reasons(project, *options: str) -> dict[str, tuple[str, str]]:
    """What the plan says of each node: run or keep, and why."""
    found = {}
    for line in project.hayate("plan", "job.py", *options).out.splitlines()[:-1]:
        name, state, reason = line.split(maxsplit=2)
        found[name] = (state, reason.split(" (took")[0])
    return found


def test_a_run_that_ended_well_has_its_frames_on_the_disk_and_no_copies(stored):
    for name in ("data", "features", "scores"):
        assert "boot" not in json.loads((frame(stored, name) / "frame.json").read_text())
    copy = json.loads((frame(stored, "data-by-user_id") / "frame.json").read_text())
    assert copy["boot"]


def test_a_frame_that_the_last_run_could_not_sync_is_synced_by_the_next(stored):
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    change_manifest(frame(stored, "features"), boot=boot)
    ran = stored.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert "nothing to do" in ran.err
    assert "boot" not in json.loads((frame(stored, "features") / "frame.json").read_text())


def test_after_a_restart_of_the_machine_only_what_was_lost_is_made_again(stored):
    expected = (stored.folder / "out/scores.csv").read_bytes()
    for name in ("data", "features", "scores", "data-by-user_id"):
        change_manifest(frame(stored, name), boot="another")
    flip_byte(frame(stored, "features") / "part-00000.arrow")
    flip_byte(frame(stored, "data-by-user_id") / "part-00000.arrow")
    (stored.folder / "job.py").write_text(JOB.replace('"twice"]]', '"twice"]].copy()'))
    assert reasons(stored)["data"] == ("keep", "nothing changed")
    assert reasons(stored)["features"] == ("run", "its result was lost when the machine went down")
    ran = stored.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert (stored.folder / "out/scores.csv").read_bytes() == expected
    for name in ("data", "features"):
        assert "boot" not in json.loads((frame(stored, name) / "frame.json").read_text())


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"short")])
def test_a_part_that_is_gone_makes_its_stage_run_again(stored, damage):
    expected = (stored.folder / "out/scores.csv").read_bytes()
    damage(frame(stored, "scores") / "part-00001.arrow")
    assert reasons(stored)["scores"] == ("run", "part 1 of its result is missing")
    ran = stored.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert (stored.folder / "out/scores.csv").read_bytes() == expected
    assert stored.hayate("verify").code == 0


def test_an_old_manifest_that_cannot_be_read_stops_nothing(stored):
    (frame(stored, "data") / "frame.json").write_text('{"format": 2}')
    old = stored.folder / ".hayate/frames/data-0123456789abcdef"
    old.mkdir()
    (old / "frame.json").write_text("not JSON")
    planned = stored.hayate("plan", "job.py", "--from", "scores")
    assert planned.code == 0, planned.err
    assert str(old) in planned.err
    ran = stored.hayate("run", "job.py", "--from", "features")
    assert ran.code == 0, ran.err


def test_a_forced_run_that_failed_is_gone_on_with_by_a_plain_one(stored):
    (stored.folder / "broken").touch()
    assert stored.hayate("run", "job.py", "--from", "features").code == 1
    (stored.folder / "broken").unlink()
    planned = reasons(stored)
    assert planned["features"] == ("keep", "nothing changed")
    assert planned["scores"][0] == "run"
    out = stored.folder / "out/scores.csv"
    before = out.stat().st_mtime_ns
    ran = stored.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    assert out.stat().st_mtime_ns != before
    assert reasons(stored, "--from", "features")["features"][0] == "run"


def test_an_output_that_is_a_folder_is_refused_before_the_work(project, clicks):
    project.write_gzip("data/a-0.csv.gz", clicks(0, 60))
    (project.folder / "job.py").write_text(JOB)
    (project.folder / "out/scores.csv").mkdir(parents=True)
    ran = project.hayate("run", "job.py")
    assert ran.code == 2
    assert "it is a folder" in ran.err and "scores.csv" in ran.err
    assert not list((project.folder / ".hayate/frames").iterdir())


def test_what_a_killed_worker_left_beside_an_output_is_removed_by_a_run_that_fails(stored):
    left = stored.folder / "out/.scores.csv.0123456789abcdef.tmp"
    left.write_text("half")
    (stored.folder / "broken").touch()
    assert stored.hayate("run", "job.py", "--from", "scores").code == 1
    assert not left.exists()
