"""How answers reach a person (tables, on stdout), a script (JSON, on stdout) and everyone else (stderr)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dfp_platform.errors import DfpError

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table.")]


def out() -> Console:
    """Where answers go."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    """Where progress and complaints go, so that stdout stays an answer."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal what takes a while, until it is done."""
    console = err()
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


@contextmanager
def only_answers_on_stdout() -> Iterator[None]:
    """Keep what libraries print from stdout, also from processes started meanwhile; Dagster's logs have it."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def complain(error: DfpError) -> None:
    """Print what went wrong and what to do next, without secrets that a library may have put into it."""
    from dfp_platform.settings import settings

    try:
        hidden = settings().without_secrets
    except DfpError:  # it may be the very one: settings that cannot be read know no secrets
        hidden = str
    console = err()
    console.print(Text("error: ", style="bold red") + Text(hidden(error.message)))
    if error.hint:
        console.print(Text("  next: ", style="bold") + Text(hidden(error.hint)))


def print_json(value: Any) -> None:
    """Print `value`, in which dataclasses, times and paths may occur, as one JSON document."""
    typer.echo(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return list(value)
    return str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, for_people: bool = False) -> None:
    """Print rows under headings; numbers stand to the right. In a pipe: tab-separated, without headings and styles.

    Args:
        for_people: print headings in a pipe too.
    """
    listed = [["" if cell is None else cell for cell in row] for row in rows]
    if not (for_people or sys.stdout.isatty()):
        for row in listed:
            typer.echo("\t".join(str(cell) for cell in row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for index, column in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[index], int | float) for row in listed)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    out().print(table)


def size(count: int) -> str:
    """Bytes for people: 1.4 MB."""
    amount, unit = float(count), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, bigger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
