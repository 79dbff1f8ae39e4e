"""hayate.doctor.probe: what is exported, how it is judged, and that nothing is left behind."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import pathlib
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("google.cloud.bigquery", reason="google-cloud-bigquery is not installed")

from google_service import FakeBigQuery, FakeStorage, done, failed, pending, serving
from hypothesis import given
from hypothesis import strategies as st

import hayate as hy
from hayate import _core
from hayate.doctor import awkward_values, probe
from hayate.doctor.awkward_values import COLUMNS, compare, expected_csv, misread, split_records
from hayate.doctor.finding import Finding
from hayate.doctor.google_access import Access
from hayate.doctor.probe import Probe
from hayate.doctor.secrets_in_use import SecretsInUse
from hayate.google import dialect
from hayate.google.credentials import Endpoints
from hayate.google.sql import check_query

RUN = "20261124t030000-0123456789abcdef"
BASE = "gs://shop-tokyo/tmp/"
ROWS = awkward_values.row_count()


def _read(data: bytes, folder: pathlib.Path) -> dict[str, list[Any]]:
    """As the engine reads it, through the CSV reader of its exports."""
    folder.mkdir()
    (folder / "a.csv").write_bytes(data)
    types = {one.name: one.read_as or one.type for one in COLUMNS}
    options = json.dumps({"schema": types | {awkward_values.NUMBER: "INT64"}})
    rows, _, _ = _core.read_files(["a.csv"], str(folder), "csv", options, 1, False, None)
    table = pa.RecordBatchReader.from_stream(rows).read_all()
    return {name: table.column(name).to_pylist() for name in table.column_names}


# The values


def test_the_query_is_one_that_is_exported_as_it_is() -> None:
    sql = awkward_values.query()
    assert check_query(sql)
    assert sql.count("SELECT") == ROWS + 1
    assert "FROM `" not in sql


def test_the_expected_file_has_each_kind_of_value() -> None:
    text = expected_csv().decode()
    for part in ("NaN", "-Infinity", "-0.0", '""', '"two\nlines"', '"two\r\nlines"', "T01:02:03"):
        assert part in text
    for part in ("9999-12-31 23:59:59.999999 UTC", "AP8=", "POINT(1 2)", "9" * 29 + "." + "9" * 9):
        assert part in text
    last = split_records(expected_csv())[0][-1]
    assert last == [b"", str(ROWS - 1).encode(), *[b""] * (len(COLUMNS) - 1)]


def test_the_engine_reads_what_is_expected_as_it_is_meant(tmp_path: pathlib.Path) -> None:
    read = _read(expected_csv(), tmp_path / "a")
    assert misread(read) == []
    assert read["numeric"][0] == Decimal("99999999999999999999999999999.999999999")
    assert read["timestamp"][0] == dt.datetime(1, 1, 1, tzinfo=dt.UTC)


def test_a_value_that_is_read_otherwise_is_seen(tmp_path: pathlib.Path) -> None:
    read = _read(expected_csv(), tmp_path / "a")
    for name, row, other in (
        ("float64", 3, 0.0),
        ("float64", 0, 1.0),
        ("string_first", 0, None),
        ("string_last", ROWS - 1, ""),
        ("json", 0, '{"a":2}'),
        ("bool", 0, False),
    ):
        changed = {**read, name: [*read[name][:row], other, *read[name][row + 1 :]]}
        ((column, _, got),) = misread(changed)
        assert (column.name, got) == (name, other)


# The comparison


def test_the_expected_file_equals_itself() -> None:
    found = compare(expected_csv())
    assert found.is_equal and found.nulls_are_distinct
    assert (found.trouble, found.differences, found.line_ends) == ("", [], [b"\n"])


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (b"NaN", b"nan", "FLOAT64 nan: 'nan'"),
        (b"2024-02-29T01", b"2024-02-29 01", "DATETIME 2024-02-29T01:02:03: '2024-02-29 01:02:03'"),
        (b",AP8=,", b",\\x00\\xff,", "BYTES 0 and 255: '\\\\x00\\\\xff'"),
    ],
)
def test_differences_name_type_value_and_bytes(old: bytes, new: bytes, shown: str) -> None:
    found = compare(expected_csv().replace(old, new))
    assert [str(one) for one in found.differences] == [shown]
    assert not found.is_equal and not found.trouble and found.nulls_are_distinct


def test_one_place_where_null_and_the_empty_string_are_not_apart_is_enough() -> None:
    records = split_records(expected_csv())[0]
    for place in (at for at, one in enumerate(records[1]) if one == b'""'):
        for row, text in ((1, b""), (ROWS, b'""')):
            changed = [list(record) for record in records]
            changed[row][place] = text
            data = b"".join(b",".join(record) + b"\n" for record in changed)
            assert not compare(data).nulls_are_distinct, (row, place)


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (b"", "first line"),
        (expected_csv().replace(b"row_number", b"number"), "first line"),
        (expected_csv().split(b"\n", 1)[1], "first line"),
        (expected_csv()[:-30], "records, or not"),
        (expected_csv() + b'"', "not closed"),
        (expected_csv() + b'"a"b\n', "after the closing quote"),
        (expected_csv().replace(b'"",0,', b'"",1,', 1), "the order is lost"),
    ],
)
def test_what_is_no_such_file_is_said(data: bytes, trouble: str) -> None:
    assert trouble in compare(data).trouble


def test_other_line_ends_are_noticed() -> None:
    records = split_records(expected_csv())[0]
    data = b"".join(b",".join(record) + b"\r\n" for record in records)
    found = compare(data)
    assert found.line_ends == [b"\r\n"] and found.differences == [] and not found.is_equal


_PLAIN = st.binary(max_size=8).map(lambda b: b.translate(None, b'",\r\n'))
_QUOTED = st.binary(max_size=8).map(lambda b: b'"' + b.replace(b'"', b'""') + b'"')


@given(st.lists(st.lists(_PLAIN | _QUOTED, min_size=2, max_size=4), max_size=5))
def test_records_are_split_as_they_are_written(records: list[list[bytes]]) -> None:
    data = b"".join(b",".join(record) + b"\n" for record in records)
    assert split_records(data)[0] == records


# The probe


class _Engine:
    """Reads what lies in the storage by the engine's own reader."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self.calls: list[tuple[Any, ...]] = []

    def ingest_export(
        self, storage: FakeStorage, prefix: str, directory: str, *rest: Any
    ) -> dict[str, int]:
        self.calls.append((prefix, *rest))
        for at, one in enumerate(storage.list(prefix)):
            (self._folder / f"{at:03}.csv.gz").write_bytes(storage.read(one["uri"]))
        types = {one.name: one.read_as or one.type for one in COLUMNS}
        options = json.dumps({"schema": types | {awkward_values.NUMBER: "INT64"}})
        folder = str(self._folder)
        rows, _, _ = _core.read_files(["*.csv.gz"], folder, "csv", options, 1, False, None)
        _core.write_part(directory, 0, rows)
        return {}


class Bench:
    """A service whose exports write `shards`, and a probe of it."""

    def __init__(self, service: FakeBigQuery, access: Access, tmp_path: pathlib.Path) -> None:
        self.service = service
        self.access = access
        self.storage = FakeStorage()
        self.folder = tmp_path / "probe"
        self.store = tmp_path / "store"
        self.shards = [gzip.compress(expected_csv())]
        self.stop = threading.Event()
        self.endpoints = Endpoints()
        self.statements: list[str] = []
        service.on_insert = self._export
        service.states = [pending(), done(files=1, rows=ROWS, billed=0)]
        fields = [{"name": "one", "type": "INTEGER"}]
        service.dry = {"schema": {"fields": fields}, "totalBytesProcessed": "0"}

    def _export(self, job: dict[str, Any]) -> None:
        self.statements.append(job["configuration"]["query"]["query"])
        for at, data in enumerate(self.shards):
            self.storage.write(f"{BASE}hayate-{RUN}/part-{at:012}.csv.gz", data)

    def run(self) -> dict[str, Finding]:
        made = Probe(
            self.access.bigquery(),
            self.storage,
            self.endpoints,
            BASE,
            "",
            RUN,
            str(self.store),
            str(self.folder),
            self.stop,
            self.access.secrets.remove_from,
        )
        return {one.name: one for one in made.run()}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Bench]:
    service = FakeBigQuery()
    files = tmp_path / "files"
    files.mkdir()
    engine = _Engine(files)
    monkeypatch.setattr(probe, "engine", lambda: engine)
    with serving(service) as url:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", url)
        access = Access("test-project", SecretsInUse())
        made = Bench(service, access, tmp_path)
        yield made
        access.bigquery().close()


def test_a_dialect_as_expected_is_noted_and_nothing_is_left(bench: Bench) -> None:
    bench.storage.write(f"{BASE}foreign", b"x")
    found = bench.run()
    assert {one.level for one in found.values()} == {"ok"}, found
    assert found["export"].what == f"{ROWS} rows in US, 1 object; 0 bytes billed"
    assert found["NULL and ''"].what.startswith("are apart in CSV; noted for test-project in ")
    assert dialect.nulls_are_distinct(str(bench.store), "test-project")
    assert list(bench.storage.objects) == [f"{BASE}foreign"]
    (statement,) = bench.statements
    assert statement.startswith("EXPORT DATA") and awkward_values.query() in statement
    (job,) = bench.service.inserted.values()
    assert job["configuration"]["query"]["maximumBytesBilled"] == str(10 << 20)


def test_what_it_found_is_saved(bench: Bench) -> None:
    found = bench.run()
    assert found["saved"].what.endswith(str(bench.folder))
    saved = sorted(str(p.relative_to(bench.folder)) for p in bench.folder.rglob("*") if p.is_file())
    assert saved == [
        "actual.csv",
        "expected.csv",
        "query.sql",
        "raw/part-000000000000.csv.gz",
        "report.json",
        "statement.sql",
    ]
    assert (bench.folder / "raw" / "part-000000000000.csv.gz").read_bytes() == bench.shards[0]
    report = json.loads((bench.folder / "report.json").read_text())
    assert report["is_equal"] is True and report["differences"] == []


def test_several_shards_with_a_header_each_are_one_file(bench: Bench) -> None:
    lines = expected_csv().split(b"\n")
    header = lines[0] + b"\n"
    # Where no value has a line end in it.
    cut = expected_csv().index(b"\n  in  ,") + 1
    bench.shards = [
        gzip.compress(expected_csv()[:50]) + gzip.compress(expected_csv()[50:cut]),
        gzip.compress(header + expected_csv()[cut:]),
        gzip.compress(header),
    ]
    bench.service.states = [done(files=3, rows=ROWS)]
    assert bench.run()["bytes"].what == "as this version expects, byte for byte"


def test_another_spelling_that_is_read_right_is_advice(bench: Bench) -> None:
    data = expected_csv().replace(b"Infinity", b"inf").replace(b"-29T01", b"-29 01")
    bench.shards = [gzip.compress(data)]
    found = bench.run()
    assert found["bytes"].level == "advice"
    assert "read right: DATETIME" in found["bytes"].what or "FLOAT64" in found["bytes"].what
    assert found["NULL and ''"].what.startswith("are apart")


def test_nulls_that_are_empty_strings_keep_the_marks_and_are_no_problem(bench: Bench) -> None:
    dialect.remember(str(bench.store), "test-project", nulls_are_distinct=True)
    records = split_records(expected_csv())[0]
    lines = [b",".join(b"" if one == b'""' else one for one in record) for record in records]
    bench.shards = [gzip.compress(b"\n".join([*lines, b""]))]
    found = bench.run()
    assert found["bytes"].level == "advice"
    assert found["NULL and ''"].what.startswith("are not apart")
    # What was noted before does not count any more.
    assert not dialect.nulls_are_distinct(str(bench.store), "test-project")


def test_what_an_emulator_does_is_not_noted(bench: Bench) -> None:
    bench.endpoints = Endpoints(bigquery="http://127.0.0.1:1")
    found = bench.run()
    assert found["NULL and ''"].what.endswith("not noted, as this is an emulator")
    assert not dialect.nulls_are_distinct(str(bench.store), "test-project")


def test_a_value_that_is_misread_is_a_problem(bench: Bench) -> None:
    bench.shards = [gzip.compress(expected_csv().replace(b"-0.0", b"0"))]
    found = bench.run()
    assert found["bytes"].level == "problem"
    assert "FLOAT64 -0.0 as 0.0" in found["bytes"].what
    assert 'format="parquet"' in found["bytes"].remedy


def test_a_value_that_cannot_be_read_is_a_problem(bench: Bench) -> None:
    bench.shards = [gzip.compress(expected_csv().replace(b"NaN", b"none"))]
    found = bench.run()
    assert found["bytes"].level == "problem" and "cannot be read" in found["bytes"].what
    assert found["NULL and ''"].what.startswith("are not apart")
    assert found["saved"].level == "ok"


@pytest.mark.parametrize("data", [b"\x1f\x8bnonsense", gzip.compress(expected_csv())[:-9]])
def test_a_damaged_object_is_a_problem_and_is_saved(bench: Bench, data: bytes) -> None:
    bench.shards = [data]
    found = bench.run()
    assert found["export"].level == "problem" and "no gzip" in found["export"].what
    assert (bench.folder / "raw" / "part-000000000000.csv.gz").read_bytes() == data
    assert bench.storage.objects == {}


def test_a_job_that_fails_leaves_nothing(bench: Bench) -> None:
    bench.service.states = [failed("accessDenied", "no ya29.planted-token, no plain-planted")]
    bench.access.secrets.add("plain-planted")
    found = bench.run()
    assert found["export"].level == "problem"
    assert bench.storage.objects == {}
    report = (bench.folder / "report.json").read_text()
    assert "planted" not in report and "[removed]" in report


def test_a_bucket_that_keeps_objects_is_said(bench: Bench) -> None:
    bench.storage.fails = {"delete"}
    found = bench.run()
    assert found["clean-up"].level == "advice"
    assert f"objects are left in {BASE}hayate-{RUN}/" in found["clean-up"].what


def test_an_interrupt_ends_the_job_and_leaves_nothing(bench: Bench) -> None:
    bench.service.states = [pending()]
    bench.service.on_insert = lambda job: (bench._export(job), bench.stop.set())[0]
    with pytest.raises(hy.InterruptedRunError):
        bench.run()
    assert len(bench.service.cancelled) == 1
    assert bench.storage.objects == {}


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_spent(
    bench: Bench, tmp_path: pathlib.Path
) -> None:
    bench.folder = tmp_path / "file" / "probe"
    (tmp_path / "file").write_text("")
    with pytest.raises(hy.StorageError, match="cannot be saved"):
        bench.run()
    assert bench.service.requests == []


def test_a_probe_needs_a_bucket() -> None:
    from hayate.doctor.targets import Targets

    (check,) = probe.checks(Access("p", SecretsInUse()), Targets(), "/none", "")
    (found,) = check.run(threading.Event())
    assert found.level == "problem" and "--bucket" in found.remedy
