"""Bad input: each message says what, where and what to do; nothing is left half-written."""

from __future__ import annotations

import gzip

import pytest

JOB = """
    import hayate as hy

    data = hy.csv("data/*", schema={schema})

    @hy.stage
    def total(data):
        return {{"rows": len(data)}}
"""


def run(project, content: bytes | None, schema=None, name="a.csv"):
    project.write("job.py", JOB.format(schema=schema or {}))
    if content is not None:
        (project.folder / "data").mkdir()
        (project.folder / "data" / name).write_bytes(content)
    ran = project.hayate("run", "job.py")
    assert ran.code == 1, ran.err
    assert "hayate: error:" in ran.err
    assert project.leftovers() == []
    return ran.err


def test_glob_without_match_names_the_pattern(project):
    assert "data/*" in run(project, None)


def test_missing_file_is_named(project):
    project.write("job.py", JOB.format(schema={}).replace("data/*", "data/clicks.csv"))
    ran = project.hayate("run", "job.py")
    assert ran.code == 1, ran.err
    assert "data/clicks.csv" in ran.err and "fix:" in ran.err


def test_empty_file_has_no_header(project):
    error = run(project, b"")
    assert "a.csv" in error and "header" in error


def test_no_rows_is_an_error_unless_allowed(project):
    error = run(project, b"a,b\n")
    assert "row" in error and "allow_empty" in error


def test_ragged_row_is_named(project):
    error = run(project, b"a,b\n1,2\n3,4,5\n6,7\n")
    assert "a.csv" in error and "row 2" in error


def test_wrong_type_against_the_schema_names_the_cell(project):
    error = run(project, b"a,b\n1,2\nabc,4\n", schema={"a": "INT64"})
    assert "a.csv" in error and "row 2" in error and "column a" in error and "abc" in error


def test_invalid_utf8_is_named(project):
    error = run(project, b"a,b\n1,x\n2,\xff\xfe\n", schema={"b": "STRING"})
    assert "UTF-8" in error and "row 2" in error and "column b" in error


@pytest.mark.parametrize("cut", [5, 20, -9, -4])
def test_truncated_gzip_is_named(project, cut):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    error = run(project, whole[:cut], name="a.csv.gz")
    assert "a.csv.gz" in error


def test_corrupt_gzip_is_named(project):
    broken = bytearray(gzip.compress(b"a,b\n" + b"".join(b"%d,2\n" % i for i in range(5000))))
    broken[len(broken) // 2] ^= 0x55
    assert "a.csv.gz" in run(project, bytes(broken), name="a.csv.gz")


def test_wrong_gzip_checksum_is_named(project):
    broken = bytearray(gzip.compress(b"a,b\n1,2\n"))
    broken[-6] ^= 1
    assert "a.csv.gz" in run(project, bytes(broken), name="a.csv.gz")


def test_duplicate_column_is_named(project):
    error = run(project, b"a,b,a\n1,2,3\n")
    assert "a.csv" in error and "column a" in error


def test_column_missing_from_one_shard_names_the_shard(project):
    (project.folder / "data").mkdir()
    (project.folder / "data" / "b.csv").write_bytes(b"a,c\n1,2\n")
    project.write("job.py", JOB.format(schema={}))
    (project.folder / "data" / "a.csv").write_bytes(b"a,b\n1,2\n")
    ran = project.hayate("run", "job.py")
    assert ran.code == 1
    assert "b.csv" in ran.err and "column" in ran.err
