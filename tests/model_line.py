"""Dagster and a lake whose main holds what models are trained on, of made apps: a training takes a second or two."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from dfp_platform.assets.choices import run_config_of
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.cli.runs import QUIET
from dfp_platform.ingest.origin import RECORD, Origin, load_folder
from dfp_platform.lake import Lake, open_lake
from dfp_platform.publishing.launch import RunOutcome, run_job
from dfp_platform.resources.dagster_internals import ASSET_JOB, project_instance
from dfp_platform.settings import PROJECT_ROOT, settings
from tests.apps import tiny_table
from tests.configured import tiny

MODEL = "models/vae_real_device"


@contextmanager
def model_line(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a state folder of its own, which the environment names meanwhile."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DFP_HOME", str(home))
        settings.cache_clear()
        made = Origin(source="sample", synthetic=True, note="made", rows=1_200)
        open_lake(home / "lake", create=True).commit(
            "main", {load_folder("kronodroid_real_device") + RECORD: made.to_bytes()}, message="land"
        )
        apps, places = tiny_table(), ["time_rank", "time_split"]
        overwrite(open_catalog(lake(), "main"), "marts.fct_training_dataset", apps.drop_columns(places))
        overwrite(open_catalog(lake(), "main"), "marts.split_index", apps.select(["sha256", "device", *places]))
        with project_instance(PROJECT_ROOT, home / "dagster") as opened, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow and its dependencies warn of one another as they are imported
            yield opened
    settings.cache_clear()


def lake() -> Lake:
    return open_lake(settings().lake_uri)


def train(instance: dg.DagsterInstance, *choices: str, also: tuple[str, ...] = ()) -> RunOutcome:
    """A run of `MODEL` and other assets, told a few choices, that publishes."""
    told = tiny("vae", *choices)
    config = {"loggers": QUIET, "ops": run_config_of([told.name], told)}
    return run_job(
        job=ASSET_JOB,
        selection=[MODEL, *also],
        run_config=config,
        instance=instance,
        module="dfp_platform.definitions",
    )
