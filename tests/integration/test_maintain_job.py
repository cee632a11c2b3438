"""The job `maintain`, as the UI starts it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.features import open_keeper
from dfp_platform.features.sqlite_versions import SqliteVersions
from dfp_platform.lake import open_lake
from dfp_platform.lake.ownership import Ownership, open_run_branch
from dfp_platform.publishing.maintenance import maintain_job, maintenance
from dfp_platform.serving.prediction_files import read_predictions
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.predictions import BRANCH, is_joined
from dfp_platform.settings import settings
from tests.feature_writer import write
from tests.garbage import age, days_ago, numbers, rows, table_files
from tests.predictions import answerer, answers


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_the_job_compacts_expires_and_collects_and_rows_stay(home: Path) -> None:
    with days_ago():
        lake = open_lake(home / "lake", create=True)
        open_catalog(lake).create_namespace("marts")
        table = open_catalog(lake).create_table("marts.apps", rows().schema)
        for number in range(4):
            table.append(rows(number))
    age(lake)
    before = table_files(lake)
    options = {"snapshot_days": 0.0, "delete": True, "grace_hours": 1.0, "history_days": 0.0}
    config = {"ops": {name: {"config": options} for name in ("maintain_tables", "collect_lake_garbage")}}
    with dg.DagsterInstance.ephemeral() as instance:
        with days_ago(2):
            assert maintain_job.execute_in_process(run_config=config, instance=instance).success
        assert before <= table_files(lake), "the parent of the head, which a revert needs, still has all snapshots"
        with days_ago(1):
            for number in range(2):
                lake.commit("main", {"later": b"%d" % number}, message="the branch moves on")
        age(lake)
        assert maintain_job.execute_in_process(run_config=config, instance=instance).success
    table = open_catalog(lake).load_table("marts.apps")
    assert numbers(lake, "main") == list(range(4))
    assert (len(table.metadata.snapshots), len(list(table.scan().plan_files()))) == (1, 1)
    gone = {Path(file).suffix for file in before - table_files(lake)}
    assert gone == {".parquet", ".avro"}, "what was compacted away and expired is gone"


def test_the_job_joins_predictions_and_forgets_old_ones_if_it_may_delete(home: Path) -> None:
    lake, now = open_lake(home / "lake", create=True), datetime.now(UTC)
    told = []
    for days in (40, 40, 5, 5, 0):
        log = PredictionLog(
            lake, spool=home / "spool", seconds=3_600, clock=lambda at=now - timedelta(days=days): at.timestamp()
        )
        told += log.add(answers(answerer(), 0.1))
        log.close()
    for config, left in (
        ({"prediction_days": 30.0}, told),
        ({"delete": True}, told),
        ({"delete": True, "prediction_days": 30.0}, told[2:]),
    ):
        with dg.DagsterInstance.ephemeral() as instance:
            assert maintain_job.execute_in_process(run_config=maintenance(config), instance=instance).success
        assert sorted(read_predictions(lake)["prediction_id"].to_pylist()) == sorted(left)
    assert sorted(is_joined(Path(each.path).stem) for each in lake.list(BRANCH, "predictions/")) == [False, True]


def test_the_job_removes_online_versions_that_nobody_serves_if_it_may_delete(home: Path) -> None:
    store = SqliteVersions(home / "online")
    for version in ("loose", "served"):
        write(store, version, 3)
    with closing(open_keeper(settings())) as keeper:
        keeper.switch("main", "served", "c0")
    open_lake(home / "lake", create=True)
    with dg.DagsterInstance.ephemeral() as instance:
        for delete, left in ((False, ["loose", "served"]), (True, ["served"])):
            config = {"ops": {"prune_online_features": {"config": {"delete": delete, "online_days": 0.0}}}}
            assert maintain_job.execute_in_process(run_config=config, instance=instance).success
            assert sorted(each.version for each in store.versions()) == left


def test_the_job_deletes_branches_of_runs_that_nobody_touched_for_long_if_it_may(home: Path) -> None:
    lake = open_lake(home / "lake", create=True)
    base = lake.resolve("main")
    for run_id, state in {"held": "held", "dead": "sealed", "working": "open"}.items():
        open_run_branch(lake, Ownership(run_id, "main", base, state=state), source="main")
    lake.create_branch("run-of-somebody", "main")
    told = {"ops": {"delete_old_run_branches": {"config": {"delete": False, "run_days": 0.0}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        assert maintain_job.execute_in_process(run_config=told, instance=instance).success
        assert {"run-held", "run-dead"} <= set(lake.branches()), "it was not told to delete"
        told["ops"]["delete_old_run_branches"]["config"] = {"delete": True, "run_days": 1.0}
        assert maintain_job.execute_in_process(run_config=told, instance=instance).success
        assert {"run-held", "run-dead"} <= set(lake.branches()), "they are young"
        told["ops"]["delete_old_run_branches"]["config"] = {"delete": True, "run_days": 0.0}
        assert maintain_job.execute_in_process(run_config=told, instance=instance).success
    assert set(lake.branches()) == {"main", "run-working", "run-of-somebody"}
