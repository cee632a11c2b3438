"""`dfp plan` before anything was made: what it answers, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.cli import code_location
from dfp_platform.settings import settings
from tests.dfp_calls import Dfp, calling


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Dfp]:
    for name, value in (("HOME", str(tmp_path)), ("SOURCE", "sample"), ("SEED", "7"), ("ENGINE", "datafusion")):
        monkeypatch.setenv(f"DFP_{name}", value)
    settings.cache_clear()
    yield calling(monkeypatch, capfdbinary, "plan")
    settings.cache_clear()


def test_a_plan_for_a_script_names_each_asset_its_cause_and_the_command(plan: Dfp, tmp_path: Path) -> None:
    code, told, _ = plan("model=vae", "--from", "models/vae_real_device", "--branch", "main", "--json", "--exit-code")
    said = json.loads(told)
    assert code == 2
    assert {each["asset"] for each in said["assets"]} >= {"models/vae_real_device", "mobile/vae_real_device_onnx"}
    assert {cause["kind"] for each in said["assets"] for cause in each["causes"]} == {"missing"}
    assert said["command"] == "dfp run model=vae --from models/vae_real_device --branch main"
    assert (said["commit"], said["estimate"]["seconds"]) == (None, None)
    assert not (tmp_path / "lake").exists()


def test_a_plan_for_a_person_ends_with_the_command(plan: Dfp) -> None:
    code, told, aside = plan("--select", "raw")
    *rows, summary, command = told.splitlines()
    assert (code, len(rows)) == (0, 2)
    assert rows[0].split("\t")[:3] == ["~", "raw/kronodroid_emulator", "never made"]
    assert summary.startswith("2 stale, 0 that follow")
    assert "no history" in summary
    assert command == "dfp run --select raw"
    assert "nothing was published yet" in aside


def test_what_cannot_be_chosen_cannot_be_planned(plan: Dfp) -> None:
    code, _, aside = plan("--select", "models/autoencodr")
    assert code == 1
    assert "did you mean models/autoencoder" in " ".join(aside.split())


def test_the_code_location_is_loaded_with_every_job_of_it(plan: Dfp) -> None:
    """Dagster refuses two definitions of one name only when all jobs are put together, as its own programs do."""
    assert "models/autoencoder" in code_location.loaded_whole().dependencies
