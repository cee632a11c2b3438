"""`dfp replay` on a model that a run has trained and published: equal bytes, or what differs and why."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

from dfp_platform.catalog import open_catalog, overwrite, scan
from dfp_platform.lake import Lake
from dfp_platform.resources.lineage import writing_of
from tests.model_line import MODEL, lake, model_line, train
from tests.unit.test_cli_lake import Dfp, dfp

__all__ = ["dfp"]

NAME = MODEL.removeprefix("models/")
CARD = f"{MODEL}/card.json"
DATASET = "tables/marts/fct_training_dataset"

pytestmark = pytest.mark.timeout(400)  # MLflow makes its tables, torch is imported: minutes on a busy machine


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake with one published model."""
    with model_line(tmp_path_factory.mktemp("replaying")) as instance:
        assert train(instance, "training.epochs=2").success
        yield lake()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """In each test, as `model_line` does for the first run: MLflow and its dependencies warn of one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_a_model_and_its_predictions_are_made_again_to_the_byte(trained: Lake, dfp: Dfp) -> None:
    before = trained.resolve("main")
    code, said, _ = dfp("replay", NAME, "--json")
    told = json.loads(said)
    assert code == 0, told
    assert (told["equal"], told["first"], told["commit"]) == (True, None, trained.tags()[f"model-{NAME}-v1-data"])
    model = next(compared for compared in told["assets"] if compared["asset"] == MODEL)
    assert (model["made"], model["files"]) == (True, {"card.json": True, "weights.safetensors": True})
    assert (told["predictions"]["apps"], told["predictions"]["differing"]) == (360, 0)
    assert trained.resolve("main") == before
    assert set(trained.branches()) == {"main"}


def test_it_leads_from_the_mlflow_run_to_the_same_model(trained: Lake, dfp: Dfp) -> None:
    from mlflow import MlflowClient

    from dfp_platform.settings import settings

    run = MlflowClient(tracking_uri=settings().mlflow_uri).get_model_version_by_alias(NAME, "champion").run_id
    told = json.loads(dfp("trace", str(run), "--json")[1])
    assert (told["asset"], told["commit"]) == (MODEL, trained.tags()[f"model-{NAME}-v1-data"])
    code, _, complaint = dfp("trace", "0" * 32)
    assert (code, "knows no run" in complaint) == (1, True)


def test_other_libraries_are_named_as_what_differs_first(trained: Lake, dfp: Dfp) -> None:
    tag = claimed(trained, "other-torch", libraries={"torch": "1.0.0"})
    code, said, complaint = dfp("replay", tag)
    assert said, complaint
    assert code == 1
    lines = said.splitlines()
    assert "    DIFFERS  card.json" in lines
    assert "    equal    weights.safetensors" in lines
    assert lines[lines.index(f"first to differ: {MODEL}") + 1] == (
        f"  libraries.torch: 1.0.0 then, {version('torch').partition('+')[0]} now"
    )


def test_an_input_that_somebody_changed_is_named_before_the_model(trained: Lake, dfp: Dfp) -> None:
    apps = scan(trained, "main", "marts.fct_training_dataset")
    trained.create_branch("tampered", "main")
    overwrite(open_catalog(trained, "tampered"), "marts.fct_training_dataset", apps.slice(40))
    tag = claimed(trained, "tampered", platform={"machine": "another"})
    code, said, _ = dfp("replay", tag, "--keep", "--json")
    told = json.loads(said)
    assert (code, told["first"]) == (1, DATASET)
    assert "it holds other content than was recorded as read" in told["reasons"][0]
    model = next(compared for compared in told["assets"] if compared["asset"] == MODEL)
    assert model["reasons"][0] == f"{DATASET}, which it is made from, differs"
    assert told["predictions"]["differing"] > 0
    assert told["branch"] in trained.branches()
    trained.delete_branch(told["branch"])


def claimed(lake: Lake, branch: str, **said: dict[str, str]) -> str:
    """A tag of a commit that claims to have made the model as the run did, with a card that says something else."""
    if branch not in lake.branches():
        lake.create_branch(branch, "main")
    found = writing_of(lake, "main", MODEL)
    card: dict[str, Any] = json.loads(lake.read("main", CARD))
    changed = {**card, **{part: {**card[part], **told} for part, told in said.items()}}
    content = (json.dumps(changed, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()
    commit = lake.commit(branch, {CARD: content}, message="claim", metadata=dict(found.commit.metadata))
    lake.delete_branch(branch)
    tag = f"model-{NAME}-v{len(lake.tags()) + 1}-data"
    lake.tag(tag, commit)
    return tag
