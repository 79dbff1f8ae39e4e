"""Reads GoogleSQL with the parser that bqemulator brings; a program run by bqemulator's Python.

A line of standard input is a JSON string with a statement, a line of standard output is a JSON
object with the members of ``emulators.sql.Statement``, or with ``error``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import sqlglot  # type: ignore[import-not-found]
from sqlglot import exp
from sqlglot.tokens import Token, TokenType  # type: ignore[import-not-found]

DIALECT = "bigquery"
TARGETS = (
    exp.Alter,
    exp.Create,
    exp.Delete,
    exp.Drop,
    exp.Insert,
    exp.Merge,
    exp.TruncateTable,
    exp.Update,
)


def parts(table: exp.Table) -> list[str]:
    """The dotted parts of a name, however its backticks are set."""
    named = [part.name for part in (table.args.get("catalog"), table.args.get("db")) if part]
    return [word for name in (*named, table.name) for word in name.split(".")]


def target_of(tree: exp.Expression) -> exp.Table | None:
    """The table that a statement changes."""
    if not isinstance(tree, TARGETS):
        return None
    target = tree.expressions[0] if isinstance(tree, exp.TruncateTable) else tree.this
    if isinstance(target, exp.Schema):
        target = target.this
    return target if isinstance(target, exp.Table) else None


def tables_of(tree: exp.Expression) -> list[list[str]]:
    """What a statement reads, without what it defines itself."""
    defined = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    target = target_of(tree)
    found = []
    for table in tree.find_all(exp.Table):
        names = parts(table)
        is_defined = len(names) == 1 and names[0].lower() in defined
        if table is not target and names and not is_defined and names not in found:
            found.append(names)
    return found


def export_of(tokens: list[Token], text: str) -> dict[str, Any]:
    """The options and the query of EXPORT DATA, cut out of the text as it stands."""
    options: dict[str, Any] = {}
    start = next(i for i, token in enumerate(tokens) if token.token_type is TokenType.L_PAREN)
    i = start + 1
    while tokens[i].token_type is not TokenType.R_PAREN:
        name, value = tokens[i].text.lower(), tokens[i + 2]
        if value.token_type in (TokenType.TRUE, TokenType.FALSE):
            options[name] = value.token_type is TokenType.TRUE
        else:
            options[name] = value.text
        i += 3
        if tokens[i].token_type is TokenType.COMMA:
            i += 1
    return {"options": options, "query": text[tokens[i + 1].end + 1 :].strip().rstrip(";")}


def is_geography(projection: exp.Expression) -> bool:
    function = projection.unalias()
    name = function.sql_name() if isinstance(function, exp.Func) else ""
    if isinstance(function, exp.Anonymous):
        name = function.name
    return name.upper().startswith("ST_GEOG")


def read(text: str) -> dict[str, Any]:
    tokens = sqlglot.tokenize(text, read=DIALECT)
    words = [token.text.upper() for token in tokens[:2]]
    if words == ["EXPORT", "DATA"]:
        export = export_of(tokens, text)
        try:
            inner = read(export["query"])
        except sqlglot.errors.SqlglotError:
            inner = read("SELECT 1")  # What is wrong with the query, bqemulator will say.
        return {**inner, "kind": "EXPORT_DATA", **export}
    trees = [tree for tree in sqlglot.parse(text, read=DIALECT) if tree is not None]
    if not trees:
        raise ValueError("Syntax error: Unexpected end of statement")
    tree = trees[0]
    target = target_of(tree)
    query = tree.args.get("expression") if isinstance(tree, exp.Create) else None
    schema = tree.this if isinstance(tree, exp.Create) else None
    # The parser drops the star of a wildcard table, so the words are looked at.
    quoted = [token.text for token in tokens if token.token_type is TokenType.IDENTIFIER]
    projections = tree.selects if isinstance(tree, exp.Query) else []
    return {
        "kind": tree.key.upper() if len(trees) == 1 else "SCRIPT",
        "created": str(tree.args.get("kind") or "").upper(),
        "tables": tables_of(tree),
        "target": parts(target) if target is not None else [],
        "definition": query.sql(dialect=DIALECT) if query is not None else "",
        "columns": {
            column.name: column.args["kind"].sql(dialect=DIALECT)
            for column in (schema.expressions if isinstance(schema, exp.Schema) else ())
            if isinstance(column, exp.ColumnDef) and column.args.get("kind")
        },
        "wildcards": [name for name in quoted if name.endswith("*")],
        "geography": [one.alias_or_name for one in projections if is_geography(one)],
        "options": {},
        "query": "",
    }


def main() -> None:
    for line in sys.stdin:
        try:
            answer = read(json.loads(line))
        except Exception as error:  # Whatever it is, the statement cannot be read.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
