"""A training is in MLflow exactly once and always ended, whatever fails and is tried again."""

from __future__ import annotations

import warnings

import pytest

from dfp_platform.errors import InvalidNameError, UnreachableError
from dfp_platform.models.card import Origin
from dfp_platform.models.data import TrainingData
from dfp_platform.models.evaluation import evaluate
from dfp_platform.models.tracking import EXPERIMENT, headline_figures, lake_tags, track_training
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from tests.apps import tiny_table
from tests.configured import tiny

TAGS = lake_tags(repository="lake", ref="run-1", commit="c" * 40, split_version="v1", split_seed="v1")


@pytest.fixture(scope="module")
def data():
    return TrainingData.from_arrow(tiny_table())


@pytest.fixture(scope="module")
def trained(data):
    return train(data, tiny("xgboost", "training.epochs=5"), origin=Origin(content="abc"), synthetic=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture(scope="module")
def client(home, trained):
    """MLflow on its own database, which the first training makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow and its dependencies warn of one another as they are imported
        from mlflow import MlflowClient

        track(trained, home, key="first")
    return MlflowClient(tracking_uri=uri(home))


def uri(home):
    return f"sqlite:///{home / 'mlflow.db'}"


def track(trained, home, *, key, **options):
    return track_training(trained, uri=uri(home), artifacts=home / "artifacts", key=key, tags=TAGS, **options)


def runs(client, key):
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], filter_string=f"tags.`dfp.key` = '{key}'")


def test_the_run_leads_back_to_its_inputs_and_says_how_good_it_is(client, home, data, trained):
    evaluation = evaluate({"xgboost": [load_model(trained.files)]}, data, seed=1).models[0]
    run = client.get_run(track(trained, home, key="r1/xgboost", metrics=headline_figures(evaluation)))
    assert run.info.status == "FINISHED"
    assert {name: run.data.tags[name] for name in TAGS} == TAGS
    assert run.data.tags["schema_hash"] == data.schema_hash
    assert run.data.tags["training_table.content"] == "abc"
    assert run.data.tags["synthetic"] == "true"
    assert (run.data.params["training.epochs"], run.data.params["data.device"]) == ("5", "real_device")
    assert run.data.metrics["test_roc_auc"] == evaluation.overall.roc_auc
    assert run.data.metrics["threshold"] == pytest.approx(trained.card.threshold)
    losses = client.get_metric_history(run.info.run_id, "epoch_calibration_loss")
    assert [(point.step, point.value) for point in losses] == [
        (step, pytest.approx(loss)) for step, (_, loss) in enumerate(trained.history, start=1)
    ]


def test_the_card_is_an_artifact_inside_the_given_home(client, home, trained):
    run = track(trained, home, key="card")
    assert (home / "artifacts" / run / "artifacts" / "card.json").read_bytes() == trained.files["card.json"]


def test_a_retry_finds_the_run_of_the_first_attempt(client, home, trained):
    assert track(trained, home, key="again") == track(trained, home, key="again")
    assert len(runs(client, "again")) == 1


def test_another_key_is_another_run(client, home, trained):
    assert track(trained, home, key="one") != track(trained, home, key="two")


def test_the_run_of_a_process_that_died_is_replaced(client, home, trained):
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    orphan = client.create_run(experiment, tags={"dfp.key": "died"}).info.run_id
    run = track(trained, home, key="died")
    assert [found.info.run_id for found in runs(client, "died")] == [run]
    assert client.get_run(orphan).info.lifecycle_stage == "deleted"


def test_a_run_whose_logging_fails_is_ended_as_failed_and_replaced_by_the_retry(client, home, trained):
    with pytest.raises(UnreachableError, match="did not take the training"):
        track(trained, home, key="failing", metrics={"a name / that ! MLflow refuses": 1.0})
    assert [run.info.status for run in runs(client, "failing")] == ["FAILED"]
    run = track(trained, home, key="failing")
    assert [(found.info.run_id, found.info.status) for found in runs(client, "failing")] == [(run, "FINISHED")]


def test_nothing_is_written_outside_the_home(client, home, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    track(trained, home, key="elsewhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "it's", 'say "no"', "`"])
def test_a_key_that_would_break_the_search_is_refused(key, home, trained):
    with pytest.raises(InvalidNameError):
        track(trained, home, key=key)
