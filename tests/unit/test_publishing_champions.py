"""Versions and champions as the lake holds them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dfp_platform.catalog import content_at
from dfp_platform.errors import NotFoundError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.models.champions import Reign
from dfp_platform.publishing.champions import promote, tagged
from dfp_platform.publishing.model_story import aliases_of, chosen_version, model_files, named_model, story_of
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.lineage import lineage_at
from dfp_platform.serving.versions import CHAMPIONS, files_of, reign_at, reign_path, trained_models, versions

NOW = datetime(2026, 11, 26, tzinfo=UTC)
GRAPH = Graph(dependencies={CHAMPIONS: ("models/vae",)}, required={}, code_versions={CHAMPIONS: "1"})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two versions of a model `vae`, one of `xgboost`; the newest of each stands on main."""
    made = open_lake(tmp_path / "lake", create=True)
    for name, weights in (("vae", b"1"), ("xgboost", b"x"), ("vae", b"2")):
        head = write(made, name, weights)
        tagged(made, name, content_at(made, "main", f"models/{name}"), head)
    return made


def write(lake: Lake, name: str, weights: bytes) -> str:
    files = {f"models/{name}/card.json": b"{}", f"models/{name}/weights.safetensors": weights}
    return lake.commit("main", files, message="train")


def test_versions_are_what_the_lake_has_a_data_tag_of(lake: Lake) -> None:
    lake.tag("model-vae-data", "main")
    lake.tag("before", "main")
    assert [(v.model, v.number, v.tag) for v in versions(lake)] == [
        ("vae", 1, "model-vae-v1-data"),
        ("vae", 2, "model-vae-v2-data"),
        ("xgboost", 1, "model-xgboost-v1-data"),
    ]
    assert trained_models(lake, "main") == ["vae", "xgboost"]


def test_one_content_is_one_version_however_often_it_is_published(lake: Lake) -> None:
    again = write(lake, "vae", b"1")
    assert tagged(lake, "vae", content_at(lake, "main", "models/vae"), again) == "model-vae-v1-data"
    new = write(lake, "vae", b"3")
    content = content_at(lake, "main", "models/vae")
    assert tagged(lake, "vae", content, new) == tagged(lake, "vae", content, new) == "model-vae-v3-data"


def test_a_name_that_begins_like_another_has_versions_of_its_own(lake: Lake) -> None:
    head = write(lake, "vae-v2", b"1")
    assert tagged(lake, "vae-v2", content_at(lake, "main", "models/vae-v2"), head) == "model-vae-v2-v1-data"
    assert [v.number for v in versions(lake, "vae")] == [1, 2]


def test_the_files_of_a_version_are_found_where_they_stand_or_at_its_tag(lake: Lake) -> None:
    one, two = (version.content for version in versions(lake, "vae"))
    for content, weights in ((one, b"1"), (two, b"2")):
        assert files_of(lake, "main", "vae", content) == {"card.json": b"{}", "weights.safetensors": weights}
    assert files_of(lake, "main", "vae", "unknown") is None
    lake.delete_tag("model-vae-v1-data")
    assert files_of(lake, "main", "vae", one) is None


@pytest.mark.parametrize("protected", [False, True])
def test_a_promotion_by_hand_is_one_commit_that_says_who_and_why(lake: Lake, protected: bool) -> None:
    if protected:
        lake.protect_branch("main")
    before, one = lake.resolve("main"), versions(lake, "vae")[0]
    reign = promote(lake, "main", one, GRAPH, by="me", why="it is smaller", now=NOW)
    assert reign_at(lake, "main", "vae") == reign
    assert (reign.content, reign.why, reign.reason) == (one.content, "by hand", "promoted by me: it is smaller")
    assert reign.challenger is not None
    assert reign.challenger.content == versions(lake, "vae")[1].content
    assert [d.path for d in lake.diff(before, "main")] == [reign_path("vae")]
    head = lake.show("main")
    assert (head.metadata["promoted"], head.metadata["by"], head.metadata["why"]) == ("vae v1", "me", "it is smaller")
    assert head.parents[0] == before
    assert lineage_at(lake, "main", CHAMPIONS)["inputs"] == {"models/vae": versions(lake, "vae")[1].content}


def test_promotions_of_two_models_keep_each_other(lake: Lake) -> None:
    for name in ("vae", "xgboost"):
        promote(lake, "main", versions(lake, name)[0], GRAPH, by="me", why="", now=NOW)
    assert [reign_at(lake, "main", name) is not None for name in ("vae", "xgboost")] == [True, True]
    assert lineage_at(lake, "main", CHAMPIONS)["code_version"] == "1"


def test_a_model_that_is_not_on_the_branch_cannot_reign_there(lake: Lake) -> None:
    lake.create_branch("empty", list(lake.log("main"))[-1].id)
    with pytest.raises(NotFoundError, match="no model vae lies on empty"):
        promote(lake, "empty", versions(lake, "vae")[0], GRAPH, by="me", why="", now=NOW)


def test_what_was_written_last_tells_the_lineage_of_an_asset_of_several_files(lake: Lake) -> None:
    for name in ("vae", "xgboost"):
        metadata = {"lineage": f'{{"{CHAMPIONS}": {{"code_version": "{name}"}}}}'}
        lake.commit("main", {reign_path(name): name.encode()}, message="champions", metadata=metadata)
    assert lineage_at(lake, "main", CHAMPIONS) == {"code_version": "xgboost"}


# -- versions by name ------------------------------------------------------------------------------------------------


def reign_of(content: str) -> Reign:
    return Reign(model="vae", content=content, since=NOW, why="first", reason="")


def test_aliases_are_what_the_lake_says() -> None:
    assert aliases_of("one", "one", None) == ("champion", "published")
    assert aliases_of("two", "two", reign_of("one")) == ("challenger", "published")
    assert aliases_of("one", "two", reign_of("one")) == ("champion",)
    assert aliases_of("old", "two", reign_of("one")) == ()


def test_a_version_is_named_by_number_alias_tag_or_content(lake: Lake) -> None:
    one, two = versions(lake, "vae")
    lake.commit("main", {reign_path("vae"): reign_of(one.content).to_json()}, message="crown")
    for which in ("v1", "1", "champion", "model-vae-v1-data", one.content, one.content[:8]):
        assert chosen_version(lake, "main", "vae", which) == one
    for which in ("v2", "challenger", "published"):
        assert chosen_version(lake, "main", "vae", which) == two


def test_what_is_not_there_is_answered_with_what_is(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="did you mean vae"):
        named_model(lake, "main", "vea")
    with pytest.raises(NotFoundError, match=r"vae has no version v9\n.*there are: v1 \(.*, v2 \("):
        chosen_version(lake, "main", "vae", "v9")
    with pytest.raises(NotFoundError, match="has no version challenger"):
        chosen_version(lake, "main", "xgboost", "challenger")
    lake.tag("model-vae-v3-data", list(lake.log("main"))[-1].id)
    with pytest.raises(NotFoundError, match="the files of vae v3 are not at its tag"):
        model_files(lake, "main", chosen_version(lake, "main", "vae", "v3"))


def test_a_story_needs_neither_mlflow_nor_evaluation(lake: Lake) -> None:
    story = story_of(lake, "main", "vae", {})
    assert [(told.version, told.aliases, told.bytes) for told in story.versions] == [
        ("v2", ("champion", "published"), 3),
        ("v1", (), 3),
    ]
    assert (story.reign, story.versions[0].roc_auc, story.versions[0].mlflow_version) == (None, None, None)
    lake.commit("main", {"models/evaluation/report.json": b'{"of": "another version of this program"}'}, message="old")
    assert story_of(lake, "main", "vae", {}).versions[0].average_precision is None
