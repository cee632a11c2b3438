"""The real line follows its data: rows that somebody takes out of the training table are trained on and published."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dfp_platform.catalog import content_at, open_catalog, overwrite
from dfp_platform.lake import open_lake
from dfp_platform.settings import PROJECT_ROOT
from tests.e2e.conftest import Demo

TABLE = "tables/marts/fct_training_dataset"
BRANCH = "feature-fewer"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("demo")
def test_the_line_is_trained_on_rows_that_another_writer_left(demo: Demo) -> None:
    lake = open_lake(demo.home / "lake")
    lake.create_branch(BRANCH)
    catalog = open_catalog(lake, BRANCH)
    rows = catalog.load_table("marts.fct_training_dataset").scan().to_arrow()
    overwrite(catalog, "marts.fct_training_dataset", rows.slice(20))
    main, seen = lake.resolve("main"), lake.resolve(BRANCH)
    follow = {"DFP_RETRAINING_BRANCHES": "feature-*", "DFP_RETRAINING_QUIET_SECONDS": "0"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.e2e.retrain_once"]
    ended = subprocess.run(
        command, cwd=PROJECT_ROOT, env={**demo.environment, **follow}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    head = lake.show(BRANCH)
    assert said[1] == {"job": "train", "success": True, "commit": head.id}
    assert said[2]["skipped"] == f"{BRANCH}: its models were made from what stands there"
    assert (head.parents[0], lake.resolve("main")) == (seen, main)
    for name in ("autoencoder", "xgboost"):
        card = json.loads(lake.read(head.id, f"models/{name}/card.json"))
        assert card["origin"]["content"] == content_at(lake, BRANCH, TABLE) != content_at(lake, "main", TABLE)
