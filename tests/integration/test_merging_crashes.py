"""A merge that is killed at any of its writes leaves the branch as it was, and can be done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.merging import merge_branches
from dfp_platform.lake import open_lake

KILLED_AT = {
    "before any file": ("dfp_platform.catalog.merging.snapshot", "write_manifest"),
    "before the manifest list": ("dfp_platform.catalog.merging.snapshot", "write_manifest_list"),
    "before files are durable": ("dfp_platform.catalog.merging.branches", "sync_files"),
    "before the metadata file": ("dfp_platform.catalog.merging.branches", "write_metadata"),
    "before the lake's merge": ("dfp_platform.lake.embedded", "refuse_clashes"),
    "before the branch moves": ("dfp_platform.lake.git_store", "GitStore.move_ref"),
}

CHILD = """
import functools, importlib, os, signal, sys
module, name = importlib.import_module(sys.argv[2]), sys.argv[3].split(".")
holder = functools.reduce(getattr, name[:-1], module)
setattr(holder, name[-1], lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL))
from dfp_platform.catalog.merging import merge_branches
from dfp_platform.lake import open_lake
merge_branches(open_lake(sys.argv[1]), "work", message="merge")
"""


@pytest.mark.parametrize("point", KILLED_AT)
def test_a_killed_merge_changes_nothing_and_the_next_one_lands(point: str, tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    overwrite(open_catalog(lake), "marts.apps", pa.table({"app": ["a"]}))
    lake.create_branch("work")
    for branch in ("main", "work"):
        open_catalog(lake, branch).load_table("marts.apps").append(pa.table({"app": [branch]}))
    before = lake.resolve("main")
    child = [sys.executable, "-c", CHILD, lake.uri, *KILLED_AT[point]]
    ended = subprocess.run(child, env={**os.environ, "PYTHONWARNINGS": "ignore"}, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]
    again = open_lake(lake.uri)
    assert again.resolve("main") == before
    assert list(again.verify()) == []
    merge_branches(again, "work", message="merge")
    assert sorted(open_catalog(again).load_table("marts.apps").scan().to_arrow()["app"].to_pylist()) == [
        "a",
        "main",
        "work",
    ]
