"""Dagster's launchpad: what it shows of a training, what it takes, and which models a run of the main line makes."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from dfp_platform.assets.choices import LINE, asked, beyond_the_line, defaults, every_choice
from dfp_platform.definitions import defs
from dfp_platform.publishing.launch import MAIN_JOB
from dfp_platform.resources.dagster_internals import ASSET_JOB, path_of


def shown(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The config of a model's asset as a run has it, defaults filled in."""
    job = defs.resolve_job_def(ASSET_JOB).get_subset(asset_selection={dg.AssetKey(["models", name])})
    filled = dg.validate_run_config(job, {"ops": {f"models__{name}": {"config": config}}})
    return dict(filled["ops"][f"models__{name}"]["config"])


@pytest.mark.parametrize("name", every_choice())
def test_it_shows_every_key_with_the_value_of_the_preset(name: str) -> None:
    assert shown(name, {}) == asked(defaults(name))


def test_it_takes_values_as_a_person_writes_them() -> None:
    told = shown("vae_emulator", {"model": {"hidden": [32, 8]}, "training": {"learning_rate": 1, "epochs": 3}})
    assert (told["model"]["hidden"], told["training"]["learning_rate"], told["training"]["epochs"]) == ([32, 8], 1, 3)


@pytest.mark.parametrize(
    ("config", "said"),
    [({"training": {"epoch": 3}}, 'unexpected config entry "epoch"'), ({"split": {"by": "month"}}, "time_or_hash")],
)
def test_it_refuses_other_keys_and_values_before_a_run_begins(config: dict[str, Any], said: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=said):
        shown("autoencoder", config)


def test_the_main_line_makes_its_two_models_and_any_other_can_be_asked_for() -> None:
    line, every = (
        {path_of(key) for key in defs.resolve_job_def(job).asset_layer.executable_asset_keys}
        for job in (MAIN_JOB, ASSET_JOB)
    )
    assert {asset for asset in line if asset.startswith("models/")} == {
        *(f"models/{name}" for name in LINE),
        "models/champions",
        "models/evaluation",
    }
    assert every - line == beyond_the_line()
