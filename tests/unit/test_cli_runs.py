"""`dfp run` and its relatives before anything runs: what is refused, and how it is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dfp_platform.assets.choices import artifacts_of
from dfp_platform.cli import main
from dfp_platform.cli.runs import _dependencies, report, run_config, told_by
from dfp_platform.cli.screen import size
from dfp_platform.cli.selection import chosen
from dfp_platform.errors import HeldBackError
from dfp_platform.publishing.launch import RunOutcome
from dfp_platform.resources.source import SourceResource
from dfp_platform.settings import settings


def refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch, home: Path) -> int:
    monkeypatch.setenv("DFP_HOME", str(home))
    monkeypatch.setattr(sys, "argv", ["dfp", *arguments])
    settings.cache_clear()
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        settings.cache_clear()
    return int(ended.value.code or 0)


def test_an_asset_that_does_not_exist_is_answered_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(["run", "--select", "models/autoencodr"], monkeypatch, tmp_path) == 1
    assert "did you mean models/autoencoder" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "lake").exists()


def test_a_choice_that_is_no_choice_is_told_how_to_write_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(["train", "autoencoder"], monkeypatch, tmp_path) == 1
    assert "write key=value" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "train", "export"])
def test_a_key_that_does_not_exist_is_answered_with_the_nearest(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused([command, "model=vae", "training.epoch=3"], monkeypatch, tmp_path) == 1
    assert "did you mean training.epochs?" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--models", "vea"], "did you mean model=vae?"), (["model=vae"], "a study decides model itself")],
)
def test_a_study_that_cannot_be_is_refused_before_a_run_begins(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(["study", *arguments], monkeypatch, tmp_path) == 1
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "lake").exists()


def test_a_model_beyond_the_main_line_is_made_where_it_is_asked_for() -> None:
    line, chosen = (set(_dependencies(told_by(choices))) for choices in ([], ["model=vae", "data=emulator"]))
    assert chosen - line == {"models/vae_emulator", "mobile/vae_emulator_onnx"}
    assert "models/autoencoder" in line
    named = set(_dependencies(told_by(), "mobile/detector_real_device_onnx"))
    assert named - line == {"models/detector_real_device", "mobile/detector_real_device_onnx"}


def test_a_pattern_of_artifacts_finds_every_way_to_phones_of_the_model_that_is_asked_for() -> None:
    def found(*choices: str, select: str) -> list[str]:
        return chosen(_dependencies(told_by(list(choices)), select), select=[select])

    assert found(select="mobile/*") == sorted(artifacts_of("autoencoder"))
    detectors = found("model=detector", select="mobile/detector_real_device_*")
    assert detectors == sorted(artifacts_of("detector_real_device"))
    assert found(select="mobile") == ["mobile/autoencoder_onnx"]


def test_settings_are_choices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DFP_ENGINE", "DFP_SEED"):
        monkeypatch.setenv(name, {"DFP_ENGINE": "datafusion", "DFP_SEED": "7"}[name])
    try:
        assert told_by(["engine=spark", "seed=9", "model=vae"]).training.seed == 9
        assert settings().engine == "spark"
    finally:
        settings.cache_clear()


def test_an_engine_that_does_not_exist_is_a_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DFP_ENGINE", "datafusion")
    assert refused(["run", "--engine", "abacus"], monkeypatch, tmp_path) == 1
    assert "engine" in capsys.readouterr().err


def test_scores_go_to_a_kind_of_file_that_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert refused(["predict", "apps.csv", "-o", "scores.txt"], monkeypatch, tmp_path) == 2


def test_a_run_remembers_which_rows_it_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that whoever executes it again, with other settings, gets the same rows."""
    monkeypatch.setenv("DFP_SOURCE", str(tmp_path / "apps.csv"))
    monkeypatch.setenv("DFP_SAMPLE_ROWS", "123")
    settings.cache_clear()
    config = run_config(told_by(["training.epochs=3"]), ["models/autoencoder"])
    monkeypatch.setenv("DFP_SOURCE", "sample")
    settings.cache_clear()
    try:
        source = SourceResource(**config["resources"]["source"]["config"])
        assert (source.source, source.rows) == (str(tmp_path / "apps.csv"), 123)
        assert config["ops"]["models__autoencoder"]["config"]["training"]["epochs"] == 3
    finally:
        settings.cache_clear()


def outcome(**failed: str) -> RunOutcome:
    return RunOutcome("r1", success=False, published_commit=None, branch="run-r1", reasons=("why",), failed=failed)


def test_a_run_that_the_gate_held_back_is_to_be_published_again() -> None:
    with pytest.raises(HeldBackError, match=r"next: .*dfp publish r1"):
        report(outcome(models="not published: why. Branch: run-r1"), as_json=False)


def test_a_run_whose_step_failed_is_to_be_run_again() -> None:
    with pytest.raises(HeldBackError, match=r"next: .*dfp rerun r1"):
        report(outcome(models="CalibrationError: too few apps"), as_json=False)


def test_what_libraries_print_does_not_mix_with_the_answer() -> None:
    program = """
import os
from dfp_platform.cli.screen import only_answers_on_stdout
with only_answers_on_stdout():
    print("chatter")
    os.system("echo chatter of a child")
print("answer")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "answer\n"


@pytest.mark.parametrize(("count", "said"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (2_500_000, "2.5 MB")])
def test_sizes_are_said_as_people_say_them(count: int, said: str) -> None:
    assert size(count) == said
