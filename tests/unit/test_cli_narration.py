"""What a run tells of a step that failed."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from rich.console import Console

from dfp_platform.cli.narration import Narrator
from dfp_platform.errors import InputError


def told(error: BaseException) -> str:
    """What is printed for a step that failed with this error."""
    try:
        raise error
    except BaseException as raised:
        recorded = serializable_error_info_from_exc_info((type(raised), raised, raised.__traceback__))
    event = SimpleNamespace(
        event_type_value="STEP_FAILURE",
        step_key="raw__apps",
        message="Execution of step failed",
        event_specific_data=SimpleNamespace(error=recorded),
    )
    screen = io.StringIO()
    Narrator(Console(file=screen, width=200))(event)
    return screen.getvalue()


def wrapped(error: BaseException, cause: BaseException | None) -> RuntimeError:
    """As Dagster wraps what a step raises."""
    error.__cause__ = cause
    outer = RuntimeError("Error occurred while executing op")
    outer.__cause__ = error
    return outer


def test_an_error_of_ours_is_told_rather_than_the_foreign_one_beneath_it() -> None:
    """A CSV that was cut off was told in Arrow's words, without file and next step."""
    error = InputError("apps.csv: row 1 has 466 cells", hint="take the file again", file="apps.csv", row=1)
    line = told(wrapped(error, ValueError("Expected 486 columns, got 466")))
    assert "apps.csv: row 1 has 466 cells" in line
    assert "next: take the file again" in line
    assert "Expected 486" not in line
    assert "InputError" not in line


@pytest.mark.parametrize("cause", [None, KeyError("deeper")])
def test_where_no_error_is_ours_the_innermost_is_told(cause: BaseException | None) -> None:
    line = told(wrapped(ValueError("the reason"), cause))
    assert ("deeper" if cause else "the reason") in line
    assert "Error occurred while executing op" not in line
