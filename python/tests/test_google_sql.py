"""hayate.google.sql: what is told of a GoogleSQL text."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hayate as hy
from hayate.google import sql as googlesql
from hayate.google.tokens import Kind, quoted_name, quoted_string, tokens, unquoted

_TOKENS = st.sampled_from(
    [
        (Kind.WORD, "SELECT"),
        (Kind.WORD, "rand"),
        (Kind.WORD, "größe_1"),
        (Kind.QUOTED, "`a b`"),
        (Kind.QUOTED, r"`a\`b`"),
        (Kind.QUOTED, "`--x`"),
        (Kind.STRING, "''"),
        (Kind.STRING, '""'),
        (Kind.STRING, "'it'"),
        (Kind.STRING, r"'\''"),
        (Kind.STRING, r"r'\''"),
        (Kind.STRING, r'''rB"\"--"'''),
        (Kind.STRING, "'''a'b\n''c'''"),
        (Kind.STRING, '"""a"b\n/* x"""'),
        (Kind.STRING, "bR'''\\'''x'''"),
        (Kind.STRING, "b'/*'"),
        (Kind.NUMBER, "1.5e-10"),
        (Kind.NUMBER, "0xFF"),
        (Kind.NUMBER, ".5"),
        (Kind.NUMBER, "12"),
        (Kind.PARAMETER, "@day"),
        (Kind.PARAMETER, "@`day`"),
        (Kind.PARAMETER, "?"),
        (Kind.SYSTEM, "@@time_zone"),
        (Kind.SYMBOL, "("),
        (Kind.SYMBOL, ","),
        (Kind.SYMBOL, "|>"),
        (Kind.SYMBOL, "."),
        (Kind.SYMBOL, ";"),
    ]
)
_TRIVIA = st.sampled_from(
    [" ", "\n", "\t ", "\r\n", "-- it's ; \"x\n", "# `\n", "/* ' \n -- */", "/**/", " /*(*/ "]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_TRIVIA, _TOKENS), max_size=20), _TRIVIA)
def test_tokens_are_found_between_any_blanks_and_comments(
    parts: list[tuple[str, tuple[Kind, str]]], end: str
) -> None:
    text = "".join(trivia + token for trivia, (_, token) in parts) + end
    found = tokens(text)
    assert [(one.kind, one.text) for one in found] == [token for _, token in parts]
    assert all(text[one.start : one.end] == one.text for one in found)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_TRIVIA, _TRIVIA, _TOKENS), max_size=20))
def test_comments_and_blanks_do_not_change_what_is_compared(
    parts: list[tuple[str, str, tuple[Kind, str]]],
) -> None:
    one = "".join(first + token for first, _, (_, token) in parts)
    other = "".join(second + token for _, second, (_, token) in parts) + " -- end\n;"
    assert googlesql.normalized(one) == googlesql.normalized(other)
    again = googlesql.normalized(googlesql.normalized(one))
    assert again == googlesql.normalized(one)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="aR'\"`\\\n -/*#@?.(){}|>;,1eé\x00", max_size=40))
def test_any_text_gives_tokens_or_one_kind_of_error(text: str) -> None:
    try:
        found = tokens(text)
    except hy.UsageError as error:
        assert error.where.line is not None and error.fix
        return
    # Between the tokens is nothing but blanks and comments.
    assert [one.start for one in found] == sorted(one.start for one in found)
    assert all(before.end <= after.start for before, after in itertools.pairwise(found))
    googlesql.varying(text)
    googlesql.table_paths(text)
    googlesql.normalized(text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20))
def test_quoted_names_and_strings_stand_for_what_was_quoted(name: str) -> None:
    quoted = quoted_name(name)
    [token] = tokens(quoted)
    assert (token.kind, token.text) == (Kind.QUOTED, quoted)
    assert unquoted(quoted) == name
    literal = quoted_string(name)
    [token] = tokens(literal)
    assert (token.kind, token.text) == (Kind.STRING, literal)
    assert unquoted(literal) == name


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("", "no statement", None),
        (" -- nothing\n;", "no statement", None),
        ("SELECT 1;\nSELECT 2", "more than one", 1),
        ("CREATE TEMP FUNCTION f() AS (1);\nSELECT f()", "more than one", 1),
        ("\nDELETE FROM t WHERE true", "DELETE, which is no query", 2),
        ("EXPORT DATA OPTIONS() AS SELECT 1", "EXPORT, which is no query", 1),
        ("SELECT\n'open", "string in the SQL is not closed", 2),
        ("SELECT 'a\nb'", "string in the SQL is not closed", 1),
        ("SELECT /* a", "comment in the SQL is not closed", 1),
        ("SELECT `a", "quoted name in the SQL is not closed", 1),
        ('SELECT """a"', "string in the SQL is not closed", 1),
    ],
)
def test_what_is_no_query_is_refused(text: str, what: str, line: int | None) -> None:
    with pytest.raises(hy.UsageError, match=what) as caught:
        googlesql.check_query(text)
    assert caught.value.where.line == line


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;",
        "((SELECT 1))",
        "WITH a AS (SELECT ';') SELECT * FROM a -- ;",
        "FROM t |> LIMIT 1",
    ],
)
def test_queries_are_taken(text: str) -> None:
    assert googlesql.check_query(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("SELECT CURRENT_DATE", "CURRENT_DATE"),
        ("SELECT current_timestamp()", "CURRENT_TIMESTAMP"),
        ("SELECT CURRENT_DATETIME('Asia/Tokyo')", "CURRENT_DATETIME"),
        ("SELECT EXTRACT(HOUR FROM CURRENT_TIME)", "CURRENT_TIME"),
        ("SELECT rand ( )", "RAND"),
        ("SELECT `rand`()", "RAND"),
        ("SELECT SAFE.RAND()", "SAFE.RAND"),
        ("SELECT GENERATE_UUID()", "GENERATE_UUID"),
        ("SELECT SESSION_USER()", "SESSION_USER"),
        ("SELECT @@project_id", "@@project_id"),
        ("SELECT * FROM d.t FOR SYSTEM_TIME AS OF @t", "FOR SYSTEM_TIME AS OF"),
        ("SELECT * FROM d.t TABLESAMPLE SYSTEM (10 PERCENT)", "TABLESAMPLE"),
        ("SELECT * FROM EXTERNAL_QUERY('c', 'q')", "EXTERNAL_QUERY"),
        ("SELECT * FROM ML.PREDICT(MODEL d.m, TABLE d.t)", "ML.PREDICT"),
        ("SELECT * FROM AI.FORECAST(TABLE d.t)", "AI.FORECAST"),
        ("SELECT AEAD.ENCRYPT(a, b, c) FROM d.t", "AEAD.ENCRYPT"),
        ("SELECT d.f(1)", "the function d.f"),
        ("SELECT `p.d.f`(1)", "the function p.d.f"),
        ("SELECT * FROM d.tvf(1)", "the function d.tvf"),
        (
            "SELECT WITH DIFFERENTIAL_PRIVACY OPTIONS(epsilon = 1) a FROM d.t",
            "DIFFERENTIAL_PRIVACY",
        ),
        ("SELECT * FROM APPENDS(TABLE d.t, NULL, NULL)", "APPENDS"),
    ],
)
def test_words_that_give_something_else_each_time(text: str, word: str) -> None:
    found = googlesql.varying("SELECT 1 AS a,\n(" + text + ")")
    assert found is not None
    assert (found.word, found.line) == (word, 2)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'RAND()', \"CURRENT_DATE\" -- RAND()\nFROM d.t /* @@x */",
        "SELECT t.current_date, t.`current_date`, rand FROM d.t",
        "SELECT * FROM d.t WHERE day = @current_date",
        "WITH rand AS (SELECT 1) SELECT * FROM rand",
        "WITH `a` AS (SELECT 1), `b` AS (SELECT 2) SELECT * FROM `a`, `b`",
        "SELECT NET.HOST(u), SAFE.SUBSTR(u, 1), HLL_COUNT.INIT(u) FROM d.t",
        "SELECT COUNT(*) FROM d.t WHERE t.a IN (1, 2) AND (b OR c)",
        "SELECT a.b, c FROM d.t JOIN d.u USING (a)",
        "SELECT SUM(x) OVER (PARTITION BY t.y ORDER BY z) FROM d.t",
        "SELECT * FROM d.t, UNNEST(t.items)",
    ],
)
def test_words_that_only_look_like_it(text: str) -> None:
    assert googlesql.varying(text) is None


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("SELECT * FROM `p.d.t`", ["p.d.t"]),
        ("SELECT * FROM my-project.d.t AS x", ["my-project.d.t"]),
        ("SELECT * FROM `p`.d.`t`", ["p.d.t"]),
        ("SELECT a, b FROM d.t, d.u LEFT JOIN d.v USING (a) WHERE a IN (SELECT x FROM d.w)",
         ["d.t", "d.u", "d.v", "d.w"]),
        ("SELECT * FROM (d.t CROSS JOIN d.u)", ["d.t", "d.u"]),
        ("SELECT * FROM (SELECT 1), UNNEST([1])", []),
        ("WITH c AS (SELECT * FROM d.t) SELECT * FROM c", ["d.t", "c"]),
        ("SELECT 'FROM d.x' -- FROM d.y\nFROM d.t", ["d.t"]),
        ("FROM d.t |> JOIN d.u ON TRUE |> SELECT a, b.c", ["d.t", "d.u"]),
        ("SELECT * FROM d.events_*", ["d.events_*"]),
        ("SELECT * FROM `p.d.events_*`", ["p.d.events_*"]),
    ],
)  # fmt: skip
def test_tables_that_a_query_names(text: str, paths: list[str]) -> None:
    assert googlesql.table_paths(text) == paths


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("SELECT * FROM `d.events_*` WHERE _TABLE_SUFFIX = '1'", "d.events_*"),
        ("SELECT * FROM d.INFORMATION_SCHEMA.TABLES", "d.INFORMATION_SCHEMA.TABLES"),
        ("SELECT * FROM `region-us`.information_schema.jobs", "region-us.information_schema.jobs"),
        ("SELECT * FROM d.__TABLES__", "d.__TABLES__"),
        ("SELECT 'd.events_*', a * b FROM d.t", ""),
        ("SELECT COUNT(*) FROM d.t -- INFORMATION_SCHEMA", ""),
    ],
)
def test_tables_that_cannot_be_exported(text: str, table: str) -> None:
    assert googlesql.unexportable_table(text) == table


def _order(text: str) -> tuple[str, list[tuple[str, str]], str]:
    end = googlesql.ordering(text)
    keys = [
        ("".join(t.text for t in key.expression), " ".join(t.text for t in key.direction))
        for key in end.keys
    ]
    return text[end.begin : end.body_end], keys, end.limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a FROM t", ("SELECT a FROM t", [], "")),
        ("SELECT a FROM t ORDER BY a;", ("SELECT a FROM t", [("a", "")], "")),
        (
            "SELECT a FROM t -- x\nORDER BY a DESC NULLS LAST, f(a,b), 2 ASC LIMIT 5 OFFSET 1 -- y",
            ("SELECT a FROM t", [("a", "DESC NULLS LAST"), ("f(a,b)", ""), ("2", "ASC")],
             "LIMIT 5 OFFSET 1"),
        ),
        ("(SELECT a FROM t ORDER BY 1)", ("SELECT a FROM t", [("1", "")], "")),
        ("SELECT a FROM t LIMIT @n", ("SELECT a FROM t", [], "LIMIT @n")),
        ("SELECT limit FROM t ORDER BY t.limit", ("SELECT limit FROM t", [("t.limit", "")], "")),
        (
            "SELECT MAX(a ORDER BY b LIMIT 1), RANK() OVER (ORDER BY c) FROM (SELECT 1 FROM t "
            "ORDER BY d)",
            ("SELECT MAX(a ORDER BY b LIMIT 1), RANK() OVER (ORDER BY c) FROM (SELECT 1 FROM t "
             "ORDER BY d)", [], ""),
        ),
        ("(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
         ("(SELECT 1) UNION ALL (SELECT 2)", [("1", "")], "")),
        ("SELECT a FROM t ORDER BY a COLLATE 'und:ci' DESC",
         ("SELECT a FROM t", [("a", "COLLATE 'und:ci' DESC")], "")),
    ],
)  # fmt: skip
def test_order_and_limit_at_the_top_level(
    text: str, expected: tuple[str, list[tuple[str, str]], str]
) -> None:
    assert _order(text) == expected


def test_pipes_are_seen() -> None:
    assert googlesql.ordering("FROM t |> ORDER BY a |> LIMIT 3").is_pipe
    assert not googlesql.ordering("SELECT (SELECT 1 FROM t |> LIMIT 3)").is_pipe


def test_parameters_are_counted_outside_of_strings() -> None:
    found = tokens("SELECT @Day, @`n`, '@x', \"?\", @@y, @day -- @z")
    assert googlesql.parameters(found) == ({"day", "n"}, 0)
    assert googlesql.parameters(tokens("SELECT ?, ? -- ?")) == (set(), 2)
