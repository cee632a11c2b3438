"""What `dfp replay` makes again, and how it tells what differs, on lakes made by hand; nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.assets.choices import run_config_again
from dfp_platform.catalog import Pointer, content_of
from dfp_platform.cli.replaying import told
from dfp_platform.errors import ConfigurationError, InvalidNameError, NotFoundError, PermanentError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.models.card import ModelCard
from dfp_platform.models.parts import parts
from dfp_platform.models.replayed import Predictions, causes, predictions, unlike
from dfp_platform.models.training import train as train_model
from dfp_platform.publishing.launch import RunOutcome
from dfp_platform.publishing.replaying import Compared, Original, Replay, original_of, replayed, to_make
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.schemas import CommitId
from dfp_platform.settings import settings
from tests.apps import tiny_table
from tests.configured import tiny

GRAPH = Graph(
    {
        "raw/apps": (),
        "tables/raw/apps": ("raw/apps",),
        "tables/marts/apps": ("tables/raw/apps",),
        "models/small": ("tables/marts/apps",),
        "reports/page": ("models/small",),
    },
    required={},
    code_versions={},
)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A model and what it was made from."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    made = open_lake(tmp_path / "lake", create=True)
    made.commit("main", {"features/apps/rows": b"1"}, message="rows")
    train(made, b"first")
    yield made
    settings.cache_clear()


def card(**said: Any) -> ModelCard:
    return ModelCard(
        **{
            **dict.fromkeys(("schema_hash", "standardisation", "score"), ""),
            **{key: {} for key in ("config", "slices", "figures", "libraries", "platform")},
            **{"name": "small", "kind": "vae", "device": "real_device", "features": (), "threshold": 0.5},
            **said,
        }
    )


def pointer() -> bytes:
    return Pointer("file:///m.json", "u", content="c" * 64, rows=1, rows_hash="1", schema="s", snapshot_id=1).to_bytes()


def recorded(lake: Lake, asset: str, files: dict[str, bytes], *, inputs: tuple[str, ...] = (), **said: Any) -> str:
    record = {asset: {"inputs": {dep: content_of(lake, "main", dep) for dep in inputs}, **said}}
    return lake.commit("main", files, message=asset, metadata={"run": "r", "lineage": json.dumps(record)})


def train(
    lake: Lake, weights: bytes, *, asset: str = "models/small", inputs: tuple[str, ...] = ("features/apps",)
) -> str:
    files = {f"{asset}/card.json": b"{}", f"{asset}/weights": weights}
    return recorded(lake, asset, files, inputs=inputs, config={"seed": 7})


def test_a_name_means_its_newest_tag_and_without_one_what_stands_on_main(lake: Lake) -> None:
    first = lake.resolve("main")
    assert original_of(lake, "small").commit == first
    lake.tag("model-small-v9-data", first)
    second = train(lake, b"second")
    lake.tag("model-small-v10-data", second)
    train(lake, b"third")
    for named in ("small", "models/small", "model-small-v10-data"):
        found = original_of(lake, named)
        assert (found.commit, found.files["weights"], found.record["config"]) == (second, b"second", {"seed": 7})
    assert original_of(lake, "model-small-v9-data").files["weights"] == b"first"


def test_what_is_no_model_or_was_recorded_by_nobody_is_refused(lake: Lake) -> None:
    with pytest.raises(InvalidNameError, match="features/apps is no model"):
        original_of(lake, "features/apps")
    lake.commit("main", {"models/found/card.json": b"{}"}, message="from somewhere")
    with pytest.raises(PermanentError, match="no commit recorded how models/found was made"):
        original_of(lake, "found")
    with pytest.raises(NotFoundError, match="'smal' is nothing"):
        original_of(lake, "smal")


def test_a_model_whose_inputs_are_gone_is_refused_by_their_name(lake: Lake) -> None:
    record = {"models/odd": {"inputs": {"features/gone": "f" * 64}}}
    lake.commit("main", {"models/odd/card.json": b"{}"}, message="w", metadata={"lineage": json.dumps(record)})
    with pytest.raises(NotFoundError, match="features/gone, which models/odd was made from, is not there"):
        original_of(lake, "odd")


def test_upstream_begins_after_the_raw_rows_and_ends_with_the_model() -> None:
    original = Original("models/small", CommitId("c"), "r", {}, {})
    assert to_make(original, GRAPH, upstream=False) == ["models/small"]
    assert to_make(original, GRAPH, upstream=True) == ["tables/raw/apps", "tables/marts/apps", "models/small"]


def test_a_run_starts_without_what_it_makes_and_leaves_no_branch_when_it_fails(lake: Lake) -> None:
    seen: dict[str, Any] = {}

    def run(base: CommitId, assets: list[str]) -> RunOutcome:
        seen.update(paths=[found.path for found in lake.list(base)], assets=assets)
        lake.create_branch("run-x", base)
        return RunOutcome(
            "x", success=False, published_commit=None, branch="run-x", failed={"models__small": "no room"}
        )

    with pytest.raises(PermanentError, match="models__small: no room"):
        replayed(lake, original_of(lake, "small"), GRAPH, run, upstream=False, keep=False)
    assert seen == {"paths": ["features/apps/rows"], "assets": ["models/small"]}
    assert set(lake.branches()) == {"main"}


def test_upstream_reads_the_raw_rows_that_the_tables_were_made_from(lake: Lake) -> None:
    lake.commit("main", {"raw/apps/one": b"1"}, message="land")
    recorded(lake, "raw/apps", {"raw/apps/two": b"2"})
    recorded(lake, "tables/raw/apps", {"tables/raw/apps": pointer()}, inputs=("raw/apps",))
    recorded(lake, "raw/apps", {"raw/apps/three": b"3"})
    train(lake, b"later", inputs=("tables/raw/apps",))
    seen: dict[bool, list[str]] = {}

    for upstream in (True, False):

        def run(base: CommitId, assets: list[str], upstream: bool = upstream) -> RunOutcome:
            seen[upstream] = [found.path for found in lake.list(base, "")]
            lake.create_branch("run-x", base)
            return RunOutcome("x", success=False, published_commit=None, branch="run-x")

        with pytest.raises(PermanentError):
            replayed(lake, original_of(lake, "small"), GRAPH, run, upstream=upstream, keep=False)
    assert seen[True] == ["features/apps/rows", "raw/apps/one", "raw/apps/two"]
    assert seen[False] == ["features/apps/rows", "raw/apps/one", "raw/apps/three", "raw/apps/two", "tables/raw/apps"]


def test_cards_tell_libraries_and_machine_first_and_results_not_at_all() -> None:
    then, now = (
        card(libraries={"torch": torch}, platform={"machine": machine}, threshold=threshold).to_json()
        for torch, machine, threshold in (("2.14.0", "x86_64", 1.0), ("2.14.1", "aarch64", 2.0))
    )
    assert causes(then, now) == [
        "libraries.torch: 2.14.0 then, 2.14.1 now",
        "platform.machine: x86_64 then, aarch64 now",
    ]
    assert causes(then, then) == []


def test_bits_are_compared_not_numbers() -> None:
    one = np.array([0.0, np.nan, 1.0, 1.0], dtype=np.float32)
    other = np.array([-0.0, np.nan, 1.0, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32)
    assert unlike(one, other).tolist() == [True, False, False, True]


@pytest.mark.parametrize(("future", "apps"), [(True, 360), (False, 0)])
def test_both_models_answer_for_the_test_apps_if_the_split_leaves_any(future: bool, apps: int) -> None:
    table, told = tiny_table(), tiny("xgboost")
    if not future:
        table = table.set_column(table.column_names.index("time_split"), "time_split", pa.array(["past"] * 1_200))
    places = ["time_rank", "time_split"]
    files, others = (
        train_model(
            parts(table, told.data, told.split), tiny("xgboost", f"model.max_depth={depth}"), progress=False
        ).files
        for depth in (3, 2)
    )
    rest = table.drop_columns(places), table.select(["sha256", "device", *places])
    assert predictions(files, files, *rest) == Predictions(apps, 0, 0.0)
    assert predictions(files, others, *rest).equal == (not future)


def test_a_training_is_told_again_what_it_was_told_whatever_its_preset_says_today() -> None:
    configuration = tiny("vae", "training.epochs=3", "training.seed=11")
    then = card(name=configuration.name, kind="vae", config=configuration.model_dump(mode="json"))
    config = run_config_again(then, {"training": {"epochs": 5}})["models__vae_real_device"]["config"]
    assert (config["training"]["epochs"], config["training"]["seed"], config["model"]["hidden"]) == (5, 11, [16])
    with pytest.raises(ConfigurationError, match=r"training\.epoch"):
        run_config_again(then, {"training": {"epoch": 5}})
    with pytest.raises(NotFoundError, match="no preset makes a model called gone"):
        run_config_again(then.model_copy(update={"name": "gone"}), {})


def test_a_person_reads_what_differs_first_and_why() -> None:
    original = Original("models/small", CommitId("c" * 40), "r", {}, {})
    table = Compared("tables/marts/apps", "a" * 64, "a" * 64, made=False, files={})
    weights = {"card.json": True, "weights": False}
    model = Compared("models/small", "a" * 64, "b" * 64, made=True, files=weights, reasons=("libraries.torch: 1 then",))
    lines = told(Replay(original, "x", "run-x", 3.0, (table, model), Predictions(600, 2, 0.5)))
    assert lines[1:] == [
        "  equal    tables/marts/apps  (read)",
        "  DIFFERS  models/small  (content aaaaaaaaaaaa then, bbbbbbbbbbbb now)",
        "    equal    card.json",
        "    DIFFERS  weights",
        "  DIFFERS  predictions: 2 of 600 test apps, scores by up to 0.5",
        "what was made is on run-x",
        "first to differ: models/small",
        "  libraries.torch: 1 then",
    ]
    same = told(Replay(original, "x", "", 3.0, (table,), Predictions(600, 0, 0.0)))
    assert same[-1] == "equal, byte for byte"
    assert told(Replay(original, "x", "", 3.0, (table,), Predictions(0, 0, 0.0)))[-2].endswith(
        "no predictions to compare"
    )
