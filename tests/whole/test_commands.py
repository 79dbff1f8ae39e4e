"""convert, ls, show, verify, gc: what each prints, and the exit codes."""

from __future__ import annotations

import datetime as dt
import gzip
import signal
import time

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pytest

import hayate as hy


@pytest.fixture
def stored(project, clicks):
    project.write("data.csv", clicks(0, 30))
    project.write(
        "job.py",
        """
        import hayate as hy

        data = hy.csv("data.csv")

        @hy.stage(rows=10)
        def odd(data):
            return data[data["event_id"] % 2 == 1]
        """,
    )
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    return project


@pytest.mark.parametrize("name", ["o.arrow", "o.parquet", "o.csv", "o.csv.gz"])
def test_convert_there_and_back_is_equal(project, clicks, name):
    text = clicks(0, 100)
    project.write_gzip("in-0.csv.gz", text)
    assert project.hayate("convert", "in-0.csv.gz", name).code == 0
    if name in ("o.csv", "o.csv.gz"):
        raw = (project.folder / name).read_bytes()
        read = gzip.decompress(raw) if name.endswith("gz") else raw
        assert read.splitlines()[1].startswith(b"0,0,0")
    if name != "o.arrow":
        assert project.hayate("convert", name, "back.csv").code == 0
        first = pl.read_csv(project.folder / "back.csv")
        assert first.equals(pl.read_csv(text.encode()))


BAD = "id;price\n1;1,5\n2;oops\n3\n4;2,5\n"


@pytest.mark.parametrize("out", ["rows.csv", "frame"])
def test_convert_puts_bad_rows_aside(project, out):
    project.write("in.csv", BAD)
    words = ["--detect", "--decimal-point", ",", "--schema", "price=FLOAT64"]
    words += ["--on-error", "quarantine"]
    if out == "rows.csv":
        refused = project.hayate("convert", "in.csv", out, *words)
        assert refused.code == 2 and "--bad-rows" in refused.err
    ran = project.hayate("convert", "in.csv", out, *words, "--bad-rows", "bad.csv")
    assert ran.code == 0, ran.err
    assert 'in.csv is read with delimiter=";", header=True' in ran.err
    assert "2 rows are put aside; the first: column price" in ran.err
    bad = pl.read_csv(project.folder / "bad.csv")
    assert bad["row"].to_list() == [2, 3] and bad["text"].to_list() == ["2;oops", "3"]
    if out == "frame":
        frame = hy.Frame(project.folder / "frame")
        assert frame.rows == 2 and frame.quarantine.rows == 2
    else:
        assert (project.folder / out).read_text() == "id,price\n1,1.5\n4,2.5\n"


@pytest.mark.parametrize(
    ("out", "bad_rows", "said"),
    [
        ("out.csv", "./out.csv", "--bad-rows names what the other rows are written to"),
        ("out.csv", "in.csv", "--bad-rows names a file that is read"),
        ("in.csv", "bad.csv", "a file that is read would be replaced by fewer rows"),
    ],
)
def test_convert_writes_over_no_rows(project, out, bad_rows, said):
    project.write("in.csv", BAD)
    words = ["--delimiter", ";", "--on-error", "quarantine", "--bad-rows", bad_rows]
    ran = project.hayate("convert", "in.csv", out, *words)
    assert ran.code == 2 and said in ran.err
    assert (project.folder / "in.csv").read_text() == BAD
    assert not (project.folder / "out.csv").exists()


def test_convert_ignores_no_option(project):
    project.write("in.csv", "a,b\n1,2\n")
    assert project.hayate("convert", "in.csv", "in.parquet").code == 0
    assert project.hayate("convert", "in.csv", "in.arrow").code == 0
    assert project.hayate("convert", "in.csv", "frame").code == 0
    for source in ("in.parquet", "in.arrow", "frame"):
        ran = project.hayate("convert", source, "out.csv", "--delimiter", ";")
        assert ran.code == 2 and "--delimiter is about reading CSV" in ran.err
    ran = project.hayate("convert", "in.csv", "out.csv", "--detect", "--no-header")
    assert ran.code == 2 and "--no-header is given beside --detect" in ran.err
    ran = project.hayate(
        "convert", "in.csv", "out.csv", "--schema", "a=STRING", "--schema", "a=INT64"
    )
    assert ran.code == 2 and "--schema is given twice for one column" in ran.err


def test_convert_takes_the_options_of_csv(project):
    project.write("in.csv", "x\n# y\n'a|b'|NA\n")
    words = ["--delimiter", "|", "--quote-char", "'", "--comment-prefix", "#", "--skip-rows", "1"]
    words += ["--no-header", "--null-value", "NA"]
    assert project.hayate("convert", "in.csv", "out.csv", *words).code == 0
    assert (project.folder / "out.csv").read_text() == "column_1,column_2\na|b,\n"


def test_a_job_puts_bad_rows_of_its_source_aside(project):
    project.write("data.csv", "n\n1\nx\n3\n")
    project.write(
        "job.py",
        """
        import hayate as hy

        data = hy.csv("data.csv", schema={"n": "INT64"}, on_error="quarantine")

        @hy.stage
        def total(data):
            return {"total": int(data["n"].sum())}
        """,
    )
    ran = project.hayate("run", "job.py")
    assert ran.code == 0, ran.err
    said = ran.out + ran.err
    assert "1 row is put aside; the first: column n: the value" in said
    command = said.split("to see what was put aside: hayate ")[1].split("\n")[0].split()
    assert project.hayate(*command).code == 0
    bad = pl.read_csv(project.folder / "bad-rows.csv")
    assert bad["text"].to_list() == ["x"] and bad["row"].to_list() == [2]
    assert project.hayate("verify").code == 0


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_convert_seals_arrow_files_of_others(project, compression):
    # Arrow leaves zeros under nulls; a frame promises NaN and NaT there, mapped as they are.
    moment = dt.datetime(2026, 11, 24)
    table = pa.table(
        {"x": pa.array([1.5, None]), "t": pa.array([moment, None], pa.timestamp("us"))}
    )
    pyarrow.feather.write_feather(table, str(project.folder / "x.feather"), compression)
    ran = project.hayate("convert", "x.feather", "frame")
    assert ran.code == 0, ran.err
    back = hy.load(project.folder / "frame")
    assert back["x"].isna().tolist() == back["t"].isna().tolist() == [False, True]
    assert back["x"][0] == 1.5 and back["t"][0] == moment


def test_parts_are_read_by_any_arrow_reader(stored):
    (folder,) = (stored.folder / ".hayate/frames").glob("odd-*")
    parts = sorted(folder.glob("part-*.arrow"))
    events = [i for i in range(30) if i % 2 == 1]
    read = [pa.ipc.open_file(str(part)).read_all() for part in parts]
    assert pa.concat_tables(read)["event_id"].to_pylist() == events
    assert pl.concat([pl.read_ipc(part) for part in parts])["event_id"].to_list() == events
    with duckdb.connect() as connection:
        connection.register("odd", pa.concat_tables(read))
        found = connection.execute("select sum(event_id) from odd").fetchall()
        assert found == [(sum(events),)]


def test_show_and_ls_tell_schema_and_rows(stored):
    shown = stored.hayate("show", "odd")
    assert shown.code == 0, shown.err
    for word in ("event_id", "int64", "price", "double", "15", "c1"):
        assert word in shown.out
    listed = stored.hayate("ls")
    assert listed.code == 0 and "odd" in listed.out and "data" in listed.out


def test_verify_names_the_damaged_part(stored):
    assert stored.hayate("verify").code == 0
    (folder,) = (stored.folder / ".hayate/frames").glob("odd-*")
    part = folder / "part-00001.arrow"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(bytes(content))
    ran = stored.hayate("verify")
    assert ran.code == 1
    assert "part-00001.arrow" in ran.err


def test_gc_keeps_the_newest_and_what_is_left_still_serves(stored):
    for k in range(5):
        job = (stored.folder / "job.py").read_text()
        (stored.folder / "job.py").write_text(job.replace("% 2 == 1", f"% 2 == {k}"))
        assert stored.hayate("run", "job.py").code == 0
        (stored.folder / "job.py").write_text(job)
    assert stored.hayate("gc", "--keep-runs", "1").code == 0
    assert len(list((stored.folder / ".hayate/frames").glob("odd-*"))) == 1


@pytest.mark.parametrize("verb", ["run", "plan", "convert", "ls", "gc", "show", "verify"])
def test_every_command_has_help_with_an_example(project, verb):
    ran = project.hayate(verb, "--help")
    assert ran.code == 0
    assert "hayate " + verb in ran.out


def test_folder_of_a_frames_name_does_not_hide_it(stored):
    (stored.folder / "data").mkdir()
    shown = stored.hayate("show", "data")
    assert shown.code == 0 and "30 rows" in shown.out, shown.err
    (stored.folder / "empty").mkdir()
    assert stored.hayate("show", "empty").code == 2


def test_convert_to_a_folder_with_a_slash_makes_a_frame(project, clicks):
    project.write("a.csv", clicks(0, 3))
    ran = project.hayate("convert", "a.csv", "out/")
    assert ran.code == 0, ran.err
    assert (project.folder / "out/frame.json").exists()
    again = project.hayate("convert", "a.csv", "out/")
    assert again.code == 2 and "there already" in again.err


def test_bad_schema_is_told_as_such(project, clicks):
    project.write("a.csv", clicks(0, 3))
    ran = project.hayate("convert", "a.csv", "o.arrow", "--schema", "price")
    assert ran.code == 2
    assert "--schema" in ran.err and "--set" not in ran.err


def test_interrupted_convert_ends_while_it_writes(project, clicks):
    project.write("a.csv", clicks(0, 300_000))
    assert project.hayate("convert", "a.csv", "frame").code == 0
    process = project.start("convert", "frame", "o.csv.gz", "-j", "1")
    deadline = time.monotonic() + 60
    while not project.leftovers() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert not project.leftovers() and not (project.folder / "o.csv.gz").exists()
