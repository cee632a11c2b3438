"""What the inference API is asked and answers, and the way from a request's bytes to rows of a model; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

LARGEST = float(np.finfo(np.float32).max)
"""Models take float32: a larger value would become infinite."""

Sha256 = Annotated[
    str,
    Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the APK, lower-case hex: the id of the app."),
]
Value = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]

ID = "a3f5c1d2" * 8
"""An app for examples."""


class App(BaseModel):
    """One app: by its id alone, whose served features are read, or with raw values by landed column name."""

    model_config = ConfigDict(extra="forbid")

    sha256: Sha256
    features: dict[str, Value] | None = Field(
        None, description="Raw values; a feature left out is unknown. Without any, those served for the id are read."
    )


class Question(BaseModel):
    """Apps to score."""

    model_config = ConfigDict(extra="forbid")

    apps: list[App] = Field(min_length=1)


class Prediction(BaseModel):
    """What the model says of one app.

    Attributes:
        sha256: the app.
        prediction_id: what `dfp trace` resolves; null where predictions are not logged.
        score: within 0 and 1, more is more suspicious.
        label: 1 raises an alarm: the score is above the threshold.
        reconstruction_error: how far the app is from those of the training; null for a model that has none.
        error: why there is no score: no features are served for the id.
    """

    sha256: Sha256
    prediction_id: str | None
    score: float | None
    label: int | None
    reconstruction_error: float | None
    error: str | None = None


class ModelVersion(BaseModel):
    """Which model answered: its noun, its version in this lake, and the content id of its files."""

    name: str
    version: str
    content: str


class ServedFeatures(BaseModel):
    """Which features were read for apps that came by id: the online version and the lake commit it stands for."""

    version: str
    lake_commit: str


class Answer(BaseModel):
    """Predictions in the order of the question, and what they come from."""

    predictions: list[Prediction]
    threshold: float
    model: ModelVersion
    lake_commit: str
    features: ServedFeatures | None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where, and what; as FastAPI tells it."""

    loc: tuple[str | int, ...]
    msg: str
    type: str

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"loc": list(self.loc), "msg": self.msg, "type": self.type}


class BadQuestionError(Exception):
    """The request cannot be answered as it is. Carries what is wrong with it, at most `MOST_FAULTS`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].msg)
        self.faults = tuple(faults[:MOST_FAULTS])


MOST_FAULTS = 20


def question_schema(features: Sequence[str], *, most_apps: int) -> dict[str, Any]:
    """JSON schema of a question to a model with these features, with examples; it stands by itself."""
    schema = Question.model_json_schema()
    app = schema.pop("$defs")["App"]
    if features:
        app["properties"]["features"]["anyOf"][0]["propertyNames"] = {"enum": list(features)}
    schema["properties"]["apps"] |= {"items": app, "maxItems": most_apps}
    values = {name: float(number) for number, name in enumerate(features[:3])}
    schema["examples"] = [{"apps": [{"sha256": ID}]}, {"apps": [{"sha256": ID, "features": values}]}]
    return schema


def parsed(body: bytes, *, most_apps: int) -> Question:
    """The question that a body asks. Raises BadQuestionError: it is none."""
    try:
        question = Question.model_validate_json(body)
    except ValidationError as error:
        told = error.errors(include_input=False, include_url=False, include_context=False)
        raise BadQuestionError([Fault(("body", *each["loc"]), each["msg"], each["type"]) for each in told]) from error
    if len(question.apps) > most_apps:
        fault = Fault(("body", "apps"), f"{len(question.apps)} apps are more than {most_apps}", "too_long")
        raise BadQuestionError([fault])
    return question


class Columns:
    """Where the features of a question stand among those of a model."""

    def __init__(self, features: Sequence[str]) -> None:
        self.place = {name: column for column, name in enumerate(features)}
        self._known = lru_cache(maxsize=64)(self._find)

    def of(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        """The column of each name; -1: the model does not know it. Clients mostly name the same in the same order."""
        return self._known(names)

    def _find(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        return np.array([self.place.get(name, -1) for name in names], dtype=np.intp)


def raw_rows(apps: Sequence[App], known: Columns) -> NDArray[np.float32]:
    """Raw values as the model takes them, float32 of shape ``(apps, features)``; NaN where an app says nothing.

    Args:
        known: the model's features.
    Raises:
        BadQuestionError: an app names a feature that the model does not know.
    """
    rows = np.full((len(apps), len(known.place)), np.nan, dtype=np.float32)
    faults: list[Fault] = []
    for row, app in enumerate(apps):
        given = app.features or {}
        columns = known.of(tuple(given))
        if len(columns) and columns.min() < 0:
            faults += [_unknown(row, name) for name in given if name not in known.place]
            continue
        rows[row, columns] = np.fromiter(given.values(), dtype=np.float64, count=len(given))
    if faults:
        raise BadQuestionError(faults)
    return rows


def _unknown(row: int, name: str) -> Fault:
    says = "the model does not know this feature; GET /model lists those it does"
    return Fault(("body", "apps", row, "features", name), says, "unknown_feature")
