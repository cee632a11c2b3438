"""The assets of models as a run makes them: what they are told decides their content, and is found again everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dfp_platform.assets.choices import run_config_of
from dfp_platform.cli.runs import QUIET
from dfp_platform.models.card import ModelCard
from dfp_platform.publishing.launch import run_job
from dfp_platform.resources.dagster_internals import ASSET_JOB
from dfp_platform.resources.lake import content_at
from dfp_platform.settings import settings
from tests.configured import tiny
from tests.model_line import MODEL, lake, model_line
from tests.model_line import train as run


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster and a lake whose main holds a training table of made apps."""
    with model_line(tmp_path) as opened:
        yield opened


@pytest.mark.timeout(400)  # MLflow makes its tables, torch is imported: minutes on a busy machine
def test_what_a_model_was_told_is_in_its_content_its_lineage_and_mlflow(instance: dg.DagsterInstance) -> None:
    first = run(instance, "training.epochs=2")
    assert first.success, first
    card = ModelCard.from_json(lake().read("main", f"{MODEL}/card.json"))
    assert card.configuration == tiny("vae", "training.epochs=2")
    lineage = json.loads(lake().provenance("main", f"{MODEL}/card.json").metadata["lineage"])[MODEL]
    assert lineage["config"]["training"]["epochs"] == 2
    assert set(lineage["inputs"]) == {"tables/marts/fct_training_dataset", "tables/marts/split_index"}

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings().mlflow_uri)
    champion = client.get_model_version_by_alias("vae_real_device", "champion")
    logged = client.get_run(str(champion.run_id)).data
    assert (logged.params["model.kind"], logged.params["training.epochs"], logged.params["model.hidden"]) == (
        "vae",
        "2",
        "[16]",
    )
    assert 0.5 < logged.metrics["test_roc_auc"] <= 1

    content = content_at(lake(), "main", MODEL)
    assert run(instance, "training.epochs=1").success
    assert content_at(lake(), "main", MODEL) != content


def test_a_value_that_cannot_be_fails_the_step_by_name(instance: dg.DagsterInstance) -> None:
    told = run_config_of(["vae_real_device"], tiny("vae"))
    told["models__vae_real_device"]["config"]["training"]["epochs"] = 0
    failures = []
    outcome = run_job(
        job=ASSET_JOB,
        selection=[MODEL],
        run_config={"loggers": QUIET, "ops": told},
        instance=instance,
        module="dfp_platform.definitions",
        progress=lambda event: failures.append(event.step_failure_data.error) if event.is_step_failure else None,
    )
    assert not outcome.success
    assert "training.epochs=0 cannot be" in failures[0].cause.message
