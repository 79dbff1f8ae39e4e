"""What can be told of a GoogleSQL text without running it.

A few questions about its tokens: is it one query, what orders it, which tables does it name, and
would it give the same again. Nothing looks at the raw text, so words in strings and comments count
for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hayate.errors import UsageError, Where
from hayate.google.tokens import Kind, Token, tokens


def normalized(text: str) -> str:
    """The statement without comments, with one blank where there were any, without the last
    semicolons: what is equal after this means the same. Names and strings stay as they are."""
    out, end = "", None
    for token in query_tokens(tokens(text)):
        if end is not None and token.start > end:
            out += " "
        out += token.text
        end = token.end
    return out


def query_tokens(found: Sequence[Token]) -> list[Token]:
    """The tokens without semicolons at the end."""
    last = len(found)
    while last > 0 and found[last - 1].text == ";":
        last -= 1
    return list(found[:last])


def parameters(found: Sequence[Token]) -> tuple[set[str], int]:
    """The names of named parameters, in small letters, and how many positional ones there are."""
    given = [token for token in found if token.kind is Kind.PARAMETER]
    names = {token.name.lower() for token in given if token.text != "?"}
    return names, sum(token.text == "?" for token in given)


def check_query(text: str) -> list[Token]:
    """The tokens of a text that is one query.

    Raises:
        UsageError: it is empty, several statements, or a statement that is no query.
    """
    found = query_tokens(tokens(text))
    where = Where(object="the SQL")
    if not found:
        raise UsageError("the SQL has no statement", where, "Give a SELECT.")
    for token in found:
        if token.text == ";" and token.kind is Kind.SYMBOL:
            line = text.count("\n", 0, token.start) + 1
            raise UsageError(
                "the SQL is more than one statement",
                Where(object="the SQL", line=line),
                "Give one SELECT. What comes before it (DECLARE, CREATE TEMP FUNCTION, …) can be "
                "params=, a WITH clause, or a function that is stored in a dataset.",
            )
    first = next((token for token in found if token.text != "("), found[0])
    if first.upper not in ("SELECT", "WITH", "FROM"):
        raise UsageError(
            f"the SQL begins with {first.text[:40]}, which is no query",
            Where(object="the SQL", line=text.count("\n", 0, first.start) + 1),
            "Give a SELECT (it may begin with WITH); EXPORT DATA is written by hayate.",
        )
    return found


@dataclass(frozen=True)
class OrderKey:
    """One key of an ORDER BY: its expression, and the words behind it (DESC, NULLS LAST, …)."""

    expression: tuple[Token, ...]
    direction: tuple[Token, ...]


@dataclass(frozen=True)
class Ordering:
    """What is at the end of a query.

    Attributes:
        body_end: where in the text the query ends without its ORDER BY and LIMIT.
        begin: where in the text the query itself begins, behind parentheses around all of it.
        keys: of the ORDER BY; empty if there is none.
        limit: the text from LIMIT on, or empty.
        is_pipe: whether the query is written with pipes (|>), whose parts cannot be taken apart.
    """

    begin: int
    body_end: int
    keys: tuple[OrderKey, ...]
    limit: str
    is_pipe: bool

    @property
    def is_ordered(self) -> bool:
        """Whether the query says an order."""
        return bool(self.keys)


def ordering(text: str) -> Ordering:
    """How a query is ordered and limited at its top level.

    Raises:
        UsageError: see check_query.
    """
    found = _inside_parentheses(check_query(text))
    level = list(_top_level(found))
    pipe = any(token.text == "|>" for _, token in level)
    by = [
        at
        for at, token in level
        if token.upper == "ORDER" and at + 1 < len(found) and found[at + 1].upper == "BY"
    ]
    order = by[-1] if by else None
    limits = [at for at, token in level if token.upper == "LIMIT" and at > (order or 0)]
    # A column or an alias may be named limit; the clause stands before a number or a parameter.
    limits = [at for at in limits if _is_limit(found, at)]
    limit = limits[-1] if limits else None
    end = found[-1].end
    body = order if order is not None else limit
    keys = () if order is None else _order_keys(found[order + 2 : limit])
    return Ordering(
        begin=found[0].start,
        body_end=end if body is None else found[body - 1].end if body else found[0].start,
        keys=keys,
        limit="" if limit is None else text[found[limit].start : end],
        is_pipe=pipe,
    )


def _is_limit(found: Sequence[Token], at: int) -> bool:
    if at == 0 or found[at - 1].text == "." or at + 1 >= len(found):
        return False
    following = found[at + 1]
    return following.kind in (Kind.NUMBER, Kind.PARAMETER) or following.upper in (
        "ALL",
        "CAST",
        "(",
    )


def _inside_parentheses(found: list[Token]) -> list[Token]:
    """Without parentheses that are around all of the query."""
    while found and found[0].text == "(" and _closing(found, 0) == len(found) - 1:
        found = found[1:-1]
    return found


def _closing(found: Sequence[Token], at: int) -> int:
    depth = 0
    for place in range(at, len(found)):
        depth += _depth_change(found[place])
        if depth == 0:
            return place
    return len(found)


def _depth_change(token: Token) -> int:
    if token.kind is not Kind.SYMBOL:
        return 0
    return 1 if token.text in "([{" else -1 if token.text in ")]}" else 0


def _top_level(found: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """The tokens outside of parentheses, with their places."""
    depth = 0
    for place, token in enumerate(found):
        change = _depth_change(token)
        if depth == 0 and change == 0:
            yield place, token
        depth += change


def _order_keys(found: Sequence[Token]) -> tuple[OrderKey, ...]:
    keys: list[OrderKey] = []
    begin = 0
    commas = [at for at, token in _top_level(found) if token.text == ","]
    for comma in (*commas, len(found)):
        key = found[begin:comma]
        words = [at for at, one in _top_level(key) if one.upper in ("ASC", "DESC", "NULLS")]
        # The expression has at least one token, whatever it is named.
        split = next((at for at in words if at > 0 and key[at - 1].text != "."), len(key))
        collate = [at for at, one in _top_level(key) if one.upper == "COLLATE" and at > 0]
        split = min([split, *collate])
        keys.append(OrderKey(tuple(key[:split]), tuple(key[split:])))
        begin = comma + 1
    return tuple(keys)


# Functions and clauses that give something else each time, or that read what has no change date.
_CURRENT = {"CURRENT_DATE", "CURRENT_TIME", "CURRENT_DATETIME", "CURRENT_TIMESTAMP"}
_VARYING_CALLS = {
    "RAND",
    "GENERATE_UUID",
    "SESSION_USER",
    "EXTERNAL_QUERY",
    "APPENDS",
    "CHANGES",
    "VECTOR_SEARCH",
    "NEW_KEYSET",
    "NEW_WRAPPED_KEYSET",
    "ROTATE_KEYSET",
    "REWRAP_KEYSET",
    "ROTATE_WRAPPED_KEYSET",
    "ADD_KEY_FROM_RAW_BYTES",
    "ENCRYPT",
}
#: Namespaces of built-in functions: what is called in them is no function of the user.
_NAMESPACES = {"SAFE", "NET", "HLL_COUNT", "KEYS", "AEAD", "KLL_QUANTILES", "OBJ"}
#: Namespaces whose functions ask models.
_MODEL_NAMESPACES = {"ML", "AI", "BQML"}


@dataclass(frozen=True)
class Varying:
    """A word that makes a query give something else the next time."""

    word: str
    line: int

    def __str__(self) -> str:
        return f"{self.word} in line {self.line}"


def varying(text: str) -> Varying | None:
    """The first word that makes the query non-deterministic, or its inputs untraceable.

    In doubt a query is held to vary: a call of a function that is not built in, a model, a remote
    query, a system variable. What may differ between two right answers (ANY_VALUE, LIMIT without
    ORDER BY) does not count: each is as good as the other.

    Raises:
        UsageError: the text has an unclosed string, name or comment.
    """
    found = tokens(text)
    for at, token in enumerate(found):
        if word := _varying_word(found, at):
            return Varying(word, text.count("\n", 0, token.start) + 1)
    return None


def _varying_word(found: Sequence[Token], at: int) -> str:
    token = found[at]
    following = found[at + 1].text if at + 1 < len(found) else ""
    if token.kind is Kind.SYSTEM:
        return token.text
    upper = token.upper
    if token.kind is Kind.QUOTED and following == "(":
        # A backticked name may also be that of a built-in function, which never has a dot.
        upper = token.name.upper()
        if "." in upper or upper not in _VARYING_CALLS | _CURRENT:
            return _user_call(found, at)
    elif token.kind is not Kind.WORD:
        return ""
    path = _path_before(found, at)
    if upper in _CURRENT and path in ([], ["SAFE"]):
        return upper
    if upper == "TABLESAMPLE" and not path and following.upper() == "SYSTEM":
        return upper
    if upper == "SYSTEM_TIME" and at > 0 and found[at - 1].upper == "FOR":
        return "FOR SYSTEM_TIME AS OF"
    if upper == "DIFFERENTIAL_PRIVACY" and at > 0 and found[at - 1].upper == "WITH":
        return upper  # adds noise
    if following != "(":
        return ""
    if path and path[0] in _MODEL_NAMESPACES:
        return ".".join([*path, upper])
    if upper in _VARYING_CALLS and (not path or path[0] in _NAMESPACES):
        return ".".join([*path, upper])
    if upper == "SESSION_USER":
        return upper
    return _user_call(found, at) if path and path[0] not in _NAMESPACES else ""


def _path_before(found: Sequence[Token], at: int) -> list[str]:
    """The names before a name: of a.b.c those before c, in capitals."""
    path: list[str] = []
    while at >= 2 and found[at - 1].text == "." and found[at - 2].kind in (Kind.WORD, Kind.QUOTED):
        at -= 2
        path.insert(0, found[at].name.upper())
    return path


def _user_call(found: Sequence[Token], at: int) -> str:
    # WITH `a` AS (…) and the like: a quoted name before a parenthesis that is no call.
    if found[at].kind is Kind.QUOTED and not _path_before(found, at) and "." not in found[at].name:
        previous = found[at - 1].upper if at else ""
        if previous in ("AS", "WITH", "RECURSIVE", ","):
            return ""
    name = ".".join([*(part.lower() for part in _path_before(found, at)), found[at].name])
    return f"the function {name}"


def table_paths(text: str) -> list[str]:
    """The paths that stand where a table can stand, in order, each once: "project.dataset.table",
    "dataset.table" or "table"; names of WITH clauses and of array columns among them.

    Raises:
        UsageError: the text has an unclosed string, name or comment.
    """
    found = tokens(text)
    paths: dict[str, None] = {}
    in_from = [False]
    for at, token in enumerate(found):
        change = _depth_change(token)
        if change > 0:
            # FROM (a, b JOIN c) continues the list of tables.
            in_from.append(in_from[-1] and at > 0 and found[at - 1].upper in ("FROM", "JOIN", ","))
        elif change < 0 and len(in_from) > 1:
            in_from.pop()
        elif token.upper in ("FROM", "JOIN"):
            in_from[-1] = True
        elif token.upper in _AFTER_FROM or token.text == "|>":
            in_from[-1] = False
        opens = token.upper in ("FROM", "JOIN") or (token.text in (",", "(") and in_from[-1])
        if opens and (path := _path_at(found, at + 1)):
            paths[path] = None
    return list(paths)


_AFTER_FROM = {
    "WHERE", "GROUP", "HAVING", "QUALIFY", "WINDOW", "ORDER", "LIMIT", "SELECT", "UNION",
    "INTERSECT", "EXCEPT", "ON", "USING",
}  # fmt: skip


def _path_at(found: Sequence[Token], at: int) -> str:
    """The dotted path that begins there, dashes of a project's name included."""
    if at >= len(found) or found[at].kind not in (Kind.WORD, Kind.QUOTED):
        return ""
    if found[at].upper in ("SELECT", "WITH", "FROM", "UNNEST"):
        return ""
    path, end = found[at].name, found[at].end
    at += 1
    while at + 1 < len(found):
        joint, part = found[at], found[at + 1]
        # A dash belongs to a name only where there are no blanks around it.
        dash = joint.text == "-" and joint.start == end and part.start == joint.end
        if joint.text != "." and not dash:
            break
        if part.kind not in (Kind.WORD, Kind.QUOTED, Kind.NUMBER) and part.text != "*":
            break
        path, end = path + joint.text + part.name, part.end
        at += 2
    if at < len(found) and found[at].text == "*" and found[at].start == end:
        path += "*"
    return path


def unexportable_table(text: str) -> str:
    """The first table that EXPORT DATA cannot read: a wildcard table, INFORMATION_SCHEMA, a table
    of the system; empty if there is none.

    Raises:
        UsageError: the text has an unclosed string, name or comment.
    """
    for path in table_paths(text):
        parts = path.upper().split(".")
        if path.endswith("*") or "INFORMATION_SCHEMA" in parts:
            return path
        if parts[-1].startswith("__TABLES"):
            return path
    return ""
