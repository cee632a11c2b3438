"""One moving line on stderr for long work whose parts are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dfp_platform.cli.screen import err


@contextmanager
def counting() -> Iterator[Callable[[str, int, int], None]]:
    """Yields what is to be called with: what is being done, how many are done, how many there are (0: not known).

    Nothing is shown where stderr is no terminal.
    """
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as shown:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total or None)
            shown.update(tasks[what], completed=done, total=total or None)

        yield tell
