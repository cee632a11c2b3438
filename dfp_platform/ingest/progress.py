"""How far downloads and rows are, for whoever looks on: bars on a terminal, nothing anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dfp_platform.ingest.sources.request import Progress, silent


@contextmanager
def bars() -> Iterator[Progress]:
    """A progress that draws one bar per download and one counter per data set on standard error.

    Where standard error is no terminal (logs, CI, a Dagster daemon) it stays silent.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        yield silent
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[far]}")
    with Bars(*columns, console=console, transient=True) as shown:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int | None) -> None:
            far = f"{done:,} of {total:,}" if total else f"{done:,} rows"
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total, far=far)
            shown.update(tasks[what], completed=done, total=total, far=far)

        yield tell
