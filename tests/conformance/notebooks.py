"""Every notebook in Jupyter's own kernel: `make notebooks`. Needs the extras `notebooks` and `spark`, and a Java.

They run on the lake of `DFP_HOME` if that is set (CI names the one that `make demo` made), else on one of a small demo.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pyarrow import fs

from dfp_platform.ingest import land, register
from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import PROJECT_ROOT
from tests.conformance.s3_store import endpoint, lake, store
from tests.e2e.conftest import environment_for

__all__ = ["endpoint", "lake", "store"]

S3 = PROJECT_ROOT / "notebooks" / "files_on_s3.ipynb"
NOTEBOOKS = sorted({*(PROJECT_ROOT / "notebooks").glob("*.ipynb")} - {S3})

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a person who has run the demo."""
    root = tmp_path_factory.mktemp("notebooks")
    environment = environment_for(root)
    if home := os.environ.get("DFP_HOME"):
        return environment | {"DFP_HOME": home}
    subprocess.run(["dfp", "demo"], env=environment, capture_output=True, check=True)
    return environment


def executed(path: Path, environment: Mapping[str, str]) -> None:
    """Run a notebook from top to bottom, in a kernel of its own; the file stays as it is."""
    command = [str(Path(sys.executable).parent / "jupyter"), "execute", "--timeout=300", str(path)]
    before = path.read_bytes()
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_leaves_the_lake_as_it_was(path: Path, demo: Mapping[str, str]) -> None:
    kept = open_lake(Path(demo["DFP_HOME"]) / "lake")
    before = (kept.branches(), kept.tags())
    executed(path, demo)
    assert (kept.branches(), kept.tags()) == before


def test_files_are_read_where_they_lie_in_a_store_that_is_not_aws(
    lake: Lake, store: fs.S3FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(lake, "main", "kronodroid_real_device", source="sample", sample_rows=30, seed=7, cache=tmp_path)
    register(lake, "main", "kronodroid_real_device")
    assert lake.address("main", "raw/kronodroid_real_device/part-00000.parquet").startswith("s3://")
    monkeypatch.setenv("DFP_LAKE", lake.uri)
    executed(S3, os.environ)
