"""The package as a stranger gets it: built, installed into an environment of its own, and run on two models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_runs_a_project_in_an_environment_without_dfp(tmp_path: Path):
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv, "uv is part of the development environment"

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            [str(part) for part in command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(uv, "build", "--wheel", "--out-dir", tmp_path, PACKAGE)
    [wheel] = tmp_path.glob("*.whl")
    run(uv, "venv", "--python", sys.executable, tmp_path / "env")
    binaries = tmp_path / "env" / "bin"
    pins = PACKAGE.parent / "constraints.txt"
    run(uv, "pip", "install", "--python", binaries / "python", "--constraint", pins, wheel, "pyiceberg[sql-sqlite]")

    catalog = {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/wh"}
    here = {"type": "datafusion", "schema": "main", "catalog": catalog}
    (tmp_path / "profiles.yml").write_text(json.dumps({"p": {"target": "here", "outputs": {"here": here}}}))
    (tmp_path / "dbt_project.yml").write_text(json.dumps({"name": "p", "version": "1.0.0", "profile": "p"}))
    (tmp_path / "models").mkdir()
    config = "{{ config(materialized='table', partition_by='bucket(4, id)') }}"
    (tmp_path / "models" / "a.sql").write_text(f"{config} select value as id from generate_series(1, 100) as g(value)")
    (tmp_path / "models" / "b.sql").write_text("select count(*) as apps from {{ ref('a') }}")
    dbt = binaries / "dbt"
    assert "All checks passed!" in run(dbt, "--no-send-anonymous-usage-stats", "debug", "--profiles-dir", ".")
    run(dbt, "--no-send-anonymous-usage-stats", "build", "--profiles-dir", ".")
    shown = run(
        dbt,
        "--quiet",
        "--no-send-anonymous-usage-stats",
        "show",
        "--select",
        "b",
        "--output",
        "json",
        "--profiles-dir",
        ".",
    )
    assert json.loads(shown)["show"] == [{"apps": 100}]
    assert "dfp" not in run(uv, "pip", "list", "--python", binaries / "python")
