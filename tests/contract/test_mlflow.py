"""A training is in MLflow exactly once, whole and ended; versions and aliases follow the lake: database or server."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dfp_platform.errors import InvalidNameError, UnreachableError
from dfp_platform.models.card import Origin
from dfp_platform.models.data import TrainingData
from dfp_platform.models.evaluation import evaluate
from dfp_platform.models.registration import CHALLENGER, CHAMPION, Published, follow, registered
from dfp_platform.models.tracking import DAGSTER_RUN, EXPERIMENT, end_runs, headline_figures, lake_tags, track_training
from dfp_platform.models.training import TrainedModel, train
from dfp_platform.models.weights import load_model
from dfp_platform.reports.training_plots import detection_plots, loss_plot
from tests.apps import tiny_table
from tests.configured import tiny
from tests.mlflow_places import PLACES, Place, quiet

pytestmark = [
    pytest.mark.timeout(300),  # MLflow makes its tables; a server starts
    pytest.mark.xdist_group("mlflow"),  # on one worker, so that they are made once
]

TAGS = lake_tags(
    repository="lake", branch="main", ref="run-1", commit="c" * 40, split_version="v1", split_seed="none"
) | {"feature_service": "malware_model", "git.commit": "a" * 40, DAGSTER_RUN: "r1"}
NAME = "xgboost"
PICKLES = ("*.pkl", "*.pickle", "*.cloudpickle", "*.pt", "*.joblib")


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData.from_arrow(tiny_table())


@pytest.fixture(scope="module")
def trained(data: TrainingData) -> TrainedModel:
    return train(data, tiny(NAME, "training.epochs=5"), origin=Origin(content="abc"), synthetic=True)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("server", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with quiet(), PLACES[request.param](tmp_path_factory.mktemp("mlflow")) as made:
        yield made


Track = Callable[..., str]


@pytest.fixture(scope="module")
def track(place: Place, trained: TrainedModel) -> Track:
    def tracked(model: TrainedModel = trained, *, key: str, **options: Any) -> str:
        options = {"tags": TAGS, **options}
        return track_training(model, uri=place.uri, artifacts=place.artifacts, key=key, **options)

    tracked(key="first")  # makes the tables
    return tracked


def runs(place: Place, key: str) -> list[Any]:
    experiment = place.client.get_experiment_by_name(EXPERIMENT)
    return place.client.search_runs([experiment.experiment_id], filter_string=f"tags.`dfp.key` = '{key}'")


def kept(place: Place, run: str, path: str, folder: Path) -> Path:
    return Path(place.client.download_artifacts(run, path, str(folder)))


# -- a training ------------------------------------------------------------------------------------------------------


def test_the_run_leads_back_to_its_inputs_and_says_how_good_it_is(
    place: Place, track: Track, data: TrainingData, trained: TrainedModel
) -> None:
    evaluation = evaluate({NAME: [load_model(trained.files)]}, data, seed=1).models[0]
    run = place.client.get_run(track(key="r1/xgboost", metrics=headline_figures(evaluation)))
    assert run.info.status == "FINISHED"
    assert {name: run.data.tags[name] for name in TAGS} == TAGS
    assert run.data.tags["schema_hash"] == data.schema_hash
    assert run.data.tags["training_table.content"] == "abc"
    assert run.data.tags["synthetic"] == "true"
    assert run.data.tags["library.xgboost"] == trained.card.libraries["xgboost"]
    assert (run.data.params["training.epochs"], run.data.params["data.device"]) == ("5", "real_device")
    assert run.data.metrics["test_roc_auc"] == evaluation.overall.roc_auc
    assert run.data.metrics["threshold"] == pytest.approx(trained.card.threshold)
    losses = place.client.get_metric_history(run.info.run_id, "epoch_calibration_loss")
    assert [(point.step, point.value) for point in losses] == [
        (step, pytest.approx(loss)) for step, (_, loss) in enumerate(trained.history, start=1)
    ]


def test_card_and_plots_are_artifacts(
    place: Place, track: Track, data: TrainingData, trained: TrainedModel, tmp_path: Path
) -> None:
    scores = load_model(trained.files).score(data.test.matrix)
    plots = {
        **loss_plot(trained.history),
        **detection_plots(NAME, scores, data.test.labels, threshold=trained.card.threshold),
    }
    run = track(key="plots", plots=plots)
    assert kept(place, run, "card.json", tmp_path).read_bytes() == trained.files["card.json"]
    told = {file.name: file.read_text() for file in kept(place, run, "plots", tmp_path).iterdir()}
    assert told == plots
    assert set(told) == {"loss.svg", "roc.svg", "precision_recall.svg", "scores.svg"}


def test_a_retry_finds_the_run_of_the_first_attempt(place: Place, track: Track) -> None:
    assert track(key="again") == track(key="again")
    assert len(runs(place, "again")) == 1
    assert track(key="another") != track(key="again")


def test_the_run_of_a_process_that_died_is_replaced(place: Place, track: Track) -> None:
    experiment = place.client.get_experiment_by_name(EXPERIMENT).experiment_id
    orphan = place.client.create_run(experiment, tags={"dfp.key": "died"}).info.run_id
    run = track(key="died")
    assert [found.info.run_id for found in runs(place, "died")] == [run]
    assert place.client.get_run(orphan).info.lifecycle_stage == "deleted"


def test_what_a_dead_process_left_running_is_ended_once_and_what_lives_is_left_alone(
    place: Place, track: Track
) -> None:
    experiment = place.client.get_experiment_by_name(EXPERIMENT).experiment_id
    dead, living, foreign = (
        place.client.create_run(experiment, tags=tags).info.run_id
        for tags in ({DAGSTER_RUN: "dead"}, {DAGSTER_RUN: "living"}, {})
    )
    ended = [end_runs(uri=place.uri, is_dead=lambda run: run == "dead") for _ in range(2)]
    assert ended == [(dead,), ()]
    states = [place.client.get_run(run).info.status for run in (dead, living, foreign)]
    assert states == ["KILLED", "RUNNING", "RUNNING"]


def test_a_run_whose_logging_fails_is_ended_as_failed_and_replaced_by_the_retry(place: Place, track: Track) -> None:
    with pytest.raises(UnreachableError, match="did not take the training"):
        track(key="failing", metrics={"a name / that ! MLflow refuses": 1.0})
    assert [run.info.status for run in runs(place, "failing")] == ["FAILED"]
    run = track(key="failing")
    assert [(found.info.run_id, found.info.status) for found in runs(place, "failing")] == [(run, "FINISHED")]


def test_nothing_is_written_where_the_process_stands(
    track: Track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    track(key="elsewhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "it's", 'say "no"', "`"])
def test_a_key_that_would_break_the_search_is_refused(key: str, trained: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(InvalidNameError):
        track_training(trained, uri="sqlite://", artifacts=tmp_path, key=key, tags={})


# -- the model in it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["xgboost", "ae_small", "detector"])
def test_mlflow_loads_the_model_and_it_answers_as_ours_to_the_bit(
    preset: str, place: Place, track: Track, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(data, tiny(preset, "training.epochs=2"), progress=False)
    run = track(model, key=f"model {preset}", example=data.training.matrix[0])
    folder = kept(place, run, "model", tmp_path)
    assert not [found for pattern in PICKLES for found in folder.rglob(pattern)]

    import cloudpickle
    from mlflow import pyfunc

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (cloudpickle, "load")):
        monkeypatch.setattr(module, name, unpickled)
    loaded = pyfunc.load_model(str(folder))
    frame = pd.DataFrame(data.test.matrix, columns=list(data.features))
    told, ours = loaded.predict(frame), load_model(model.files)
    answer = ours.answer(data.test.matrix)
    errors = np.full(len(frame), np.nan, np.float32) if answer.errors is None else answer.errors
    assert told["score"].to_numpy().tobytes() == answer.scores.tobytes()
    assert told["reconstruction_error"].to_numpy().tobytes() == errors.tobytes()
    assert told["label"].tolist() == ours.label(answer.scores).tolist()


def unpickled(*_: Any, **__: Any) -> None:
    raise AssertionError("something was unpickled on the way to a model")


def test_the_model_says_what_goes_in_with_an_example_of_it(
    place: Place, track: Track, data: TrainingData, trained: TrainedModel, tmp_path: Path
) -> None:
    from mlflow.models import Model

    row = data.training.matrix[0].copy()
    row[0] = np.nan
    folder = kept(place, track(key="example", example=row), "model", tmp_path)
    read = Model.load(str(folder))
    assert read.signature.inputs.input_names() == list(data.features)
    assert read.signature.outputs.input_names() == ["score", "label", "reconstruction_error"]
    assert read.flavors["python_function"]["loader_module"] == "dfp_platform.models.mlflow_flavor"
    example = read.load_input_example(str(folder))
    assert np.array_equal(example.to_numpy(dtype=np.float32)[0], row, equal_nan=True)
    assert json.loads((folder / "input_example.json").read_text())["data"][0][0] is None


def test_a_feature_that_is_left_out_is_unknown_to_the_model(
    place: Place, track: Track, data: TrainingData, trained: TrainedModel, tmp_path: Path
) -> None:
    from mlflow import pyfunc

    loaded = pyfunc.load_model(str(kept(place, track(key="left out"), "model", tmp_path)))
    matrix = data.test.matrix.copy()
    matrix[:, 0] = np.nan
    frame = pd.DataFrame(data.test.matrix, columns=list(data.features)).drop(columns=data.features[0])
    assert loaded.predict(frame)["score"].tolist() == load_model(trained.files).score(matrix).tolist()


# -- versions and aliases --------------------------------------------------------------------------------------------


def followed(
    place: Place, name: str, run: str, content: str, *, champion: str, challenger: str | None = None
) -> str | None:
    published = Published(name=name, content=content, key=f"{run}/{name}", data_tag=f"model-{name}-of-{run}")
    return follow(uri=place.uri, published=published, champion=champion, challenger=challenger)


def aliases(place: Place, name: str) -> dict[str, str]:
    return {alias: str(version) for alias, version in place.client.get_registered_model(name).aliases.items()}


def test_aliases_follow_the_lake_forwards_and_back(place: Place, track: Track) -> None:
    for run in ("f1", "f2"):
        track(key=f"{run}/moving")
    assert followed(place, "moving", "f1", "one", champion="one") == "1"
    assert aliases(place, "moving") == {CHAMPION: "1"}
    assert followed(place, "moving", "f2", "two", champion="one", challenger="two") == "2"
    assert aliases(place, "moving") == {CHAMPION: "1", CHALLENGER: "2"}
    assert followed(place, "moving", "f2", "two", champion="two") == "2", "promoted by hand"
    assert aliases(place, "moving") == {CHAMPION: "2"}
    assert followed(place, "moving", "f1", "one", champion="one") == "1", "a revert is the same promotion"
    assert followed(place, "moving", "f1", "one", champion="one") == "1", "doing it again makes no version"
    assert aliases(place, "moving") == {CHAMPION: "1"}


def test_an_alias_of_a_content_that_mlflow_does_not_know_is_taken_away(place: Place, track: Track) -> None:
    track(key="g1/lost")
    followed(place, "lost", "g1", "one", champion="one")
    followed(place, "lost", "g1", "one", champion="of another database", challenger="one")
    assert aliases(place, "lost") == {CHALLENGER: "1"}


def test_a_version_bears_the_lineage_of_its_training_and_points_at_the_model(
    place: Place, track: Track, data: TrainingData, tmp_path: Path
) -> None:
    run = track(key="h1/told", metrics={"test_roc_auc": 0.75})
    followed(place, "told", "h1", "one", champion="one")
    version = place.client.get_model_version("told", "1")
    assert {name: version.tags[name] for name in TAGS} == TAGS
    assert (version.tags["lake.content"], version.tags["lake.data_tag"]) == ("one", "model-told-of-h1")
    assert version.tags["schema_hash"] == data.schema_hash
    assert version.source.endswith(f"{run}/artifacts/model")
    known = registered(uri=place.uri, name="told", contents=["one", "none"])
    assert {content: (told.version, told.run_id) for content, told in known.items()} == {"one": ("1", run)}
    assert known["one"].metrics["test_roc_auc"] == 0.75


def test_the_champion_is_loaded_by_its_alias(
    place: Place, track: Track, data: TrainingData, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import pyfunc

    track(key="i1/loaded")
    followed(place, "loaded", "i1", "one", champion="one")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.uri)
    told = pyfunc.load_model("models:/loaded@champion").predict(pd.DataFrame(data.test.matrix, columns=data.features))
    assert told["score"].to_numpy().tobytes() == load_model(trained.files).score(data.test.matrix).tobytes()


def test_a_training_that_mlflow_does_not_know_registers_nothing(place: Place, track: Track) -> None:
    assert followed(place, "unknown", "lost", "of another database", champion="of another database") is None


def test_an_mlflow_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    place = Place(f"file://{tmp_path}/no/such\0place", tmp_path)
    with pytest.raises(UnreachableError, match="did not register"):
        followed(place, NAME, "r1", "first", champion="first")
