"""The page of a folder of the lake, and of everything a branch has to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfp_platform.reports.templates import rendered


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the page: a file with its bytes, or a folder without."""

    name: str
    href: str
    bytes: int | None = None


def render_folder(
    title: str, lead: str, entries: Sequence[Entry], *, column: str = "Name", more: bool = False
) -> bytes:
    """HTML that stands alone, UTF-8.

    Args:
        more: whether the page leaves entries out.
    """
    return rendered(
        "folder.html.j2", title=title, lead=lead, entries=entries, column=column, more=more, synthetic=False
    )
