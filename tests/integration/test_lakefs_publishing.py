"""A run is a branch, on lakeFS too: what `test_publishing` asks of the folder, asked of a repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.resources.dagster_internals import project_instance
from dfp_platform.settings import PROJECT_ROOT, settings
from tests.integration.test_publishing import (
    test_a_conflict_holds_the_run_back_and_its_rerun_makes_the_result_anew,
    test_a_failed_check_holds_the_run_back_and_a_rerun_publishes,
    test_a_failed_step_leaves_main_and_pages_as_they_were,
    test_a_run_can_publish_to_another_branch,
    test_a_second_equal_run_publishes_nothing_new,
    test_a_successful_run_is_published_in_one_commit,
    test_an_input_that_moved_makes_its_readers_run_again,
)
from tests.lakefs_double.places import new_repository, use_lakefs
from tests.toy_harness import Toy

pytestmark = pytest.mark.slow  # make conformance-lakefs

__all__ = [
    "test_a_conflict_holds_the_run_back_and_its_rerun_makes_the_result_anew",
    "test_a_failed_check_holds_the_run_back_and_a_rerun_publishes",
    "test_a_failed_step_leaves_main_and_pages_as_they_were",
    "test_a_run_can_publish_to_another_branch",
    "test_a_second_equal_run_publishes_nothing_new",
    "test_a_successful_run_is_published_in_one_commit",
    "test_an_input_that_moved_makes_its_readers_run_again",
]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    use_lakefs(monkeypatch, tmp_path)
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    monkeypatch.setenv("DFP_LAKE", address := new_repository())
    settings.cache_clear()
    with project_instance(PROJECT_ROOT, tmp_path / "dagster") as instance:
        yield Toy(tmp_path, instance, address)
    settings.cache_clear()
