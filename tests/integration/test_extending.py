"""What docs/extending.md shows is true: its code runs as it stands on the page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.ingest import land, origin
from dfp_platform.ingest.sample import write_csv
from dfp_platform.ingest.sources import SOURCES
from dfp_platform.lake import Lake
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.data import TrainingData
from dfp_platform.models.presets import PRESETS, preset_names, resolve
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from dfp_platform.publishing.launch import run_job
from dfp_platform.resources.dagster_internals import ASSET_JOB, project_instance
from dfp_platform.settings import PROJECT_ROOT
from tests.apps import tiny_table
from tests.documented_line import block, written
from tests.home_lake import lake

__all__ = ["lake"]

ASSET = "reports/apps_by_year"


@pytest.fixture
def instance(lake: Lake, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with project_instance(PROJECT_ROOT, tmp_path / "dagster") as instance:
        yield instance


@pytest.mark.parametrize("malware", [1, 0])
def test_the_asset_is_published_if_its_check_says_yes(lake: Lake, instance: dg.DagsterInstance, malware: int) -> None:
    apps = tiny_table(100).drop_columns("malware").append_column("malware", pa.array([malware] * 100))
    overwrite(open_catalog(lake), "marts.fct_training_dataset", apps)
    outcome = run_job(job=ASSET_JOB, instance=instance, module="tests.documented_line")
    assert outcome.success == bool(malware)
    if malware:
        (year,) = json.loads(lake.read("main", f"{ASSET}/report.json"))
        assert (year["year"], year["apps"]) == (2019, 100)
        verdict = json.loads(lake.read("main", f"checks/{ASSET}/every_year_has_malware"))
        assert (verdict["passed"], verdict["limit"]) == (True, 0.0)
        again = run_job(job=ASSET_JOB, instance=instance, module="tests.documented_line")
        assert again.published_commit == outcome.published_commit, "equal inputs publish nothing new"
    else:
        assert not lake.exists("main", f"{ASSET}/report.json")
        assert any("every_year_has_malware" in reason or "failed" in reason for reason in outcome.reasons)


def test_the_source_lands(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "inbox", written("A source").deliver)  # type: ignore[arg-type] # a dict in plain sight
    for number in range(2):
        write_csv(tmp_path / "cache" / "inbox" / f"{number}.csv", rows=10, seed=number)
    land(lake, "main", "kronodroid_real_device", source="inbox", sample_rows=1, seed=1, cache=tmp_path / "cache")
    told = origin(lake, "main", "kronodroid_real_device")
    assert (told.rows, [file.name for file in told.files]) == (20, ["0.csv", "1.csv"])


def test_the_preset_trains_and_the_exporter_exports_it(tmp_path: Path) -> None:
    presets = tmp_path / "presets"
    shutil.copytree(PRESETS, presets)
    (presets / "model" / "narrow.yaml").write_text(block("A model preset", "yaml"))
    assert "narrow" in preset_names("model", folder=presets)
    told = resolve({"model": "narrow", "training.epochs": 2}, folder=presets)
    assert (told.name, told.model.latent, told.training.learning_rate) == ("narrow_real_device", 4, 0.005)
    files = train(TrainingData.from_arrow(tiny_table()), told, progress=False).files
    exporter = written("An exporter").plain_onnx
    assert exporter.name not in EXPORTERS
    matrix = TrainingData.from_arrow(tiny_table(50)).test.matrix
    scores = exporter.load(exporter.export(files)).score(matrix)
    assert scores == pytest.approx(load_model(files).score(matrix), abs=1e-5)
