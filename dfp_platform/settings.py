"""The only reader of the environment. One `Settings` tells the laptop from the cluster; no asset knows which."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dfp_platform.errors import ConfigurationError, without_logins

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The checkout: `dagster.yaml`, `dbt_project/` and `.env` lie here."""

LAKEFS = "lakefs"
"""Value of `lake` that means: the lakeFS repository the `LAKEFS_…` names describe."""


PRESET_GROUPS = ("model", "data", "split", "training")
"""What a training is told, part by part; each part has presets, see `models.presets`."""

ALERT_KINDS = ("run_failed", "not_published", "check_failed", "drift", "stale")
"""What alerts may be about."""

_CHOICE = re.compile(rf"DFP_((?:{'|'.join(PRESET_GROUPS)})(?:__\w+)?)", re.IGNORECASE)


_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|ACCESS_KEY", re.IGNORECASE)
"""Variables of the environment whose value nobody may see."""

_SHORTEST_SECRET = 4
"""Letters of what is hidden at least: shorter words occur by themselves."""


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
    step_process: Literal["in_process", "forkserver", "multiprocess", "kubernetes"] = Field(
        "in_process", description="where the steps of a run execute"
    )
    retries: str = Field(
        "3", description="times that a step is tried again, and of jobs that differ theirs: 3,train=1; 0: fails at once"
    )
    retry_seconds: float = Field(
        10.0,
        ge=0,
        description="seconds until the first retry, give or take as many; the third comes seven times as late",
    )
    autostart: str = Field(
        "", description="schedules and sensors that run without being turned on in the UI, by commas; all: every one"
    )
    maintain: dict[str, bool | float | str] = Field(
        {}, description='config of the job maintain by the clock, as JSON: {"delete": true, "history_days": 90}'
    )
    retraining: Literal["publish", "propose"] = Field(
        "publish", description="whether models that the sensor retrain had trained are published, or wait for a person"
    )
    retraining_branches: str = Field(
        "", description="branches that the sensor retrain follows: main,feature-*; empty: the configured one"
    )
    retraining_quiet_seconds: float = Field(
        300.0, ge=0, description="seconds without a change of the training inputs after which models are trained anew"
    )
    retraining_wait_seconds: float = Field(
        3_600.0, ge=0, description="seconds of changes after which that is not waited for any longer"
    )
    old_after_days: int = Field(
        180,
        ge=0,
        description="days after which data, online features and models count as old; after twice as many, overdue",
    )
    engine: Literal["datafusion", "spark"] = Field("datafusion", description="SQL engine that builds the tables")
    spark_master: str = Field("local[2]", description="with engine=spark: where Spark works, local[n] or spark://…")
    spark_memory: str = Field("2g", description="with engine=spark: memory of Spark's driver")
    spark_remote: str | None = Field(None, description="with engine=spark: a Spark Connect server, sc://host:port")
    spark_thrift: str | None = Field(None, description="with engine=spark: a Spark Thrift server, host:port")
    spark_event_log: str | None = Field(
        None, description="with engine=spark: folder or address for Spark's event log, which its History Server shows"
    )
    spark_application: Path | None = Field(
        None, description="with engine=spark: a SparkApplication (YAML) that runs dbt as its driver on Kubernetes"
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
        None,
        description="what `dfp serve` wants as bearer token, and what promotions show it; needed beyond this machine",
    )
    serving_model: str = Field(
        "autoencoder", description="model that the inference API answers with: a noun of models/"
    )
    serving_alias: Literal["champion", "latest"] = Field(
        "champion", description="which version of it: the champion that the lake names, or what stands on the branch"
    )
    serving_shadow: bool = Field(
        False, description="whether the API has the challenger answer too, for the prediction log alone"
    )
    serving_max_apps: int = Field(1_024, ge=1, description="apps in one request to the API at most")
    serving_max_bytes: int = Field(16_000_000, ge=1_000, description="bytes of one request to the API at most")
    serving_timeout: float = Field(2.0, gt=0, description="seconds until the body of a request to the API has arrived")
    serving_follow_seconds: float = Field(
        30.0, ge=0, description="seconds between two looks of the API for another model; 0: only POST /admin/reload"
    )
    tls_cert: Path | None = Field(
        None, description="PEM file of the certificate, with which `dfp serve` and `dfp catalog serve` speak HTTPS"
    )
    tls_key: Path | None = Field(None, description="PEM file of its key")
    prediction_log: bool = Field(True, description="whether predictions are written to the lake, branch predictions")
    prediction_log_seconds: float = Field(
        30.0, gt=0, description="seconds after which predictions that were answered are committed to the lake"
    )
    pages_url: str = Field(
        "http://127.0.0.1:8020", description="address of `dfp lake pages`, to which links of assets lead"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="how servers write their log: for people, or a JSON object a line"
    )
    metrics_token: SecretStr | None = Field(
        None, description="bearer token that opens /metrics of every server, and nothing else"
    )
    drift_limit: float = Field(
        0.3, gt=0, le=1, description="score of reports/drift from which on a training is launched"
    )
    feature_store: Literal["feast", "plain"] = Field(
        "feast", description="what keeps features: Feast, or Iceberg and Redis without it (needs redis_url)"
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis of online features: redis://, rediss://, redis+cluster://; empty: SQLite in <home>"
    )
    alert_urls: SecretStr | None = Field(
        None, description="where alerts go beside the log: addresses of webhooks, chats and mailboxes, apart by spaces"
    )
    alert_on: str = Field(" ".join(ALERT_KINDS), description="what is worth an alert: kinds, apart by spaces")
    ui_url: str = Field("", description="address of Dagster's UI as people reach it, for links in alerts")
    openlineage_url: str | None = Field(
        None, description="where OpenLineage events of runs go: http://host:port; empty: nowhere"
    )
    openlineage_api_key: SecretStr | None = Field(None, description="bearer token for it")
    openlineage_namespace: str = Field("dfp", description="namespace of jobs in OpenLineage events")
    datahub_url: str | None = Field(
        None, description="DataHub's metadata service, told of runs by its own client: http://host:8080; empty: none"
    )
    datahub_token: SecretStr | None = Field(None, description="bearer token for it")
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

    @field_validator("retries")
    @classmethod
    def _retries_can_be_read(cls, said: str) -> str:
        retries_of(said)
        return said

    @field_validator("alert_on")
    @classmethod
    def _kinds_known(cls, kinds: str) -> str:
        if unknown := set(kinds.replace(",", " ").split()) - {*ALERT_KINDS}:
            raise ValueError(f"no alert is about {', '.join(sorted(unknown))}; known: {' '.join(ALERT_KINDS)}")
        return " ".join(kinds.replace(",", " ").split())

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
    def retraining_patterns(self) -> tuple[str, ...]:
        """Patterns, as of file names, of the branches whose models are trained anew when their inputs change."""
        named = tuple(pattern.strip() for pattern in self.retraining_branches.split(",") if pattern.strip())
        return named or (self.branch,)

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its records; `dagster.yaml` of the checkout names the same folder for a bare start."""
        return self.home / "dagster"

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Addresses may have a login in them, whether or not somebody thought of it as a secret."""
        for name, value in super().__repr_args__():
            yield name, without_logins(value) if isinstance(value, str) else value

    def without_secrets(self, text: str) -> str:
        """`text`, of an error perhaps, without the secrets this process was told, and without logins in addresses.

        Secrets are those of these settings, and of variables of the environment whose names say so.
        """
        told = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        told += [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
        parts = {part for whole in told for part in (whole, *whole.split())}
        passwords = {password for part in parts if (password := _password(part))}
        for secret in sorted({*parts, *passwords, *map(unquote, passwords)}, key=len, reverse=True):
            text = text.replace(secret, "***") if len(secret) >= _SHORTEST_SECRET else text
        return without_logins(text)

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


def _password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:
        return None


def retries_of(said: str) -> tuple[int, dict[str, int]]:
    """What `Settings.retries` says: times for every job, and by name of a job. Raises ValueError: that is no number."""
    parts = [part.strip() for part in said.split(",") if part.strip()]
    usual = [int(part) for part in parts if "=" not in part]
    by_job = {job.strip(): int(times) for job, times in (part.split("=", 1) for part in parts if "=" in part)}
    if len(usual) > 1 or min([*usual, *by_job.values()], default=0) < 0:
        raise ValueError("say one number for every job, and job=number for those that differ: 3,train=1")
    return (usual or [3])[0], by_job


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
    known = {f"DFP_{name.upper()}": str(value) for name, value in chosen.items() if value is not None}
    before = {name: os.environ[name] for name in known if name in os.environ}
    os.environ.update(known)
    settings.cache_clear()
    try:
        found = settings()
    except ConfigurationError:
        for name in known:
            del os.environ[name]
        os.environ.update(before)
        raise
    os.environ.update({name: str(getattr(found, name.removeprefix("DFP_").lower())) for name in known})
    return found
