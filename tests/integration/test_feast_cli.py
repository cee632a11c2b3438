"""The stock `feast` command in the repository folder: materialization by processes of their own, feature server."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest

from dfp_platform import features
from dfp_platform.features.keeper import Keeper
from dfp_platform.features.row_sources import FeastRows
from dfp_platform.features.sqlite_versions import SqliteVersions
from dfp_platform.lake import open_lake
from tests.feature_line import ROWS, apply_registry, digest, raw_values, store_table, training_table
from tests.local_servers import free_port, until

REPO = Path(features.__file__).parent / "repo"
FEAST = [str(Path(sys.executable).parent / "feast"), "--chdir", str(REPO)]


@pytest.mark.slow  # `make feast`; in one process tests/integration/test_feast_online.py holds the same every day
@pytest.mark.timeout(400)  # three processes that import Feast, 7 s each on a quiet machine
def test_stock_feast_materializes_to_versions_and_serves_them(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    store_table(lake, "main", training_table())
    apply_registry(lake, "main")
    told = {**os.environ, "DFP_LAKE": lake.uri, "DFP_BRANCH": "main", "DFP_HOME": str(tmp_path / "home")}
    told.pop("DFP_REDIS_URL", None)

    def feast(*words: str) -> None:
        done = subprocess.run([*FEAST, *words], capture_output=True, text=True, timeout=120, env=told, cwd="/")
        assert done.returncode == 0, done.stderr[-2_000:]

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    feast("materialize-incremental", now)
    head = lake.resolve("main")
    store_table(lake, "main", training_table(ROWS + 2, shift=5.0))
    feast("materialize-incremental", now)
    with closing(Keeper(FeastRows(), SqliteVersions(tmp_path / "home" / "online"))) as keeper:
        current = keeper.current("main")
        assert current is not None
        assert current.previous is not None
        assert (current.commit, current.previous.commit) == (lake.resolve("main"), head)
        assert features.served_equals_trained(keeper, lake, "main", current.version).passed
    port = free_port()
    with subprocess.Popen([*FEAST, "serve", "-h", "127.0.0.1", "-p", str(port)], env=told, cwd="/") as server:
        try:
            answer = asked(f"http://127.0.0.1:{port}/get-online-features", server)
        finally:
            server.terminate()
    names, results = answer["metadata"]["feature_names"], answer["results"]
    values = dict(zip(names, [each["values"] for each in results], strict=True))
    whole = (raw_values(ROWS)[5] + 5).astype(np.float32).tolist()
    assert values["sha256"] == [digest(5), "f" * 64]
    assert values["sys_read"] == [pytest.approx(whole[0]), None]
    assert values["vector"][0] == pytest.approx(whole)


def asked(address: str, server: subprocess.Popen) -> dict:
    """What the feature server answers, once it has started."""
    question = {"features": ["app_dynamic:sys_read", "app_all:vector"], "entities": {"sha256": [digest(5), "f" * 64]}}

    def answer() -> dict:
        assert server.poll() is None, "the feature server ended"
        answered = httpx.post(address, json=question, timeout=30)
        assert answered.status_code == 200, answered.text
        return answered.json()

    return until(answer, ignore=(httpx.TransportError,))
