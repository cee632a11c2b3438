"""A model's card: what a reader needs to judge it, a program to use it, and nothing that changes on a rerun."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field, ValidationError

from dfp_platform.errors import CorruptLakeError
from dfp_platform.models.configs import Configuration
from dfp_platform.models.records import Record


class Slice(Record):
    """Which apps a part of the training saw. Dates and ranks are inclusive; they are ``None`` for an empty slice."""

    apps: int
    malware: int
    first_date: date | None
    last_date: date | None
    first_rank: int | None
    last_rank: int | None


class Origin(Record):
    """Where the training table came from. All of it is filled in by the caller, who knows the lake.

    A field that differs between runs over equal data (a run's branch, the head commit) makes new bytes out of equal
    weights; so the card of a published model names the table by `content`; the commit stands in MLflow and in the lake.
    """

    repository: str | None = None
    ref: str | None = None
    commit: str | None = None
    content: str | None = Field(None, description="content id of the training table: schema and rows, free of order")
    split_version: str | None = None


class ModelCard(Record):
    """What a model is, what it was made of and how to use it.

    Attributes:
        name: the noun of its lake path, ``autoencoder``, ``vae_emulator``.
        kind: which network it is, and which loader reads its weights.
        device: device whose apps it was trained on.
        features: input columns, in order.
        schema_hash: identity of those columns, see `data.feature_schema_hash`.
        standardisation: how raw values become comparable numbers, in words and constants; ``none`` for trees.
        score: what a score means; within 0 and 1, more is more suspicious.
        threshold: an app with a higher score raises an alarm; exactly a float32.
        config: everything the training was told, the whole `configs.Configuration`.
        slices: ``training`` (what it was fitted on), ``calibration`` (early stopping, threshold) and ``test``.
        figures: what the training measured, such as epochs and losses.
        libraries: versions that took part; other versions may give other bytes.
        platform: kind of machine, of CPU kernels and threads; another kind may give other bytes.
        synthetic: whether the apps were generated: figures then say nothing about real malware.
        origin: the training table.
    """

    name: str
    kind: Literal["autoencoder", "vae", "detector", "xgboost"]
    device: str
    features: tuple[str, ...]
    schema_hash: str
    standardisation: str
    score: str
    threshold: float
    config: dict[str, Any]
    slices: dict[str, Slice]
    figures: dict[str, float]
    libraries: dict[str, str]
    platform: dict[str, str]
    synthetic: bool = False
    origin: Origin = Origin()

    @property
    def configuration(self) -> Configuration:
        """The training's configuration. Raises CorruptLakeError: the card is of another version of this program."""
        try:
            return Configuration.model_validate(self.config)
        except ValidationError as error:
            raise CorruptLakeError(
                f"the card of {self.name} tells its training in words this version does not know",
                hint="read it with the version that wrote it, or train it again",
                path="card.json",
                detail=str(error),
            ) from error
