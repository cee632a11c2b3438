"""What a run tells while it works: a line for every asset made, every check failed, every step that failed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

SHOWN_METADATA = ("dagster/row_count", "rows")
"""Names under which a materialization states its rows; the first one found is shown."""


OUR_ERRORS = re.compile(r"^dfp_platform\.errors\.\w+: ")
"""What Dagster puts before the message of an error of ours."""


class Narrator:
    """Turns Dagster's events into lines on a console. Called with each event of a run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._started: dict[str, float] = {}

    @contextmanager
    def speaking(self) -> Iterator[Narrator]:
        """Show what is being worked on, on a terminal, until the run is over."""
        if not self._console.is_terminal:
            yield self
            return
        with self._console.status("starting") as self._status:
            yield self

    def __call__(self, event: Any) -> None:
        kind = event.event_type_value
        if kind == "STEP_START":
            self._started[event.step_key] = time.monotonic()
            self._show(event.step_key)
        elif kind == "ASSET_MATERIALIZATION":
            self._line("✓", "green", "/".join(event.asset_key.path), self._detail(event))
        elif kind == "ASSET_CHECK_EVALUATION" and not event.asset_check_evaluation_data.passed:
            check = event.asset_check_evaluation_data
            name = f"{'/'.join(check.asset_key.path)}: {check.check_name}"
            if check.severity.value == "ERROR":
                self._line("✗", "red", name, "does not hold")
            else:
                self._line("!", "yellow", name, "does not hold, which only warns")
        elif kind == "STEP_FAILURE":
            self._line("✗", "red", event.step_key, _cause(event))
        elif kind == "STEP_SUCCESS":
            self._show("")

    def _detail(self, event: Any) -> str:
        stated = event.step_materialization_data.materialization.metadata
        rows = next((stated[name].value for name in SHOWN_METADATA if name in stated), None)
        seconds = time.monotonic() - self._started.get(event.step_key, time.monotonic())
        return f"{seconds:5.1f} s" + (f"  {rows:,} rows" if isinstance(rows, int) else "")

    def _show(self, working_on: str) -> None:
        if self._status is not None:
            self._status.update(working_on.replace("__", "/"))

    def _line(self, sign: str, style: str, name: str, detail: str) -> None:
        self._console.print(Text(f"  {sign} ", style=style) + Text(f"{name:<48} {detail}"))


def _cause(event: Any) -> str:
    """Why a step failed: what our own code said of it, else its innermost error; not how Dagster wrapped it."""
    error = getattr(event.event_specific_data, "error", None)
    if error is None:
        return event.message or ""
    chain = list(_chain(error))
    told = next((each for each in chain if OUR_ERRORS.match(each.message)), chain[-1])
    return OUR_ERRORS.sub("", told.message.strip())


def _chain(error: Any) -> Iterator[Any]:
    while error is not None:
        yield error
        error = error.cause
