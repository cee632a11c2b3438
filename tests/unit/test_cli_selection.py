"""`--select`, `--from` and `--to` name assets the way a person would say it."""

from __future__ import annotations

import pytest

from dfp_platform.cli.selection import chosen, downstream, named, upstream
from dfp_platform.errors import NotFoundError

LINE = {
    "raw/apps": (),
    "tables/staging/stg_apps": ("raw/apps",),
    "tables/marts/training": ("tables/staging/stg_apps",),
    "models/autoencoder": ("tables/marts/training",),
    "models/xgboost": ("tables/marts/training",),
    "mobile/onnx": ("models/autoencoder",),
}


def test_nothing_chosen_is_everything() -> None:
    assert chosen(LINE) is None


def test_a_room_names_all_that_lies_in_it() -> None:
    assert named("models", LINE) == {"models/autoencoder", "models/xgboost"}


def test_a_room_is_not_named_by_the_beginning_of_its_name() -> None:
    with pytest.raises(NotFoundError):
        named("mod", LINE)


def test_a_glob_names_what_it_matches() -> None:
    assert named("tables/*/stg_*", LINE) == {"tables/staging/stg_apps"}


def test_a_slip_of_the_pen_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(NotFoundError, match="did you mean models/autoencoder"):
        named("models/autoencodr", LINE)


def test_upstream_and_downstream_hold_the_named_asset_itself() -> None:
    assert upstream(["tables/marts/training"], LINE) == {
        "raw/apps",
        "tables/staging/stg_apps",
        "tables/marts/training",
    }
    assert downstream(["models/autoencoder"], LINE) == {"models/autoencoder", "mobile/onnx"}


def test_from_and_to_together_are_a_stretch_of_the_line() -> None:
    assert chosen(LINE, start="tables", end="models/autoencoder") == [
        "models/autoencoder",
        "tables/marts/training",
        "tables/staging/stg_apps",
    ]


def test_several_selections_are_joined() -> None:
    assert chosen(LINE, select=["raw", "mobile"]) == ["mobile/onnx", "raw/apps"]


def test_options_that_leave_nothing_are_refused() -> None:
    with pytest.raises(NotFoundError, match="leave no asset"):
        chosen(LINE, start="mobile", end="raw")
