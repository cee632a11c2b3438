"""The assets of models as a run makes them: what they are told decides their content, and is found again everywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dfp_platform.assets.choices import STUDY, run_config_of
from dfp_platform.catalog import content_at
from dfp_platform.cli import main
from dfp_platform.cli.runs import QUIET
from dfp_platform.definitions import defs
from dfp_platform.models.card import ModelCard
from dfp_platform.models.studies import Study
from dfp_platform.publishing.launch import RunOutcome, run_job
from dfp_platform.resources.dagster_internals import ASSET_JOB, key_of, report_materialization
from dfp_platform.resources.tracking import TRACKED_TAG
from dfp_platform.serving.versions import CHAMPIONS, reign_at
from dfp_platform.settings import settings
from tests.configured import tiny
from tests.model_line import MODEL, lake, model_line, train

NAME = MODEL.removeprefix("models/")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster and a lake whose main holds a training table of made apps."""
    with model_line(tmp_path) as opened:
        for table in ("tables/marts/fct_training_dataset", "tables/marts/split_index"):
            content = content_at(lake(), "main", table)
            report_materialization(opened, table, content=content, code_version=None, inputs={}, metadata={})
        yield opened


def run(instance: dg.DagsterInstance, *choices: str) -> RunOutcome:
    return train(instance, *choices, also=(CHAMPIONS,))


def dfp(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """What `dfp … --json` answers."""
    monkeypatch.setattr(sys, "argv", ["dfp", *arguments, "--json"])
    capsys.readouterr()
    with suppress(SystemExit):
        main()
    told = capsys.readouterr()
    assert told.out, told.err
    return json.loads(told.out)


def aliases() -> dict[str, str]:
    from mlflow import MlflowClient

    held = MlflowClient(tracking_uri=settings().mlflow_uri).get_registered_model(NAME).aliases
    return {alias: str(version) for alias, version in held.items()}


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
    assert (logged.tags["lake.branch"], logged.tags["split.version"], logged.tags["split.by"]) == ("main", "v1", "time")
    assert logged.tags["feature_service"] == "vae"
    assert logged.tags["lake.data_tag"] == f"model-{NAME}-v1-data"
    assert instance.get_run_by_id(first.run_id).tags[TRACKED_TAG] == "open"


@pytest.mark.timeout(400)  # as above, and three trainings
def test_a_champion_reigns_by_rule_or_by_hand_and_everything_follows(
    instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(instance, "training.epochs=6").success
    one = content_at(lake(), "main", MODEL)
    assert reign_at(lake(), "main", NAME).why == "first"
    assert aliases() == {"champion": "1"}

    assert run(instance, "training.epochs=1").success, "a version that is not better is published too, with a warning"
    two = content_at(lake(), "main", MODEL)
    reign = reign_at(lake(), "main", NAME)
    assert (reign.content, reign.challenger.content) == (one, two)
    assert not reign.challenger.difference.better
    assert aliases() == {"champion": "1", "challenger": "2"}
    verdict = json.loads(lake().read("main", f"checks/{CHAMPIONS}/published_versions_reign"))
    assert (verdict["passed"], verdict["figure"]) == (False, reign.challenger.difference.low)

    story = dfp(capsys, monkeypatch, "models", "show", NAME)
    assert [(v["version"], v["aliases"], v["mlflow_version"]) for v in story["versions"]] == [
        ("v2", ["challenger", "published"], "2"),
        ("v1", ["champion"], "1"),
    ]
    assert all(0 < v["average_precision"] <= 1 for v in story["versions"])
    assert [s["model"] for s in dfp(capsys, monkeypatch, "models", "list")] == [NAME]
    held = dfp(capsys, monkeypatch, "models", "compare", NAME, f"{NAME}@challenger")
    assert held["configuration"] == {"training.epochs": [6, 1]}
    assert held["figures"]["average_precision"] == [v["average_precision"] for v in reversed(story["versions"])]
    assert held["difference"] == reign.challenger.difference.model_dump(mode="json")

    promoted = dfp(capsys, monkeypatch, "models", "promote", NAME, "v2", "-m", "it is smaller")
    said = lake().provenance("main", f"{CHAMPIONS}/{NAME}.json").metadata
    assert (said["promoted"], said["why"]) == (f"{NAME} v2", "it is smaller")
    assert "it is smaller" in reign_at(lake(), "main", NAME).reason
    assert aliases() == {"champion": "2"}
    assert fresh(instance, CHAMPIONS)

    assert run(instance, "training.epochs=1").success
    assert reign_at(lake(), "main", NAME).why == "by hand", "what a person decided is not judged again"
    changed = [difference.path for difference in lake().diff(promoted["commit"], "main")]
    assert changed == [f"checks/{CHAMPIONS}/published_versions_reign"], "only the check looks at the new record"

    dfp(capsys, monkeypatch, "lake", "revert", promoted["commit"])
    assert reign_at(lake(), "main", NAME) == reign
    assert aliases() == {"champion": "1", "challenger": "2"}


def fresh(instance: dg.DagsterInstance, asset: str) -> bool:
    from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
    from dagster._core.loader import LoadingContextForTest

    resolver = CachingStaleStatusResolver(instance, defs.resolve_asset_graph(), LoadingContextForTest(instance))
    return resolver.get_status(key_of(asset)) == StaleStatus.FRESH


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


def test_a_study_is_published_as_a_report_a_page_and_files_to_copy(instance: dg.DagsterInstance) -> None:
    told = {"presets": ["xgboost", "detector"], "trials": 2, "choices": {"training.epochs": "3"}}
    outcome = run_job(
        job=ASSET_JOB,
        selection=[STUDY],
        run_config={"loggers": QUIET, "ops": {"models__study": {"config": told}}},
        instance=instance,
        module="dfp_platform.definitions",
    )
    assert outcome.success, outcome
    found = Study.from_json(lake().read("main", f"{STUDY}/report.json"))
    assert (found.trials, found.synthetic, {one.preset for one in found.presets}) == (2, True, set(told["presets"]))
    assert b"Synthetic data" in lake().read("main", f"{STUDY}/index.html")
    assert b"kind: detector" in lake().read("main", f"{STUDY}/presets/detector_tuned.yaml")
    assert not list((settings().home / "checkpoints").glob("*"))
