"""How CSV files are written, and what becomes of what cannot be read."""

import bz2
import csv
import io
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import hayate as hy
from hayate.progress import Progress


def read(path: Path, **options: Any) -> pa.Table:
    return hy.read_csv(path, as_="arrow", **options)


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_dialects(tmp_path: Path) -> None:
    text = "made by hand, twice\n// id is unique\nid; name\n1; 'it''s; so'\n2; a\\;b\n"
    table = read(
        put(tmp_path / "a.csv", text),
        delimiter=";",
        quote_char="'",
        escape_char="\\",
        skip_initial_space=True,
        comment_prefix="//",
        skip_rows=1,
    )
    assert table.to_pydict() == {"id": [1, 2], "name": ["it's; so", "a;b"]}
    table = read(
        put(tmp_path / "b.csv", '"a\t5" x\n'), delimiter="\t", quote_char=None, header=False
    )
    assert table.to_pydict() == {"column_1": ['"a'], "column_2": ['5" x']}


@pytest.mark.parametrize("option", [{"quote_char": "\0"}, {"columns": []}])
def test_options_that_mean_nothing_are_refused(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(hy.UsageError, match=next(iter(option))):
        read(put(tmp_path / "a.csv", "a,b\n1,2\n"), **option)


def test_detect_says_what_it_finds(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "Report\nid;preis\n1;3,50\n2;4,75\n3;1,00\n")
    with pytest.warns(UserWarning, match='delimiter=";", skip_rows=1, header=True'):
        table = read(path, dialect="detect", decimal_point=",")
    assert table.to_pydict() == {"id": [1, 2, 3], "preis": [3.5, 4.75, 1.0]}
    with pytest.raises(hy.UsageError, match='delimiter= is given beside dialect="detect"'):
        read(path, dialect="detect", delimiter=";")
    stream = hy.iter_csv(path, dialect="detect")
    assert stream.warnings == [f'{path} is read with delimiter=";", skip_rows=1, header=True']


def test_numbers_with_other_marks(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "i;f;d\n1.234;1.234,5;1.000,25\n-5;-0,5;2\n")
    schema = {"d": "NUMERIC"}
    table = read(path, delimiter=";", decimal_point=",", thousands=".", schema=schema)
    assert table["i"].to_pylist() == [1234, -5]
    assert table["f"].to_pylist() == [1234.5, -0.5]
    assert [str(value) for value in table["d"].to_pylist()] == ["1000.250000000", "2.000000000"]
    path = put(tmp_path / "b.csv", "a\n1.5\n")
    with pytest.raises(hy.InputError, match=r'the value "1\.5" is not a value of type double'):
        read(path, decimal_point=",", thousands=".", schema={"a": "FLOAT64"})


def test_blanks_around_values(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "i,f,b,d,s\n 1, 1.5 ,true , 2026-01-01, x \n")
    table = read(path)
    assert table.schema.types[:4] == [pa.int64(), pa.float64(), pa.bool_(), pa.date32()]
    assert table["s"].to_pylist() == [" x "]


@pytest.mark.parametrize(
    "encoding", ["latin-1", "cp1252", "utf-16", "utf-8-sig", "cp932", "euc-jp"]
)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    name = "日本" if encoding in ("cp932", "euc-jp", "utf-16") else "café"
    path = put(tmp_path / "a.csv", f"名,x\n{name},1\n".replace("名", "n").encode(encoding))
    assert read(path, encoding=encoding).to_pydict() == {"n": [name], "x": [1]}


def test_what_is_no_text_is_an_error_or_replaced(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", b"a,b\n1,x\n2,caf\xe9\n")
    with pytest.raises(hy.InputError, match=r"is not UTF-8 \(byte 0xe9 at offset 3 of the value\)"):
        read(path)
    assert read(path, encoding_errors="replace")["b"].to_pylist() == ["x", "caf�"]
    assert read(path, encoding="latin-1")["b"].to_pylist() == ["x", "café"]
    with pytest.raises(hy.InputError, match="byte 0xe9 at offset 13 of the text"):
        read(path, encoding="ascii")
    with pytest.raises(hy.UsageError, match='the encoding "latin-99" is not known'):
        read(path, encoding="latin-99")
    utf16 = put(tmp_path / "b.csv", "a\n1\n".encode("utf-16"))
    with pytest.raises(hy.InputError, match="begins as UTF-16"):
        read(utf16)


def test_compressed_files_are_read_by_what_they_are(tmp_path: Path) -> None:
    text = b"a,b\n" + b"".join(b"%d,x%d\n" % (n, n) for n in range(1000))
    put(tmp_path / "a.csv", bz2.compress(text))
    put(tmp_path / "b.csv.gz", pa.Codec("zstd").compress(text, asbytes=True))
    put(tmp_path / "c.zst", text)
    table = read(tmp_path / "*")
    assert table.num_rows == 3000
    assert table["a"].to_pylist() == [*range(1000)] * 3


BAD = "id,price,name\n1,1.5,a\n2,oops,b\n3,x\n4,2.5,c\n5,bad,\n\n6,9,d,e\n7,3,f\n"
SCHEMA = {"price": "FLOAT64"}


def test_bad_values_become_null_and_ragged_rows_are_left_out(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", BAD)
    with pytest.warns(UserWarning) as caught:
        table = read(path, schema=SCHEMA, on_error="null")
    assert table["id"].to_pylist() == [1, 2, 4, 5, 7]
    assert table["price"].to_pylist() == [1.5, None, 2.5, None, 3.0]
    assert [str(one.message) for one in caught] == [
        "2 rows are left out; the first: a row has 2 fields where there are 3 columns "
        f"({path}, row 3)",
        "column price: 2 values are null because they cannot be read; the first: the value "
        f'"oops" is not a value of type double ({path}, row 2)',
    ]


@pytest.mark.parametrize("as_", ["arrow", "pandas", "polars", "frame"])
def test_bad_rows_are_put_aside(tmp_path: Path, as_: Any) -> None:
    path = put(tmp_path / "a.csv", BAD)
    with pytest.warns(
        UserWarning, match="4 rows are put aside; the first: column price: the value"
    ):
        rows, aside = hy.read_csv(path, schema=SCHEMA, on_error="quarantine", as_=as_)
    assert list(pa.table(rows)["id"].to_pylist()) == [1, 4, 7]
    table = pa.table(aside)
    assert table.column_names == ["object", "row", "line", "column", "reason", "text"]
    assert set(table["object"].to_pylist()) == {str(path)}
    assert table["row"].to_pylist() == [2, 3, 5, 6]
    assert table["line"].to_pylist() == [3, 4, 6, 8]
    assert table["column"].to_pylist() == ["price", None, "price", None]
    assert table["text"].to_pylist() == ["2,oops,b", "3,x", "5,bad,", "6,9,d,e"]
    assert "a row has 4 fields" in table["reason"].to_pylist()[3]


def test_nothing_to_put_aside(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "a\n1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows, aside = hy.read_csv(path, on_error="quarantine")
    assert len(rows) == 1 and len(aside) == 0


def test_a_stream_puts_rows_aside(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", BAD)
    with hy.iter_csv(path, schema=SCHEMA, on_error="quarantine") as stream:
        with pytest.warns(UserWarning, match="4 rows are put aside"):
            ids = [value for batch in stream for value in batch["id"].to_pylist()]
        assert ids == [1, 4, 7]
        assert stream.put_aside["row"].to_pylist() == [2, 3, 5, 6]


def test_text_that_is_no_utf8_can_be_put_aside_too(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", b"a,b\n1,x\n2,\xff\xe9\n3,y\n")
    with pytest.warns(UserWarning, match="1 row is put aside"):
        rows, aside = hy.read_csv(path, on_error="quarantine", as_="arrow")
    assert rows["a"].to_pylist() == [1, 3]
    assert aside["text"].to_pylist() == ["2,\\xff\\xe9"]
    with pytest.warns(UserWarning, match="column b: 1 value is null"):
        assert read(path, on_error="null")["b"].to_pylist() == ["x", None, "y"]


def test_rows_put_aside_do_not_depend_on_threads_blocks_or_shards(tmp_path: Path) -> None:
    pick = random.Random(3)
    expected: list[tuple[str, int]] = []
    good = []
    for shard in range(4):
        path = tmp_path / f"s{shard}.csv"
        with path.open("w") as file:
            file.write("n,v\n")
            for row in range(1, 60_000):
                kind = pick.random()
                if kind < 0.01:
                    file.write(f"{row}\n")
                    expected.append((str(path), row))
                elif kind < 0.02:
                    file.write(f"{row},x{row}\n")
                    expected.append((str(path), row))
                else:
                    file.write(f"{row},{row * 0.5}\n")
                    good.append(row)
    for threads in (1, 2, 4):
        with pytest.warns(UserWarning, match=f"{len(expected)} rows are put aside"):
            rows, aside = hy.read_csv(
                tmp_path / "*.csv",
                schema={"v": "FLOAT64"},
                on_error="quarantine",
                as_="arrow",
                threads=threads,
            )
        assert rows["n"].to_pylist() == good
        assert pc.equal(rows["v"], pc.multiply(rows["n"].cast(pa.float64()), 0.5)).to_pylist() == [
            True
        ] * len(good)
        assert list(zip(aside["object"].to_pylist(), aside["row"].to_pylist(), strict=True)) == (
            expected
        )
        assert pc.all(pc.equal(aside["line"], pc.add(aside["row"], 1))).as_py()


def test_options_that_are_none_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "a\n1\n")
    for options, message in (
        ({"delimeter": ";"}, "delimeter= is no option of CSV files"),
        ({"skip_rows": "1"}, "skip_rows='1' is no int"),
        ({"skip_rows": -1}, "skip_rows is -1"),
        ({"on_error": "skip"}, "on_error='skip' is not known"),
        ({"escape_char": '"'}, "are the same character"),
        ({"comment_prefix": ","}, 'comment_prefix is ","'),
        ({"thousands": "."}, "decimal_point and thousands"),
        ({"decimal_point": "x"}, "decimal_point and thousands"),
        ({"encoding_errors": "ignore"}, "encoding_errors='ignore' is not known"),
    ):
        with pytest.raises(hy.UsageError, match=message):
            read(path, **options)


DIALECTS: list[dict[str, Any]] = [
    {"escapechar": "\\", "doublequote": False},
    {"escapechar": "\\", "quoting": csv.QUOTE_NONE},
    {"skipinitialspace": True},
    {"quotechar": "'"},
    {"quotechar": "'", "escapechar": "!"},
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_pythons_writer_writes_in_its_dialects_is_read_back(
    tmp_path: Path, dialect: dict[str, Any]
) -> None:
    pick = random.Random(str(dialect))
    for number in range(150):
        columns = pick.randint(2, 5)
        rows = [
            ["".join(pick.choices("ab ,'\"\\!;日x", k=pick.randint(1, 8))).strip() or "z"
             for _ in range(columns)]
            for _ in range(pick.randint(1, 12))
        ]  # fmt: skip
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator=pick.choice(["\n", "\r\n"]), **dialect).writerows(
            [[f"c{i}" for i in range(columns)], *rows]
        )
        text = buffer.getvalue()
        assert list(csv.reader(io.StringIO(text, newline=""), **dialect))[1:] == rows
        path = put(tmp_path / f"{number}.csv", text)
        quotes = dialect.get("quoting") != csv.QUOTE_NONE
        table = read(
            path,
            quote_char=dialect.get("quotechar", '"') if quotes else None,
            escape_char=dialect.get("escapechar"),
            skip_initial_space=dialect.get("skipinitialspace", False),
            schema={f"c{i}": "STRING" for i in range(columns)},
        )
        assert [list(row.values()) for row in table.to_pylist()] == rows, text


@pytest.mark.parametrize("as_", ["arrow", "pandas", "polars", "frame"])
def test_few_different_strings_as_a_dictionary(tmp_path: Path, as_: Any) -> None:
    words = ["東京", "", "Osaka", None, 'a "b"']
    for shard in range(3):
        picked = [words[(n * n + shard) % len(words)] for n in range(100_000)]
        lines = ["" if word is None else '"' + word.replace('"', '""') + '"' for word in picked]
        put(tmp_path / f"{shard}.csv", "n,w\n" + "".join(f"{n},{w}\n" for n, w in enumerate(lines)))
    schema = {"n": "INT64", "w": "DICTIONARY"}
    rows = hy.read_csv(tmp_path / "*.csv", schema=schema, as_=as_)
    table = pa.table(rows)
    assert pa.types.is_dictionary(table.schema.field("w").type)
    plain = read(tmp_path / "*.csv", schema={"n": "INT64", "w": "STRING"})
    assert table["w"].to_pylist() == plain["w"].to_pylist()
    if as_ == "pandas":
        assert rows["w"].dtype == "category" and len(rows["w"].cat.categories) == 4
    with hy.iter_csv(tmp_path / "*.csv", schema=schema) as stream:
        streamed = [value for batch in stream for value in batch["w"].to_pylist()]
    assert streamed == plain["w"].to_pylist()


def test_ten_thousand_columns(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(10_000)]
    rows = [[str(row * i % 97) for i in range(10_000)] for row in range(30)]
    text = "\n".join(",".join(line) for line in [names, *rows])
    table = read(put(tmp_path / "a.csv", text))
    assert table.column_names == names
    assert [[str(value) for value in row.values()] for row in table.to_pylist()] == rows


def test_nul_bytes_are_bytes_of_a_text(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'a,b\n\0,"x\0,\0"\n')
    assert read(path).to_pydict() == {"a": ["\0"], "b": ["x\0,\0"]}


@pytest.mark.all
def test_columns_of_more_than_2_gib(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    size, rows = 1 << 20, 2200
    with path.open("w") as file:
        file.write("n,text\n")
        for row in range(rows):
            file.write(f'{row},"{row:08}{"x" * (size - 8)}"\n')
    table = read(path, schema={"text": "STRING"})
    assert pc.sum(pc.binary_length(table["text"])).as_py() == size * rows > 1 << 31
    assert (
        pc.equal(pc.utf8_slice_codeunits(table["text"], 0, 8).cast("int64"), table["n"]).to_pylist()
        == [True] * rows
    )
    del table
    with hy.iter_csv(path) as stream:
        assert sum(batch.num_rows for batch in stream) == rows
    frame = hy.read_csv(path)
    assert len(frame) == rows and frame["text"].iloc[-1][:8] == f"{rows - 1:08}"
    del frame
    stored = hy.read_csv(path, as_="frame")
    assert stored.slice(rows - 1, rows).to_pandas()["text"].iloc[0].startswith(f"{rows - 1:08}x")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("progress", "said"), [(None, True), (True, True), (False, False)])
def test_progress_is_said_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: bool | None, said: bool
) -> None:
    path = put(tmp_path / "a.csv", "a\n" + "1\n" * 1000)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(Progress, "FIRST_AFTER", 0.0)
    monkeypatch.setattr(Progress, "BETWEEN", 0.0)
    read(path, progress=progress)
    text = terminal.getvalue()
    assert ("100 % of 0.00 GB, 1 of 1 files, 1,000 rows, 0 s" in text) == said
    assert text.endswith("\r") == said


def test_progress_is_not_said_where_no_one_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = io.StringIO()
    monkeypatch.setattr(sys, "stderr", quiet)
    monkeypatch.setattr(Progress, "FIRST_AFTER", 0.0)
    read(put(tmp_path / "a.csv", "a\n1\n"))
    assert quiet.getvalue() == ""
