"""The registry as a versioned object: stock `feast` on a branch of the lake, and what its store promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dfp_platform import features
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.errors import NotFoundError, ReadOnlyError, StaleHeadError
from dfp_platform.features.repository import definitions, import_feast
from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import Settings

REPO = Path(features.__file__).parent / "repo"
NAMES = ("sys_read", "perm_reboot")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a training table, a registry on no branch yet, and a branch `mine`."""
    opened = open_lake(tmp_path / "lake", create=True)
    rows = pa.table({"sha256": ["a" * 64], "device": ["real_device"], "highest_date": [datetime(2020, 1, 1).date()]})
    for name in NAMES:
        rows = rows.append_column(name, pa.array([1]))
    overwrite(open_catalog(opened, "main"), ("marts", "fct_training_dataset"), rows)
    opened.create_branch("mine", "main")
    return opened


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, where settings look for one."""
    from dfp_platform.features import registry_store

    monkeypatch.setattr(registry_store, "settings", lambda: Settings(home=tmp_path / "home", _env_file=None))
    return tmp_path / "home"


def store_at(lake: Lake, ref: str) -> Any:
    """A store as the folder of the Feast repository describes it."""
    feast = import_feast()
    registry = {
        "registry_store_type": "dfp_platform.features.registry_store.LakeRegistryStore",
        "lake": lake.uri,
        "ref": ref,
    }
    config = feast.RepoConfig(
        project="dfp",
        registry=registry,
        offline_store={"type": "dfp_platform.features.offline.LakeOfflineStore", "lake": lake.uri, "ref": ref},
        online_store=None,
        entity_key_serialization_version=3,
    )
    return feast.FeatureStore(config=config)


def commits(lake: Lake, ref: str) -> list[str]:
    return [commit.message for commit in lake.log(ref)]


def feast(lake: Lake, branch: str, *words: str) -> str:
    told: Mapping[str, str] = {"DFP_LAKE": lake.uri, "DFP_BRANCH": branch, "DFP_HOME": str(Path(lake.uri).parent / "h")}
    command = [str(Path(sys.executable).parent / "feast"), "--chdir", str(REPO), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **told}, cwd="/")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(400)  # three processes that import Feast, 7 s each on a quiet machine
def test_stock_feast_applies_to_a_branch_and_to_no_other(lake: Lake) -> None:
    before = lake.resolve("main")
    feast(lake, "mine", "apply")
    applied = lake.resolve("mine")
    assert lake.resolve("main") == before
    assert lake.read("mine", features.REGISTRY) == features.apply(lake, "main")
    assert all(
        view in feast(lake, "mine", "feature-views", "list") for view in ("app_static", "app_dynamic", "app_all")
    )
    feast(lake, "mine", "apply")
    assert lake.resolve("mine") == applied


def test_one_apply_is_one_step_of_the_branch_that_says_what_it_was_made_from(lake: Lake, home: Path) -> None:
    before = lake.resolve("mine")
    store_at(lake, "mine").apply(definitions(NAMES))
    head = next(iter(lake.log("mine")))
    assert before in head.parents
    assert json.loads(head.metadata["assets"]) == ["features/registry"]
    recorded = json.loads(head.metadata["lineage"])["features/registry"]
    assert recorded["inputs"]["tables/marts/fct_training_dataset"]
    assert features.open_store(lake, "mine").get_feature_view("app_all").tags["schema_hash"]


def test_opening_and_reading_a_branch_without_a_registry_writes_none(lake: Lake, home: Path) -> None:
    before = lake.resolve("mine")
    assert store_at(lake, "mine").list_feature_views() == []
    assert lake.resolve("mine") == before


def test_a_tag_or_a_commit_is_read_and_not_applied_to(lake: Lake, home: Path) -> None:
    store_at(lake, "mine").apply(definitions(NAMES))
    lake.tag("before", "mine")
    for ref in ("before", lake.resolve("mine")):
        store = store_at(lake, ref)
        assert len(store.list_feature_views()) == 3
        with pytest.raises(ReadOnlyError, match="tag or a commit") as caught:
            store.apply(definitions(NAMES[:1]))
        assert "branch" in str(caught.value.hint)
    with pytest.raises(NotFoundError):
        store_at(lake, "nowhere").list_feature_views()


def test_of_two_applies_at_once_the_later_is_refused(lake: Lake, home: Path) -> None:
    store_at(lake, "mine").apply(definitions(NAMES))
    first, second = store_at(lake, "mine"), store_at(lake, "mine")
    second.registry.apply_entity(definitions(NAMES)[0], "dfp", commit=False)
    second.registry.delete_feature_view("app_static", "dfp", commit=False)
    first.apply(definitions(NAMES[::-1]))
    stands = lake.read("mine", features.REGISTRY)
    with pytest.raises(StaleHeadError, match="changed since it was read"):
        second.registry.commit()
    assert lake.read("mine", features.REGISTRY) == stands
    second.apply(definitions(NAMES[:1]))
    assert lake.read("mine", features.REGISTRY) != stands


def test_a_commit_of_something_else_does_not_stand_in_the_way(lake: Lake, home: Path) -> None:
    store = store_at(lake, "mine")
    lake.commit("mine", {"note": b"meanwhile"}, message="something else")
    store.apply(definitions(NAMES))
    assert lake.exists("mine", features.REGISTRY)
    assert "something else" in commits(lake, "mine")


def test_when_views_were_materialized_is_remembered_beside_the_lake(lake: Lake, home: Path) -> None:
    store = store_at(lake, "mine")
    store.apply(definitions(NAMES))
    head, window = lake.resolve("mine"), (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC))
    store.registry.apply_materialization(store.get_feature_view("app_all"), "dfp", *window)
    assert lake.resolve("mine") == head
    again = store_at(lake, "mine")
    assert again.get_feature_view("app_all").materialization_intervals == [window]
    assert again.get_feature_view("app_static").materialization_intervals == []
    again.apply(definitions(NAMES))
    assert store_at(lake, "mine").get_feature_view("app_all").materialization_intervals == [window]
    assert lake.resolve("mine") == head


def test_a_torn_down_registry_is_gone_from_the_branch_and_kept_by_its_history(lake: Lake, home: Path) -> None:
    store = store_at(lake, "mine")
    store.apply(definitions(NAMES))
    had = lake.resolve("mine")
    store.registry.teardown()
    assert not lake.exists("mine", features.REGISTRY)
    assert lake.exists(had, features.REGISTRY)
