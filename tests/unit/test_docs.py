"""Every page's `dfp …` commands are known to the CLI, with their options, and every link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from dfp_platform.cli.app import app
from dfp_platform.settings import PROJECT_ROOT

PAGES = [
    PROJECT_ROOT / "README.md",
    *sorted((PROJECT_ROOT / "docs").rglob("*.md")),
    PROJECT_ROOT / "dbt_project" / "README.md",
    PROJECT_ROOT / "dbt_datafusion" / "README.md",
]
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\[[^\]]*\]\(((?!https?:|mailto:)[^)\s]+)\)")
ENDS = re.compile(r"\s(?:#|\||&&|>|;|→)(?:\s|$)|\n")
PROMPT = re.compile(r"(?:\$ )?(?:\w+=\S+ )*(?=dfp(?:\s|$))")
MEANT_FOR_PEOPLE = ("…", "...")
"""What stands for more words than are written."""

BEYOND_SETTINGS = ("DFP_TRAINING__", "DFP_MODEL", "DFP_DATA", "DFP_SPLIT", "DFP_REF", "DFP_TEST_")
"""Choices of a training, what dbt's profile reads, and what only tests read."""

COMMANDS = typer.main.get_command(app)


def commands_of(text: str) -> Iterator[str]:
    """Every call of `dfp` on a page: lines of blocks, and code within sentences."""
    lines = [line.strip() for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    for said in [*lines, *(code.replace("\n", " ") for code in INLINE.findall(BLOCK.sub("", text)))]:
        if found := PROMPT.match(said):
            yield ENDS.split(said[found.end() :])[0].strip()


def fault(call: str) -> str:
    """What the CLI does not know of a call; empty if it knows all of it."""
    command = COMMANDS
    for word in call.split()[1:]:
        if word in MEANT_FOR_PEOPLE:
            break
        if word.startswith("-") and word != "-":
            options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
            if word.split("=")[0].rstrip("…") not in options | {"--help", "-h"}:
                return f"{command.name} has no option {word}"
        elif commands := getattr(command, "commands", None):  # Typer has a copy of click of its own
            named = [name.rstrip(".,…") for name in word.split("|")]
            if unknown := [name for name in named if name not in commands]:
                return f"{command.name} has no command {', '.join(unknown)}"
            command = commands[named[0]]
    return ""


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, link: str) -> bool:
    place, _, anchor = link.partition("#")
    target = (page.parent / place).resolve() if place else page
    return not target.exists() or (bool(anchor) and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT_ROOT).as_posix())
def test_the_cli_knows_every_command_and_option_of_a_page(page: Path) -> None:
    told = {call: fault(call) for call in commands_of(page.read_text())}
    assert {call: said for call, said in told.items() if said} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT_ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(BLOCK.sub("", page.read_text())) if broken(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT_ROOT).as_posix())
def test_every_target_and_setting_of_a_page_is_there(page: Path) -> None:
    text, makefile = page.read_text(), (PROJECT_ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^(?:\$ )?(?:\w+=\S+ )*make ([a-z][\w-]*)", text, re.MULTILINE))
    targets |= set(re.findall(r"`(?:\w+=\S+ )*make ([a-z][\w-]*)", text))
    assert {name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()
    known = set(re.findall(r"\bDFP_[A-Z_]+\b", (PROJECT_ROOT / ".env.example").read_text()))
    named = {name for name in re.findall(r"\bDFP_[A-Z_]*[A-Z]\b", text) if not name.startswith(BEYOND_SETTINGS)}
    assert {name for name in named if not any(found.startswith(name) for found in known)} == set()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("dfp lake log --graph -n 5", ""),
        ("dfp models list|show|compare", ""),
        ("dfp run --skip-ingestion", "run has no option --skip-ingestion"),
        ("dfp lake loq", "lake has no command loq"),
        ("dfp models list|shew", "models has no command shew"),
    ],
)
def test_a_command_that_is_not_there_is_found(call: str, said: str) -> None:
    assert fault(call) == said


def test_calls_are_found_in_blocks_and_sentences_without_what_surrounds_them() -> None:
    said = "Say `dfp lake log` or `mydfp x`.\n\n"
    page = said + "```sh\n$ DFP_HOME=/x dfp run --to models  # remark\ndfp sql 'a' | head\n```\n"
    assert list(commands_of(page)) == ["dfp run --to models", "dfp sql 'a'", "dfp lake log"]
