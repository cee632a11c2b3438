"""`--select`, `--from` and `--to` name assets the way a person would say it."""

from __future__ import annotations

import pytest

from dfp_platform.cli.backfill import split
from dfp_platform.cli.selection import between, chosen, downstream, named, partitioned, upstream
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


MONTHS = [f"{year}-{month:02d}-01" for year in (2012, 2013) for month in range(1, 13)]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("2012-11", "2013-02", MONTHS[10:14]),
        ("2013", None, MONTHS[12:]),
        (None, "2012", MONTHS[:12]),
        ("2012-03-01", "2012-03-01", MONTHS[2:3]),
        (None, None, MONTHS),
    ],
)
def test_partitions_between_two_may_be_named_by_the_beginning_of_a_key(
    first: str | None, last: str | None, found: list[str]
) -> None:
    assert between(MONTHS, first, last) == found


def test_no_partition_between_two_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFoundError) as refused:
        between(MONTHS, "2020-01", None)
    assert "2012-01-01 to 2013-12-01" in str(refused.value.hint)


def test_a_partitioned_asset_is_named_by_the_last_part_of_its_key() -> None:
    known = {"tables/marts/apps_by_month": MONTHS}
    assert partitioned("apps_by_month", known) == partitioned("tables/marts/apps_by_month", known)
    with pytest.raises(NotFoundError):
        partitioned("month", known)


@pytest.mark.parametrize("runs", [1, 5, 24, 100])
def test_partitions_are_split_over_runs_without_gap_or_overlap(runs: int) -> None:
    spans = list(split(MONTHS, runs))
    assert len(spans) == min(runs, 24)
    assert [key for span in spans for key in MONTHS if key in span] == MONTHS
    lengths = [sum(key in span for key in MONTHS) for span in spans]
    assert max(lengths) - min(lengths) <= 1
