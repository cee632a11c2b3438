"""The only reader of the environment. One `Settings` tells the laptop from the cluster; no asset knows which."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dfp_platform.errors import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The checkout: `dagster.yaml`, `dbt_project/` and `.env` lie here."""

LAKEFS = "lakefs"
"""Value of `lake` that means: the lakeFS repository the `LAKEFS_…` names describe."""


PRESET_GROUPS = ("model", "data", "split", "training")
"""What a training is told, part by part; each part has presets, see `models.presets`."""

_CHOICE = re.compile(rf"DFP_((?:{'|'.join(PRESET_GROUPS)})(?:__\w+)?)", re.IGNORECASE)


def _known_as(name: str) -> AliasChoices:
    """The name people already have, and ours."""
    return AliasChoices(name, f"DFP_{name}")


class Settings(BaseSettings):
    """Everything that may differ between machines.

    Set as `DFP_<NAME>` in the environment or in `.env` (the environment wins; an empty value counts as not set).
    Kaggle's and lakeFS's settings go by the names people already have. Relative paths are relative to the caller's
    working directory.
    """

    model_config = SettingsConfigDict(
        env_prefix="DFP_",
        env_file=PROJECT_ROOT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: Path = Field(PROJECT_ROOT / ".dfp", description="folder of all local state: lake, Dagster, MLflow, caches")
    lake: str = Field(
        "", description="lake address: a folder; empty: <home>/lake; lakefs: the repository LAKEFS_… describes"
    )
    branch: str = Field("main", description="branch that runs publish to unless they name another")
    source: str = Field("auto", description="auto, sample, archives, kaggle, or the path of a CSV or zip")
    sample_rows: int = Field(4_000, ge=1, description="rows the seeded generator makes per device for source=sample")
    implausible_dates: Literal["reject", "null"] | None = Field(
        None,
        description="apps dated before Android or after the set: reject them, land no date, or what suits the source",
    )
    write_disposition: Literal["replace", "append"] = Field(
        "replace", description="whether rows that land replace those that stand there, or are appended as one more load"
    )
    new_syscalls: str = Field(
        "", description="names of system calls that a file may count beyond the known ones, separated by spaces"
    )
    seed: int = Field(7, description="seed of sampling, training and evaluation")
    evaluation_seeds: int = Field(
        5, ge=1, description="trainings each model is judged by: the published one, and others by other seeds"
    )
    publishing_patience: float = Field(
        600.0, ge=0, description="seconds after which a run gives up publishing to a branch that keeps moving"
    )
    step_process: Literal["in_process", "forkserver", "multiprocess"] = Field(
        "in_process", description="where the steps of a run execute"
    )
    old_after_days: int = Field(
        180, ge=0, description="days after which Dagster calls raw data and marts old; after twice as many, overdue"
    )
    engine: Literal["datafusion", "spark"] = Field("datafusion", description="SQL engine that builds the tables")
    spark_master: str = Field("local[2]", description="with engine=spark: where Spark works, local[n] or spark://…")
    spark_memory: str = Field("2g", description="with engine=spark: memory of Spark's driver")
    spark_remote: str | None = Field(
        None, description="with engine=spark: a Spark Connect server to work on instead, sc://host:port"
    )
    spark_thrift: str | None = Field(
        None, description="with engine=spark: a Spark Thrift server to work on instead, host:port"
    )
    spark_event_log: str | None = Field(
        None, description="with engine=spark: folder or address for Spark's event log, which its History Server shows"
    )
    catalog_uri: str | None = Field(
        None, description="where `dfp catalog serve` answers for Spark; empty: each step serves its own on this machine"
    )
    catalog_token: SecretStr | None = Field(
        None, description="what clients of `dfp catalog serve` show as bearer token, or as secret over OAuth2"
    )
    mlflow_server: str | None = Field(
        None,
        validation_alias=AliasChoices("DFP_MLFLOW_URI", "MLFLOW_TRACKING_URI"),
        description="where trainings are tracked: an MLflow server or database; empty: a SQLite file in <home>/mlflow",
    )
    serving_urls: str = Field(
        "", description="addresses of inference APIs that load the model anew when it changes, separated by commas"
    )
    serving_token: SecretStr | None = Field(
        None, description="what POST /admin/reload of `dfp serve` wants as bearer token, and what promotions show it"
    )
    adb: str = Field("adb", description="the program that talks to phones: a name on PATH, or a path")
    kaggle_api_token: SecretStr | None = Field(
        None, validation_alias=_known_as("KAGGLE_API_TOKEN"), description="token of a Kaggle account, for source=kaggle"
    )
    lakefs_endpoint_url: str | None = Field(
        None, validation_alias=_known_as("LAKEFS_ENDPOINT_URL"), description="address of the lakeFS server"
    )
    lakefs_access_key_id: SecretStr | None = Field(
        None, validation_alias=_known_as("LAKEFS_ACCESS_KEY_ID"), description="lakeFS access key"
    )
    lakefs_secret_access_key: SecretStr | None = Field(
        None, validation_alias=_known_as("LAKEFS_SECRET_ACCESS_KEY"), description="lakeFS secret key"
    )
    lakefs_repository: str | None = Field(
        None, validation_alias=_known_as("LAKEFS_REPOSITORY"), description="lakeFS repository, for lake=lakefs"
    )
    lakefs_branch: str | None = Field(
        None, validation_alias=_known_as("LAKEFS_BRANCH"), description="with lake=lakefs: what DFP_BRANCH is else"
    )
    lakefs_storage_bucket: str | None = Field(
        None,
        validation_alias=_known_as("LAKEFS_STORAGE_BUCKET"),
        description="bucket under lakeFS, for a repository that has to be made",
    )

    @model_validator(mode="before")
    @classmethod
    def _branch_of_lakefs(cls, values: dict[str, Any]) -> dict[str, Any]:
        named = next(
            (values[key] for key in (*_known_as("LAKEFS_BRANCH").choices, "lakefs_branch") if key in values), ""
        )
        if named and "branch" not in values and str(values.get("lake", "")).startswith(LAKEFS):
            return {**values, "branch": named}
        return values

    @field_validator("home")
    @classmethod
    def _home_from_here(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("lake")
    @classmethod
    def _lake_from_here(cls, lake: str) -> str:
        return lake if not lake or lake == LAKEFS or "://" in lake else str(Path(lake).expanduser().absolute())

    @field_validator("source")
    @classmethod
    def _source_from_here(cls, source: str) -> str:
        """A path is made absolute at once, because the run reads it in another process and another folder."""
        path = Path(source).expanduser()
        return str(path.absolute()) if path.suffix or "/" in source else source

    @property
    def lake_uri(self) -> str:
        """Address for `open_lake`. Raises ConfigurationError: lake=lakefs without a repository."""
        if self.lake == LAKEFS:
            if not self.lakefs_repository:
                raise ConfigurationError(
                    "DFP_LAKE=lakefs names no repository", hint="set LAKEFS_REPOSITORY", setting="lakefs_repository"
                )
            return f"lakefs://{self.lakefs_repository}"
        return self.lake or str(self.home / "lake")

    @property
    def mlflow_uri(self) -> str:
        """Where trainings are tracked: the configured server or database, else a SQLite file in the state folder."""
        return self.mlflow_server or f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    @property
    def serving_addresses(self) -> tuple[str, ...]:
        """Addresses of inference APIs, without a slash at their end."""
        return tuple(address.strip().rstrip("/") for address in self.serving_urls.split(",") if address.strip())

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its records; `dagster.yaml` of the checkout names the same folder for a bare start."""
        return self.home / "dagster"

    def lakectl_environment(self) -> dict[str, str]:
        """The lakeFS settings under lakeFS's own names, as its SDK and `lakectl` read them; only what is set."""
        found = {
            "LAKECTL_SERVER_ENDPOINT_URL": self.lakefs_endpoint_url,
            "LAKECTL_CREDENTIALS_ACCESS_KEY_ID": self.lakefs_access_key_id,
            "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": self.lakefs_secret_access_key,
        }
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in found.items()
            if value is not None
        }


def training_choices(env_file: Path = PROJECT_ROOT / ".env") -> dict[str, str]:
    """What the environment and `.env` say of trainings: ``DFP_MODEL=vae``, ``DFP_TRAINING__EPOCHS=3``.

    Returns:
        Choices as `models.presets.resolve` takes them, ``{"model": "vae", "training.epochs": "3"}``; the seed is that
        of the settings unless it is named.
    """
    from dotenv import dotenv_values

    said = {**dotenv_values(env_file), **os.environ}
    matches = ((_CHOICE.fullmatch(name), value) for name, value in said.items() if value)
    chosen = {found[1].lower().replace("__", "."): str(value) for found, value in matches if found}
    return {"training.seed": str(settings().seed), **chosen}


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises ConfigurationError: a value that cannot be."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"the setting {name} cannot be used: {first['msg']}",
            hint="see .env.example for what each setting takes",
            setting=name,
        ) from error


def choose(**chosen: object) -> Settings:
    """Settings with some values chosen anew, for this process and every process it starts; None leaves one as it is.

    Raises ConfigurationError: a value that cannot be.
    """
    known = {name: str(value) for name, value in chosen.items() if value is not None}
    before = {name: os.environ.get(f"DFP_{name.upper()}") for name in known}
    os.environ.update({f"DFP_{name.upper()}": value for name, value in known.items()})
    settings.cache_clear()
    try:
        found = settings()
    except ConfigurationError:
        for name, value in before.items():
            os.environ.pop(f"DFP_{name.upper()}") if value is None else os.environ.update(
                {f"DFP_{name.upper()}": value}
            )
        raise
    os.environ.update({f"DFP_{name.upper()}": str(getattr(found, name)) for name in known})
    return found
