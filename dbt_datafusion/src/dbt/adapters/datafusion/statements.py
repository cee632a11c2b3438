"""The statements that change the catalog. DataFusion itself only runs queries here; these are ours to carry out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_]*)'
_NAME = rf"{_IDENTIFIER}(?:\s*\.\s*{_IDENTIFIER})*"
_COMMENTS = re.compile(r"\A(?:\s+|/\*.*?\*/|--[^\n]*(?:\n|\Z))+", re.DOTALL)

Kind = Literal[
    "query",
    "create table",
    "create view",
    "create schema",
    "insert",
    "drop relation",
    "drop schema",
    "rename",
    "truncate",
    "transaction",
]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of SQL, taken apart as far as the catalog needs.

    Attributes:
        kind: what it does.
        name: the table, view or schema it is about, as its parts; empty for a query.
        query: the SELECT (or VALUES) to run; empty where there is none.
        columns: the target columns an INSERT names; empty if it names none.
        new_name: what RENAME renames to.
        replace: `or replace` was said.
        lenient: `if exists` or `if not exists` was said.
    """

    kind: Kind
    name: tuple[str, ...] = ()
    query: str = ""
    columns: tuple[str, ...] = ()
    new_name: tuple[str, ...] = ()
    replace: bool = False
    lenient: bool = False


def _pattern(text: str) -> re.Pattern[str]:
    text = text.replace("NAME", _NAME).replace("COLUMNS", rf"\(\s*{_IDENTIFIER}(?:\s*,\s*{_IDENTIFIER})*\s*\)")
    return re.compile(rf"\A{text}\Z", re.IGNORECASE | re.DOTALL)


_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("create table", _pattern(r"create\s+(?P<replace>or\s+replace\s+)?table\s+(?P<name>NAME)\s+as\s*(?P<query>\W.*)")),
    ("create view", _pattern(r"create\s+(?P<replace>or\s+replace\s+)?view\s+(?P<name>NAME)\s+as\s*(?P<query>\W.*)")),
    ("create schema", _pattern(r"create\s+schema\s+(?P<lenient>if\s+not\s+exists\s+)?(?P<name>NAME)")),
    (
        "insert",
        _pattern(r"insert\s+into\s+(?P<name>NAME)\s*(?P<columns>COLUMNS)?\s*(?P<query>(?:select|values|with|\().*)"),
    ),
    ("drop relation", _pattern(r"drop\s+(?:table|view)\s+(?P<lenient>if\s+exists\s+)?(?P<name>NAME)(?:\s+cascade)?")),
    ("drop schema", _pattern(r"drop\s+schema\s+(?P<lenient>if\s+exists\s+)?(?P<name>NAME)(?:\s+cascade)?")),
    ("rename", _pattern(r"alter\s+(?:table|view)\s+(?P<name>NAME)\s+rename\s+to\s+(?P<new_name>NAME)")),
    ("transaction", _pattern(r"(?:begin|commit|rollback)(?P<name>)")),
    ("truncate", _pattern(r"truncate\s+(?:table\s+)?(?P<name>NAME)")),
)


def parse(sql: str) -> Statement:
    """Take one statement apart. Whatever is none of ours is a query, for DataFusion to judge.

    >>> parse('create or replace table "marts"."apps" as select 1 as a').name
    ('marts', 'apps')
    """
    body = _COMMENTS.sub("", sql, count=1).rstrip().rstrip(";").rstrip()
    for kind, pattern in _PATTERNS:
        if match := pattern.match(body):
            return _statement(kind, match.groupdict())
    return Statement("query", query=body)


def _statement(kind: Kind, parts: dict[str, str | None]) -> Statement:
    return Statement(
        kind,
        name=split_name(parts["name"] or ""),
        query=(parts.get("query") or "").strip(),
        columns=split_name(parts.get("columns") or ""),
        new_name=split_name(parts.get("new_name") or ""),
        replace=bool(parts.get("replace")),
        lenient=bool(parts.get("lenient")),
    )


def split_name(text: str) -> tuple[str, ...]:
    """The identifiers of a dotted name or a column list; unquoted ones are lower-cased, as DataFusion does."""
    return tuple(
        part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()
        for part in re.findall(_IDENTIFIER, text)
    )
