"""`dfp features …` and the promotion of features, on a real lake and SQLite versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dfp_platform.features import open_keeper
from dfp_platform.lake import Lake, open_lake
from dfp_platform.publishing.promotions import ONLINE_VERSION, switch_online_features
from dfp_platform.settings import settings
from tests.dfp_calls import Dfp, calling
from tests.feature_line import NAMES, ROWS, apply_registry, digest, raw_values, store_table, training_table

pytestmark = pytest.mark.xdist_group("features")  # on one worker, so that Feast is imported once


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake whose `main` has features that nobody serves yet, and `next` others."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    monkeypatch.setenv("DFP_LAKE", str(tmp_path / "lake"))
    monkeypatch.delenv("DFP_REDIS_URL", raising=False)
    settings.cache_clear()
    made = open_lake(tmp_path / "lake", create=True)
    store_table(made, "main", training_table())
    apply_registry(made, "main")
    made.create_branch("next")
    store_table(made, "next", training_table(ROWS + 2, shift=5.0))
    yield made
    settings.cache_clear()


@pytest.fixture
def dfp(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Dfp:
    """Calls `dfp` in this process; gives exit code, stdout and stderr."""

    return calling(monkeypatch, capfdbinary, "features")


def test_features_are_served_read_taken_back_and_pruned(lake: Lake, dfp: Dfp) -> None:
    code, _, complaint = dfp("get", digest(0))
    assert (code, "nothing is served on main" in complaint) == (1, True)
    first = json.loads(dfp("materialize", "--json")[1])
    assert (first["rows"], first["changed"], first["serves"]) == (ROWS, ROWS, first["version"])
    second = json.loads(dfp("materialize", "--ref", "next", "--incremental", "--json")[1])
    told = json.loads(dfp("get", digest(0), "f" * 64, "--view", "app_dynamic", "--features", "sys_read", "--json")[1])
    assert told["apps"] == {digest(0): {"sys_read": float(np.float32(raw_values(ROWS)[0, 0] + 5))}, "f" * 64: None}
    assert told["commit"] == lake.resolve("next")
    assert json.loads(dfp("rollback", "--json")[1])["version"] == first["version"]
    assert json.loads(dfp("status", "--json")[1])["main"]["previous"]["version"] == second["version"]
    listed = json.loads(dfp("versions", "--json")[1])
    assert [(each["version"], each["serving"]) for each in listed] == [
        (first["version"], ["main"]),
        (second["version"], []),
    ]
    window = ("--from", "2018-01-01", "--to", "2018-01-11")
    filled = json.loads(dfp("backfill", *window, "--ref", "next", "--no-switch", "--json")[1])
    assert (filled["rows"], filled["changed"], filled["serves"]) == (ROWS, 10, first["version"])
    assert json.loads(dfp("prune", "--older-than", "0", "--json")[1]) == {"removed": [filled["version"]]}


def test_what_people_read(lake: Lake, dfp: Dfp) -> None:
    _, said, _ = dfp("materialize")
    assert f"{ROWS} apps, {ROWS} of them written" in said
    assert dfp("status")[1].split("\t")[0::4] == ["main", "by hand\n"]
    assert dfp("versions")[1].split("\t")[1] == str(ROWS)
    assert [line.split()[0] for line in dfp("get", digest(1))[1].splitlines()] == ["feature", *NAMES]
    assert dfp("prune")[1] == "removed: nothing\n"


def test_a_window_that_ends_before_it_begins_is_refused(lake: Lake, dfp: Dfp) -> None:
    code, _, complaint = dfp("backfill", "--from", "2018-01-02", "--to", "2018-01-01")
    assert (code, "--to" in complaint) == (2, True)


def test_a_promotion_serves_what_the_branch_names_and_makes_it_again_if_it_is_gone(lake: Lake, dfp: Dfp) -> None:
    at = settings()

    def publish(branch: str) -> str:
        with closing(open_keeper(at)) as keeper:
            version = keeper.version_for(lake, branch)
        lake.commit(branch, {ONLINE_VERSION: json.dumps({"version": version}).encode()}, message="online")
        return version

    switch_online_features(lake, "main", at)  # nothing is named yet
    first = publish("main")
    switch_online_features(lake, "main", at)
    lake.merge("next", "main", message="other features")
    second = publish("main")
    switch_online_features(lake, "main", at)
    with closing(open_keeper(at)) as keeper:
        now = keeper.current("main")
        assert now is not None
        assert (now.version, now.commit, now.previous.version) == (second, lake.resolve("main"), first)
        keeper.rollback("main")
        lake.commit("main", {"raw/other.csv": b""}, message="not of features")
        switch_online_features(lake, "main", at)
        assert keeper.current("main").version == first  # the rollback by hand stays
