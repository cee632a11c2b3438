"""The champion of a registered model follows what the lake holds, forwards and back."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from dfp_platform.errors import UnreachableError
from dfp_platform.models.data import TrainingData
from dfp_platform.models.registration import CHAMPION, crown
from dfp_platform.models.tracking import track_training
from dfp_platform.models.training import train
from tests.apps import tiny_table
from tests.configured import tiny

NAME = "xgboost"


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MLflow with two trainings, `r1/xgboost` and `r2/xgboost`."""
    home: Path = tmp_path_factory.mktemp("registration")
    address = f"sqlite:///{home / 'mlflow.db'}"
    trained = train(TrainingData.from_arrow(tiny_table()), tiny("xgboost", "training.epochs=2"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow and its dependencies warn of one another as they are imported
        for run in ("r1", "r2"):
            track_training(trained, uri=address, artifacts=home / "artifacts", key=f"{run}/{NAME}", tags={})
    return address


def crowned(uri: str, run: str, content: str) -> str | None:
    return crown(uri=uri, name=NAME, key=f"{run}/{NAME}", content=content, data_tag=f"model-{NAME}-of-{run}")


def champion(uri: str) -> str:
    from mlflow import MlflowClient

    return str(MlflowClient(tracking_uri=uri).get_model_version_by_alias(NAME, CHAMPION).version)


def test_the_champion_follows_the_content_and_goes_back_with_it(uri: str) -> None:
    assert (crowned(uri, "r1", "first"), champion(uri)) == ("1", "1")
    assert (crowned(uri, "r2", "second"), champion(uri)) == ("2", "2")
    assert (crowned(uri, "r1", "first"), champion(uri)) == ("1", "1"), "a revert is the same promotion"
    assert crowned(uri, "r1", "first") == "1", "doing it again makes no version"


def test_a_training_that_mlflow_does_not_know_crowns_nothing(uri: str) -> None:
    assert crowned(uri, "lost", "of another database") is None


def test_an_mlflow_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="did not register"):
        crowned(f"file://{tmp_path}/no/such\0place", "r1", "first")
