"""The text of a statement, taken apart only as far as keywords, names and brackets: no grammar of expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)|(?P<text>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")+")"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_$]*)|(?P<number>\d[\w.]*)|(?P<sign>.)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word, name, literal or sign, and where it stands.

    Attributes:
        depth: how many brackets, and how many `case … end`, are open around it.
    """

    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        """A keyword or unquoted name in lower case; any other token as it is written."""
        return self.text.lower() if self.kind == "word" else self.text


def tokens(sql: str) -> Iterator[Token]:
    """Every token of a text but white space and comments."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        kind, text = str(match.lastgroup), match[0]
        if kind == "blank":
            continue
        if text == ")" or (kind == "word" and text.lower() == "end"):
            depth -= 1
        yield Token(kind, text, match.start(), match.end(), depth)
        if text == "(" or (kind == "word" and text.lower() == "case"):
            depth += 1


def split(sql: str, sign: str) -> list[str]:
    """The parts of a text between the `sign`s that no bracket encloses, without those of nothing but white space."""
    parts, start = [], 0
    for token in tokens(sql):
        if token.depth == 0 and token.text == sign:
            parts.append(sql[start : token.start])
            start = token.end
    return [part.strip() for part in [*parts, sql[start:]] if any(tokens(part))]


def unquoted(token: str) -> str:
    """The name that an identifier means; an unquoted one is lower-cased, as DataFusion does."""
    return token[1:-1].replace('""', '"') if token.startswith('"') else token.lower()


def quoted(name: str) -> str:
    """A name as an identifier that keeps its case."""
    return '"' + name.replace('"', '""') + '"'


class Reader:
    """Reads one statement from its beginning. Each method goes past what it returns, or stays where it was."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._tokens = list(tokens(sql))
        self._at = 0

    def take(self, *words: str) -> bool:
        """Whether these words come next, one after the other."""
        ahead = self._tokens[self._at : self._at + len(words)]
        if [token.word for token in ahead] != list(words):
            return False
        self._at += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Go past these words.

        Raises:
            ValueError: something else comes next.
        """
        if not self.take(*words):
            raise ValueError(f"expected {' '.join(words).upper()} before {self.rest()[:40]!r}")

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._tokens)

    def identifier(self) -> str | None:
        """The next name; None if something else comes next."""
        if self.at_end() or self._tokens[self._at].kind not in ("word", "quoted"):
            return None
        self._at += 1
        return unquoted(self._tokens[self._at - 1].text)

    def name(self) -> tuple[str, ...]:
        """The parts of the dotted name that comes next.

        Raises:
            ValueError: no name comes next.
        """
        parts = [self.identifier()]
        while parts[-1] is not None and self.take("."):
            parts.append(self.identifier())
        if None in parts:
            raise ValueError(f"expected a name before {self.rest()[:40]!r}")
        return tuple(str(part) for part in parts)

    def alias(self, *, unless: tuple[str, ...]) -> str | None:
        """The alias that comes next, with `as` before it or without; none if one of the words `unless` comes next."""
        if not self.take("as") and (self.at_end() or self._tokens[self._at].word in unless):
            return None
        return self.identifier()

    def bracketed(self) -> str | None:
        """What stands within the brackets that come next; None if none do."""
        if self.at_end() or self._tokens[self._at].text != "(":
            return None
        opening = self._tokens[self._at]
        for index in range(self._at + 1, len(self._tokens)):
            closing = self._tokens[index]
            if closing.text == ")" and closing.depth == opening.depth:
                self._at = index + 1
                return self._sql[opening.end : closing.start].strip()
        raise ValueError(f"the bracket before {self._sql[opening.end :][:40]!r} is not closed")

    def until(self, *words: str) -> str:
        """The text up to the next of `words` that no bracket encloses, or to the end."""
        start = self._at
        depth = self._tokens[start].depth if start < len(self._tokens) else 0
        while not self.at_end() and (self._tokens[self._at].word not in words or self._tokens[self._at].depth != depth):
            self._at += 1
        return self._text(start, self._at)

    def rest(self) -> str:
        """The text that is left, without moving on."""
        return self._text(self._at, len(self._tokens))

    def _text(self, start: int, end: int) -> str:
        return self._sql[self._tokens[start].start : self._tokens[end - 1].end] if start < end else ""
