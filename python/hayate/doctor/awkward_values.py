"""Values that a CSV dialect is known by, with the bytes that this version expects for each.

The service documents little of this (there is no null marker, no quoting option), so the expected
bytes are what is known or likely. Where they differ, what counts is whether the engine reads the
value all the same.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hayate.google.tokens import quoted_name, quoted_string
from hayate.google.types import arrow_schema

#: Of the rows' numbers, by which they are ordered.
NUMBER = "row_number"


@dataclass(frozen=True)
class Value:
    """One awkward value.

    Attributes:
        what: names it.
        sql: the expression that makes it.
        text: the field that is expected, with its quotes, as bytes of UTF-8.
        read: what the engine is to make of the field.
    """

    what: str
    sql: str
    text: str
    read: Any


@dataclass(frozen=True)
class Column:
    """The awkward values of a type, one a row.

    Attributes:
        name: of the column.
        type: in GoogleSQL's names.
        values: each in the row of its place; in further rows the column is NULL.
        read_as: the type that the engine reads the field as, if another.
        is_relied_on: whether an export of hayate's has such fields. Those of BYTES and GEOGRAPHY
            are made text of in the SQL (google/projection.py), so that their own form is of
            interest only.
    """

    name: str
    type: str
    values: Sequence[Value]
    read_as: str = ""
    is_relied_on: bool = True

    def value(self, row: int) -> Value:
        """Of a row, counted from 0; past the last value it is NULL."""
        return self.values[row] if row < len(self.values) else Value("NULL", "NULL", "", None)


def _cast(text: str, kind: str) -> str:
    return f"CAST({quoted_string(text)} AS {kind})"


def _typed(kind: str, texts: Mapping[str, tuple[str, Any]]) -> list[Value]:
    """Values that CAST makes of the texts: text → what is expected, and what is read."""
    return [Value(text, _cast(text, kind), *expected) for text, expected in texts.items()]


def _text(what: str, text: str, exported: str) -> Value:
    sql = quoted_string(text)
    # The short escapes: emulators know no others.
    for code, letter in (("\\u000a", "\\n"), ("\\u000d", "\\r"), ("\\u0009", "\\t")):
        sql = sql.replace(code, letter)
    return Value(what, sql, exported, text)


_STRINGS = [
    _text("the empty string", "", '""'),
    _text("a comma", "a,b", '"a,b"'),
    _text("quotes", 'say "so"', '"say ""so"""'),
    _text("a quote alone", '"', '""""'),
    _text("a line feed", "two\nlines", '"two\nlines"'),
    _text("a carriage return", "two\rlines", '"two\rlines"'),
    _text("both", "two\r\nlines", '"two\r\nlines"'),
    _text("blanks around", "  in  ", "  in  "),
    _text("a tab", "\t", "\t"),
    _text("the word NULL", "NULL", "NULL"),
    _text("a backslash and N", "\\N", "\\N"),
    _text("the mark", "~", "~"),
    _text("characters of 3 and 4 bytes", "はやて🚄", "はやて🚄"),
]
_UTC = dt.UTC
_FLOATS = {
    "nan": ("NaN", math.nan),
    "inf": ("Infinity", math.inf),
    "-inf": ("-Infinity", -math.inf),
    "-0.0": ("-0.0", -0.0),
    "1": ("1.0", 1.0),
    "0.1": ("0.1", 0.1),
    "1.7976931348623157e308": ("1.7976931348623157e+308", 1.7976931348623157e308),
    "2.2250738585072014e-308": ("2.2250738585072014e-308", 2.2250738585072014e-308),
    "5e-324": ("5e-324", 5e-324),
}
_NUMERICS = [
    Value(text, f"NUMERIC '{text}'", exported, decimal.Decimal(text))
    for text, exported in (
        ("99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999"),
        ("-99999999999999999999999999999.999999999", "-99999999999999999999999999999.999999999"),
        ("0.000000001", "0.000000001"),
        ("0", "0"),
        ("1.50", "1.5"),
    )
]
_JSON = [
    Value("an object", "JSON '{\"a\": 1}'", '"{""a"":1}"', '{"a":1}'),
    Value("null of JSON", "JSON 'null'", "null", "null"),
]
_GEOGRAPHY = [
    Value("a point", "ST_GEOGPOINT(1, 2)", "POINT(1 2)", "POINT(1 2)"),
    Value(
        "a line",
        "ST_GEOGFROMTEXT('LINESTRING(0 0, 1 1)')",
        '"LINESTRING(0 0, 1 1)"',
        "LINESTRING(0 0, 1 1)",
    ),
]
_BYTES = [
    Value("none", "FROM_BASE64('')", "", None),
    Value("0 and 255", "FROM_BASE64('AP8=')", "AP8=", "AP8="),
]

#: STRING comes first, in the middle and last: what is at a line's ends may be written otherwise.
#: The row's number follows the first column.
COLUMNS: tuple[Column, ...] = (
    Column("string_first", "STRING", _STRINGS),
    Column(
        "bool",
        "BOOL",
        [Value("TRUE", "TRUE", "true", True), Value("FALSE", "FALSE", "false", False)],
    ),
    Column(
        "int64",
        "INT64",
        _typed("INT64", {text: (text, int(text)) for text in (str(-(2**63)), str(2**63 - 1), "0")}),
    ),
    Column("float64", "FLOAT64", _typed("FLOAT64", _FLOATS)),
    Column("numeric", "NUMERIC", _NUMERICS),
    Column("string_middle", "STRING", _STRINGS),
    Column(
        "date",
        "DATE",
        _typed(
            "DATE",
            {
                text: (text, dt.date.fromisoformat(text))
                for text in ("0001-01-01", "9999-12-31", "2024-02-29")
            },
        ),
    ),
    Column(
        "time",
        "TIME",
        _typed(
            "TIME",
            {
                "00:00:00": ("00:00:00", dt.time()),
                "23:59:59.999999": ("23:59:59.999999", dt.time(23, 59, 59, 999999)),
                "01:02:03.5": ("01:02:03.5", dt.time(1, 2, 3, 500000)),
            },
        ),
    ),
    Column(
        "datetime",
        "DATETIME",
        _typed(
            "DATETIME",
            {
                text: (text, dt.datetime.fromisoformat(text))
                for text in (
                    "0001-01-01T00:00:00",
                    "9999-12-31T23:59:59.999999",
                    "2024-02-29T01:02:03",
                )
            },
        ),
    ),
    Column(
        "timestamp",
        "TIMESTAMP",
        _typed(
            "TIMESTAMP",
            {
                f"{text}+00": (f"{text} UTC", dt.datetime.fromisoformat(text).replace(tzinfo=_UTC))
                for text in (
                    "0001-01-01 00:00:00",
                    "9999-12-31 23:59:59.999999",
                    "1969-12-31 23:59:59.000017",
                    "2024-02-29 23:59:01",
                )
            },
        ),
    ),
    Column("json", "JSON", _JSON),
    Column("bytes", "BYTES", _BYTES, "STRING", is_relied_on=False),
    Column("geography", "GEOGRAPHY", _GEOGRAPHY, "STRING", is_relied_on=False),
    Column("string_last", "STRING", _STRINGS),
)


def header(columns: Sequence[Column] = COLUMNS) -> list[str]:
    """The names of all columns, in order."""
    return [columns[0].name, NUMBER, *(column.name for column in columns[1:])]


def _with_number(fields: Sequence[str], row: int) -> list[str]:
    return [fields[0], str(row), *fields[1:]]


def row_count(columns: Sequence[Column] = COLUMNS) -> int:
    """As many that the last one is NULL in every column."""
    return max(len(column.values) for column in columns) + 1


def query(columns: Sequence[Column] = COLUMNS) -> str:
    """The SELECT of all values; it reads no table, so no bytes are billed."""
    selects = []
    for row in range(row_count(columns)):
        # NULL alone has no type, and a UNION needs one.
        made = [
            f"CAST(NULL AS {column.type})"
            if column.value(row).sql == "NULL"
            else column.value(row).sql
            for column in columns
        ]
        named = zip(_with_number(made, row), header(columns), strict=True)
        selects.append("SELECT " + ",\n  ".join(f"{one} AS {quoted_name(n)}" for one, n in named))
    body = "\nUNION ALL\n".join(selects)
    # Around all of it: names of the result, not of the last SELECT.
    return f"SELECT * FROM (\n{body}\n) AS awkward\nORDER BY {quoted_name(NUMBER)}"


def expected_csv(columns: Sequence[Column] = COLUMNS) -> bytes:
    """The file that this version expects: a header, and a line feed at the end of each record."""
    lines = [",".join(header(columns))]
    for row in range(row_count(columns)):
        texts = [column.value(row).text for column in columns]
        lines.append(",".join(_with_number(texts, row)))
    return "".join(line + "\n" for line in lines).encode()


def read_schema(columns: Sequence[Column] = COLUMNS) -> Any:
    """The Arrow schema that the file is read by."""
    types = {one.name: one.read_as or one.type for one in columns} | {NUMBER: "INT64"}
    return arrow_schema([{"name": name, "type": types[name]} for name in header(columns)])


@dataclass(frozen=True)
class Difference:
    """A field that is not as expected.

    Attributes:
        column, value: which.
        expected, actual: its bytes.
    """

    column: Column
    value: Value
    expected: bytes
    actual: bytes

    def __str__(self) -> str:
        return f"{self.column.type} {self.value.what}: {_shown(self.actual)}"


def _shown(text: bytes) -> str:
    return "nothing" if not text else repr(text.decode("utf-8", "backslashreplace"))


@dataclass
class Comparison:
    """A file beside the expected one.

    Attributes:
        is_equal: byte for byte.
        trouble: why it cannot be compared field by field; empty if it can.
        line_ends: those of its records, in the order in which they came up.
        differences: the fields that are not as expected.
        nulls_are_distinct: whether in every STRING column '' is in quotes and NULL is empty.
    """

    is_equal: bool
    trouble: str = ""
    line_ends: list[bytes] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    nulls_are_distinct: bool = False


def compare(actual: bytes, columns: Sequence[Column] = COLUMNS) -> Comparison:
    """Compares an exported file with the expected one."""
    found = Comparison(actual == expected_csv(columns))
    try:
        records, found.line_ends = split_records(actual)
    except ValueError as error:
        found.trouble = str(error)
        return found
    names = [name.encode() for name in header(columns)]
    if not records or [_unquoted(one) for one in records[0]] != names:
        found.trouble = "its first line does not name the columns"
        return found
    rows = records[1:]
    if len(rows) != row_count(columns) or any(len(row) != len(names) for row in rows):
        found.trouble = f"it has {len(rows)} records, or not {len(names)} fields in each"
        return found
    for at, row in enumerate(rows):
        # Taken out: what is left has the order of the columns.
        if (number := row.pop(1)) != str(at).encode():
            found.trouble = f"its record {at} has the number {_shown(number)}: the order is lost"
            return found
        for column, text in zip(columns, row, strict=True):
            value = column.value(at)
            if text != value.text.encode():
                found.differences.append(Difference(column, value, value.text.encode(), text))
    texts = [
        (column.value(at).read, row[place])
        for at, row in enumerate(rows)
        for place, column in enumerate(columns)
        if column.type == "STRING"
    ]
    found.nulls_are_distinct = all(
        text == (b"" if value is None else b'""') for value, text in texts if value in (None, "")
    )
    return found


def split_records(data: bytes) -> tuple[list[list[bytes]], list[bytes]]:
    """The records of a CSV file with their fields as they are written, quotes and all; and the line
    ends that it has.

    Raises:
        ValueError: it is no CSV.
    """
    records: list[list[bytes]] = []
    ends: dict[bytes, None] = {}
    at = 0
    while at < len(data):
        record: list[bytes] = []
        while True:
            end = _field_end(data, at)
            record.append(data[at:end])
            at = end
            if data[at : at + 1] != b",":
                break
            at += 1
        mark = b"\r\n" if data[at : at + 2] == b"\r\n" else data[at : at + 1]
        ends[mark] = None
        at += len(mark)
        records.append(record)
    return records, list(ends)


def _field_end(data: bytes, at: int) -> int:
    begun = at
    if data[at : at + 1] == b'"':
        at += 1
        while True:
            at = data.find(b'"', at)
            if at < 0:
                raise ValueError(f"the quote at byte {begun} is not closed")
            if data[at + 1 : at + 2] != b'"':
                break
            at += 2
        at += 1
        if at < len(data) and data[at : at + 1] not in (b",", b"\n", b"\r"):
            raise ValueError(f"there is text after the closing quote at byte {at}")
        return at
    while at < len(data) and data[at] not in b",\r\n":
        at += 1
    return at


def _unquoted(text: bytes) -> bytes:
    return text[1:-1].replace(b'""', b'"') if text[:1] == b'"' else text


def misread(
    read: Mapping[str, Sequence[Any]], columns: Sequence[Column] = COLUMNS
) -> list[tuple[Column, Value, Any]]:
    """The values that the engine reads otherwise than they are: column, value and what it read.

    Args:
        read: column → its values, as Python has them.
    """
    return [
        (column, column.value(row), read[column.name][row])
        for column in columns
        for row in range(row_count(columns))
        if not _same(column, column.value(row).read, read[column.name][row])
    ]


def _same(column: Column, expected: Any, actual: Any) -> bool:
    if expected is None or actual is None:
        return expected is actual
    if isinstance(expected, float):
        # By its bits: -0.0 is not 0.0; but any NaN is NaN.
        both_nan = math.isnan(expected) and math.isnan(actual)
        return both_nan or struct.pack("<d", expected) == struct.pack("<d", actual)
    if column.type == "JSON":
        return bool(json.loads(expected) == json.loads(actual))
    return bool(expected == actual)
