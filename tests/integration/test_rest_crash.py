"""The REST catalog and a server that is killed: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.lake import open_lake
from tests.serving_rest import SCHEMA


@pytest.mark.timeout(300)
def test_a_server_that_is_killed_loses_no_acknowledged_commit_and_leaves_none_half_done(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    open_catalog(lake).create_namespace("marts")
    chance, acknowledged = random.Random(7), 0
    for _ in range(4):
        acknowledged += _commits_until_killed(lake.uri, after=acknowledged, seconds=chance.uniform(0.1, 0.6))
        reopened = open_lake(lake.uri)
        assert list(reopened.verify()) == []
        counts = [int(table.properties["count"]) for table in map(open_catalog(reopened).load_table, _names())]
        assert counts[0] == counts[1]  # one transaction changed both, or neither
        assert counts[0] in (acknowledged, acknowledged + 1)
        acknowledged = counts[0]
    assert acknowledged > 0


def _names() -> list[str]:
    return ["marts.one", "marts.two"]


def _commits_until_killed(lake: str, *, after: int, seconds: float) -> int:
    """How many transactions a server acknowledged before it was killed."""
    command = [sys.executable, "-m", "dfp_platform.cli", "catalog", "serve", "--port", "0", "--json", "--lake", lake]
    done = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        uri = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")["uri"]
        with httpx.Client(base_url=f"{uri}/v1/main", timeout=60) as client:
            if not after:
                for name in ("one", "two"):
                    body = {"name": name, "schema": SCHEMA, "properties": {"count": "0"}}
                    client.post("/namespaces/marts/tables", json=body).raise_for_status()
            killer = threading.Timer(seconds, server.kill)
            killer.start()
            try:
                while True:
                    client.post("/transactions/commit", json=_counted(after + done + 1)).raise_for_status()
                    done += 1
                    time.sleep(0)
            except httpx.TransportError:
                pass
            finally:
                killer.join()
    return done


def _counted(count: int) -> dict:
    updates = [{"action": "set-properties", "updates": {"count": str(count)}}]
    names = [{"namespace": ["marts"], "name": name} for name in ("one", "two")]
    return {"table-changes": [{"identifier": name, "requirements": [], "updates": updates} for name in names]}
