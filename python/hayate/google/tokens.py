"""GoogleSQL's tokens, by the language's lexical rules: strings with all prefixes and quotes, quoted
names, comments, parameters."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from hayate.errors import UsageError, Where


class Kind(enum.Enum):
    """What a token is."""

    WORD = "word"  # a keyword or a name without quotes
    QUOTED = "quoted name"
    STRING = "string"  # or bytes
    NUMBER = "number"
    PARAMETER = "parameter"  # @name, or ?
    SYSTEM = "system variable"  # @@name
    SYMBOL = "symbol"


@dataclass(frozen=True)
class Token:
    """A token and where it stands: text[start:end] of the statement."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """The word in capitals; of everything else but symbols nothing, so it equals no keyword."""
        return self.text.upper() if self.kind in (Kind.WORD, Kind.SYMBOL) else ""

    @property
    def name(self) -> str:
        """What a name or a named parameter stands for, without quotes and signs."""
        text = self.text.lstrip("@")
        return unquoted(text) if text.startswith("`") else text


_STRING_PREFIXES = ("rb", "br", "r", "b", "")
_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
#: Digits after \x, \u and \U; octal escapes have three.
_HEX_DIGITS = {"x": 2, "X": 2, "u": 4, "U": 8}
_OCTAL_DIGITS = 3


def tokens(text: str) -> list[Token]:
    """The tokens of a GoogleSQL text, comments and blanks left out.

    Raises:
        UsageError: a string, a quoted name or a comment is not closed; names the line.
    """
    return list(_scan(text))


def _scan(text: str) -> Iterator[Token]:
    at = 0
    while (at := _after_trivia(text, at)) < len(text):
        kind, end = _token_at(text, at)
        yield Token(kind, text[at:end], at, end)
        at = end


def _after_trivia(text: str, at: int) -> int:
    """Where the next token begins: behind blanks and comments."""
    while at < len(text):
        if text[at].isspace() or text[at] in "\ufeff\u200b":
            at += 1
        elif text[at] == "#" or text.startswith("--", at):
            while at < len(text) and text[at] not in "\r\n":
                at += 1
        elif text.startswith("/*", at):
            end = text.find("*/", at + 2)
            if end < 0:
                raise _unclosed("comment", text, at)
            at = end + 2
        else:
            break
    return at


def _token_at(text: str, at: int) -> tuple[Kind, int]:
    """The kind of the token that begins there, and where it ends."""
    for prefix in _STRING_PREFIXES:
        quote = at + len(prefix)
        if text[at:quote].lower() == prefix and text[quote : quote + 1] in ("'", '"'):
            return Kind.STRING, _string_end(text, quote, at)
    first = text[at]
    if first == "`":
        return Kind.QUOTED, _quoted_end(text, at, "`", "quoted name", at)
    if _starts_name(first):
        return Kind.WORD, _name_end(text, at)
    if first.isdigit() or (first == "." and text[at + 1 : at + 2].isdigit()):
        return Kind.NUMBER, _number_end(text, at)
    if first == "?":
        return Kind.PARAMETER, at + 1
    if first == "@":
        return _at_sign(text, at)
    return Kind.SYMBOL, at + (2 if text.startswith("|>", at) else 1)


def _at_sign(text: str, at: int) -> tuple[Kind, int]:
    name = at + (2 if text.startswith("@@", at) else 1)
    kind = Kind.SYSTEM if name == at + 2 else Kind.PARAMETER
    if text[name : name + 1] == "`":
        return kind, _quoted_end(text, name, "`", "quoted name", at)
    if name < len(text) and _starts_name(text[name]):
        return kind, _name_end(text, name)
    return Kind.SYMBOL, at + 1


def _starts_name(character: str) -> bool:
    return character == "_" or character.isalpha()


def _name_end(text: str, at: int) -> int:
    while at < len(text) and (text[at] == "_" or text[at].isalnum()):
        at += 1
    return at


def _number_end(text: str, at: int) -> int:
    """Letters belong to it (0xFF, 1e5), and signs behind an exponent's e."""
    is_hex = text[at : at + 2].lower() == "0x"
    while at < len(text):
        sign = text[at] in "+-" and text[at - 1] in "eE" and not is_hex
        if not (text[at].isalnum() or text[at] in "._" or sign):
            break
        at += 1
    return at


def _string_end(text: str, quote: int, begin: int) -> int:
    """In raw strings too a backslash keeps the quote behind it from closing."""
    mark = text[quote]
    if text.startswith(mark * 3, quote):
        return _quoted_end(text, quote, mark * 3, "string", begin)
    return _quoted_end(text, quote, mark, "string", begin)


def _quoted_end(text: str, quote: int, mark: str, what: str, begin: int) -> int:
    at = quote + len(mark)
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text.startswith(mark, at):
            return at + len(mark)
        elif text[at] in "\r\n" and len(mark) == 1:
            break
        else:
            at += 1
    raise _unclosed(what, text, begin)


def _unclosed(what: str, text: str, at: int) -> UsageError:
    line = text.count("\n", 0, at) + 1
    return UsageError(
        f"a {what} in the SQL is not closed",
        Where(object="the SQL", line=line),
        f"Close the {what} that begins with {text[at : at + 20]!r}.",
    )


def unquoted(name: str) -> str:
    """What a name in backticks stands for, its escapes resolved."""
    inside, out, at = name[1:-1], "", 0
    while at < len(inside):
        if inside[at] != "\\" or at + 1 == len(inside):
            out, at = out + inside[at], at + 1
            continue
        code = inside[at + 1]
        digits = inside[at + 2 : at + 2 + _HEX_DIGITS.get(code, 0)]
        octal = inside[at + 1 : at + 1 + _OCTAL_DIGITS]
        if code in _HEX_DIGITS and _is_number(digits, 16) and int(digits, 16) <= 0x10FFFF:
            out, at = out + chr(int(digits, 16)), at + 2 + len(digits)
        elif len(octal) == _OCTAL_DIGITS and _is_number(octal, 8):
            out, at = out + chr(int(octal, 8)), at + 1 + _OCTAL_DIGITS
        else:
            out, at = out + _SIMPLE_ESCAPES.get(code, code), at + 2
    return out


def _is_number(digits: str, base: int) -> bool:
    return bool(digits) and all(
        digit in "0123456789abcdefABCDEF"[: base if base == 8 else 22] for digit in digits
    )


def quoted_name(name: str) -> str:
    """A name in backticks."""
    return "`" + _escaped(name, "`") + "`"


def quoted_string(text: str) -> str:
    """A string literal that stands for the text."""
    return "'" + _escaped(text, "'") + "'"


def _escaped(text: str, mark: str) -> str:
    out = ""
    for character in text:
        if character in ("\\", mark):
            out += "\\" + character
        elif character < " " or character in "\x7f\x85\u2028\u2029":
            out += f"\\u{ord(character):04x}"
        else:
            out += character
    return out
