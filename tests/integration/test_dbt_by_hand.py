"""Plain dbt in `dbt_project/`, as its README has it: no Dagster, nothing but two variables."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.ingest import sample
from dfp_platform.lake import open_lake
from tests.local_servers import free_port, until

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a dbt command in the project's folder, on a branch of a lake with landed apps."""
    folder = tmp_path_factory.mktemp("by_hand")
    lake = open_lake(str(folder / "lake"), create=True)
    catalog = open_catalog(lake, "main")
    catalog.create_namespace("raw")
    for device in sample.DEVICES:
        rows = pl.concat(list(sample.batches(device, rows=300, seed=3)))
        rows = rows.with_columns(load_id=pl.lit(f"0001-{device}"))
        rows.write_parquet(folder / f"{device}.parquet")
        schema = rows.head(0).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        table = catalog.create_table(f"raw.kronodroid_{device}", schema=schema)
        table.add_files([str(folder / f"{device}.parquet")])
    lake.create_branch("trial")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DFP_", "DBT_"))},
        "DFP_HOME": str(folder),  # its lake is the folder `lake` in it
        "DFP_REF": "trial",
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).parent / "dbt"), *arguments]
        started.append(subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def output(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate()
    assert process.returncode == 0, text
    return text


@pytest.mark.slow  # in `make conformance-dbt`
@pytest.mark.timeout(900)
def test_every_command_of_the_readme_works_in_the_projects_folder(dbt: Callable[..., subprocess.Popen[str]]):
    assert "All checks passed!" in output(dbt("debug"))
    assert re.search(r"PASS=\d+ WARN=\d+ ERROR=0", output(dbt("build")))
    assert re.search(r"PASS=\d+ WARN=\d+ ERROR=0", output(dbt("test", "--select", "marts")))
    shown = output(dbt("--quiet", "show", "--select", "dim_malware_families", "--limit", "2", "--output", "json"))
    assert len(json.loads(shown)["show"]) == 2
    output(dbt("docs", "generate"))
    port = free_port()
    dbt("docs", "serve", "--no-browser", "--host", "127.0.0.1", "--port", str(port))
    address = f"http://127.0.0.1:{port}/catalog.json"
    catalog = until(lambda: urllib.request.urlopen(address, timeout=10).read(), ignore=(OSError,), seconds=240)
    assert "model.dfp.fct_training_dataset" in json.loads(catalog)["nodes"]
