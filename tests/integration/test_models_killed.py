"""A training whose process was killed leaves no MLflow run RUNNING."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys

import pytest

from dfp_platform.models.tracking import EXPERIMENT
from dfp_platform.publishing.promotions import settle
from dfp_platform.publishing.publication import Publisher
from dfp_platform.publishing.reconciler import Reconciled, reconcile
from dfp_platform.resources.tracking import TRACKED_TAG
from dfp_platform.settings import PROJECT_ROOT, settings
from tests.mlflow_places import Place, quiet
from tests.toy_harness import Toy, toy

__all__ = ["toy"]


def mend(toy: Toy) -> Reconciled:
    with quiet():
        return reconcile(Publisher(toy.lake, toy.instance, toy.graph, settle))


def failed_run(toy: Toy) -> str:
    """A dead run of Dagster that had begun to track."""
    toy.turn("a", "fail")
    run = toy.run().run_id
    toy.instance.add_run_tags(run, {TRACKED_TAG: "open"})
    return run


@pytest.mark.timeout(300)  # two processes import MLflow; it makes its tables
def test_the_mlflow_run_of_a_killed_process_is_ended_once_its_dagster_run_is_dead(toy: Toy) -> None:
    run, place = failed_run(toy), Place(settings().mlflow_uri, toy.home / "artifacts")
    (toy.home / "mlflow").mkdir()
    died = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.tracking_child", place.uri, str(toy.home), run],
        cwd=PROJECT_ROOT,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    with quiet():
        experiment = place.client.get_experiment_by_name(EXPERIMENT).experiment_id

    def states() -> list[str]:
        return [found.info.status for found in place.client.search_runs([experiment])]

    assert states() == ["RUNNING"]
    assert len(mend(toy).ended) == 1
    assert states() == ["KILLED"]
    assert mend(toy).ended == (), "MLflow is not asked again"
    assert toy.instance.get_run_by_id(run).tags[TRACKED_TAG] == "ended"


def test_an_mlflow_that_cannot_be_reached_keeps_no_run_from_beginning(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = failed_run(toy)
    monkeypatch.setenv("DFP_MLFLOW_URI", f"file://{toy.home}/no/such\0place".replace("\0", "%00"))
    settings.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert mend(toy).ended == ()
    assert "did not end the runs of dead processes" in caplog.text
    assert toy.instance.get_run_by_id(run).tags[TRACKED_TAG] == "open", "the next call tries again"
