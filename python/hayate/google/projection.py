"""The SELECT around the user's query that makes an export exact.

Two things cannot be told from an exported file, or are not documented well enough to rest on: in
CSV whether an empty field is NULL or the empty string, and how GEOGRAPHY, INTERVAL and RANGE are
written. So the columns of these types are replaced by expressions; all others, and their order, are
as the user's query has them.

**STRING and BYTES in CSV.** NULL stays NULL, and is an empty field, whether BigQuery quotes that or
not. What would be empty gets the mark ``~`` in front, and so does what begins with it, which makes
the code unambiguous; everything else stays as it is and costs nothing:

==========  ==========
value       is exported as
==========  ==========
NULL        NULL
``''``      ``~``
``'~x'``    ``'~~x'``
``'x'``     ``'x'``
==========  ==========

BYTES are exported as base64 text, made by TO_BASE64, which never begins with the mark. The reader
(option `empty_mark` of the engine) takes, in columns of STRING and BYTES only, an empty field for
NULL, quoted or not, and takes one mark off the front of a value that begins with it.

**Order.** An ORDER BY inside of a subquery binds nobody, so it is moved to the outer SELECT,
together with LIMIT. There its keys mean the same if they are columns of the result, by name or
number, which are then taken from the inner query: sorted is what the user has, not what is written.
Other keys (expressions, columns that are not selected) cannot be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from hayate.errors import UsageError, Where
from hayate.google.sql import Ordering, OrderKey, ordering
from hayate.google.tokens import Kind, quoted_name
from hayate.google.types import Field, Schema, is_repeated, selected, standard_type

Format = Literal["csv", "parquet"]

#: In front of exported values that are empty or begin with it.
EMPTY_MARK = "~"
_INNER = "hayate_query"


@dataclass(frozen=True)
class Projection:
    """What is exported instead of the user's query.

    Attributes:
        sql: the query.
        is_marked: whether STRING and BYTES columns carry the mark, so that the reader has to take
            it off (its option ``empty_mark``).
        has_all_columns: whether `sql` gives columns that were not asked for, or in another order:
            the reader then chooses.
    """

    sql: str
    is_marked: bool
    has_all_columns: bool


def project(
    sql: str,
    schema: Schema,
    format_name: Format,
    columns: Sequence[str] | None = None,
    *,
    nulls_are_distinct: bool = False,
) -> Projection:
    """The query to export.

    Args:
        sql: the user's query, one SELECT.
        schema: of its result, from a dry run.
        format_name: what is exported.
        columns: the columns that are wanted, in order; by default all.
        nulls_are_distinct: whether it is known of this project that BigQuery's CSV has the empty
            string in quotes and NULL without; then STRING columns stay as they are.

    Raises:
        UsageError: a column must be replaced, or is to be left out, and the ORDER BY cannot be
            moved outward; says what to write instead.
    """
    fields = selected(schema, columns)
    marks = format_name == "csv" and not nulls_are_distinct
    replaced = {
        str(field["name"]): text
        for field in fields
        if (text := _expression(field, format_name, marks)) is not None
    }
    marked = marks and any(standard_type(field) in ("STRING", "BYTES") for field in fields)
    same = [field["name"] for field in fields] == [field["name"] for field in schema]
    if not replaced and same:
        return Projection(sql, is_marked=False, has_all_columns=False)
    end = ordering(sql)
    try:
        tail = _tail(end, schema)
    except UsageError:
        if replaced:
            raise
        # Leaving out columns is the reader's work then: dearer, but right.
        return Projection(sql, is_marked=False, has_all_columns=True)
    if same:
        replacements = ", ".join(f"{text} AS {quoted_name(n)}" for n, text in replaced.items())
        chosen = f"* REPLACE ({replacements})"
    else:
        chosen = ", ".join(_column(str(field["name"]), replaced) for field in fields)
    inner = sql[end.begin : end.body_end]
    outer = f"SELECT {chosen} FROM (\n{inner}\n) AS {_INNER}{tail}"
    return Projection(outer, is_marked=marked, has_all_columns=False)


def from_table(sql: str, schema: Schema, table: str) -> str:
    """The query that reads, from the table that holds the result of `sql`, the rows in its order.

    Args:
        table: its path, project.dataset.table.

    Raises:
        UsageError: the ORDER BY sorts by what is no column of the result.
    """
    end = ordering(sql)
    names = [str(field["name"]) for field in schema]
    if end.is_pipe and end.is_ordered:
        raise _immovable("is part of a query with pipes (|>)")
    keys = []
    for key in end.keys:
        name = _key_name(key, names)
        if name is None:
            raise _immovable(f"sorts by {_words(key)}, which is no column of the result")
        keys.append(quoted_name(name) + "".join(f" {token.text}" for token in key.direction))
    order = f"\nORDER BY {', '.join(keys)}" if keys else ""
    return f"SELECT * FROM {quoted_name(table)}{order}"


def _words(key: OrderKey) -> str:
    return " ".join(token.text for token in key.expression)


def _column(name: str, replaced: dict[str, str]) -> str:
    text = replaced.get(name)
    return f"{_INNER}.{quoted_name(name)}" if text is None else f"{text} AS {quoted_name(name)}"


def _expression(field: Field, format_name: Format, marks: bool) -> str | None:
    """What the column is exported as; None: as it is."""
    make = _EXPRESSIONS.get(standard_type(field))
    if make is None or is_repeated(field):
        return None
    return make(f"{_INNER}.{quoted_name(str(field['name']))}", format_name, marks)


def _string(column: str, format_name: Format, marks: bool) -> str | None:
    if format_name != "csv" or not marks:
        return None
    mark = f"'{EMPTY_MARK}'"
    return f"IF({column} = '' OR STARTS_WITH({column}, {mark}), CONCAT({mark}, {column}), {column})"


def _bytes(column: str, format_name: Format, marks: bool) -> str | None:
    if format_name != "csv":
        return None
    if not marks:
        return f"TO_BASE64({column})"
    return f"IF(LENGTH({column}) = 0, '{EMPTY_MARK}', TO_BASE64({column}))"


def _cast(column: str, format_name: Format, marks: bool) -> str:
    return f"CAST({column} AS STRING)"


def _well_known_text(column: str, format_name: Format, marks: bool) -> str:
    return f"ST_ASTEXT({column})"


_EXPRESSIONS: dict[str, Callable[[str, Format, bool], str | None]] = {
    "STRING": _string,
    "BYTES": _bytes,
    "INTERVAL": _cast,
    "RANGE": _cast,
    "GEOGRAPHY": _well_known_text,
}


def _tail(end: Ordering, schema: Schema) -> str:
    """ORDER BY and LIMIT as they are written behind the outer SELECT."""
    names = [str(field["name"]) for field in schema]
    if end.is_pipe and (end.is_ordered or end.limit):
        raise _immovable("is part of a query with pipes (|>)")
    tail = ""
    if end.is_ordered:
        tail += "\nORDER BY " + ", ".join(_key(key, names) for key in end.keys)
    return tail + (f"\n{end.limit}" if end.limit else "")


def _key(key: OrderKey, names: list[str]) -> str:
    name = _key_name(key, names)
    if name is None:
        raise _immovable(f"sorts by {_words(key)}, which is no column of the result")
    words = "".join(f" {token.text}" for token in key.direction)
    return f"{_INNER}.{quoted_name(name)}{words}"


def _key_name(key: OrderKey, names: list[str]) -> str | None:
    if len(key.expression) != 1:
        return None
    token = key.expression[0]
    if token.kind is Kind.NUMBER and token.text.isdigit():
        place = int(token.text) - 1
        return names[place] if 0 <= place < len(names) else None
    if token.kind not in (Kind.WORD, Kind.QUOTED):
        return None
    return next((name for name in names if name.lower() == token.name.lower()), None)


def _immovable(why: str) -> UsageError:
    return UsageError(
        f"the ORDER BY {why}, so it cannot be kept while columns are made safe for the export",
        Where(object="the SQL"),
        'Select what it sorts by, under a name, and sort by that name; or use format="parquet", '
        "which needs this only for GEOGRAPHY, INTERVAL and RANGE.",
    )
