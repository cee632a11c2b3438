"""The only reader of the environment. One `Settings` tells the laptop from the cluster; no asset knows which it is in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The checkout: `dagster.yaml`, `dbt_project/` and `.env` lie here."""


class Settings(BaseSettings):
    """Everything that may differ between machines. Set as `DFP_<NAME>` in the environment or in `.env`."""

    model_config = SettingsConfigDict(env_prefix="DFP_", env_file=PROJECT_ROOT / ".env", extra="ignore", frozen=True)

    home: Path = Field(PROJECT_ROOT / ".dfp", description="folder of all local state: lake, Dagster, MLflow, caches")
    lake: str = Field("", description="lake address: a folder, or lakefs://repository; empty: <home>/lake")
    branch: str = Field("main", description="branch that runs publish to unless they name another")
    source: str = Field("auto", description="auto, sample, archives, kaggle, or the path of a CSV or zip")
    sample_rows: int = Field(4_000, ge=1, description="rows the seeded generator makes per device for source=sample")
    seed: int = Field(7, description="seed of sampling, training and evaluation")
    step_process: Literal["in_process", "multiprocess"] = Field(
        "in_process", description="where the steps of a run execute"
    )

    @property
    def lake_uri(self) -> str:
        return self.lake or str(self.home / "lake")


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
