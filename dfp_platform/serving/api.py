"""The inference API: scores of raw apps by the published model, each answer named by the lake commit it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from dfp_platform.errors import InputError
from dfp_platform.serving.champion import champion

if TYPE_CHECKING:
    from fastapi import FastAPI

    from dfp_platform.lake import Lake

MOST_APPS = 1_024
"""Apps in one request at most."""


class App(BaseModel):
    """One app: its hash, and raw values by landed column name; a feature that is left out is unknown."""

    sha256: str
    features: dict[str, float]


class Question(BaseModel):
    """Apps to score."""

    apps: Annotated[list[App], Field(min_length=1, max_length=MOST_APPS)]


class Score(BaseModel):
    """What the model says of one app.

    `score` lies within 0 and 1, more is more suspicious; `malware` tells whether it raises an alarm; the error tells
    how far the app is from those of the training.
    """

    sha256: str
    score: float
    malware: bool
    reconstruction_error: float


class Answer(BaseModel):
    """Scores in the order of the question, and what they come from."""

    scores: list[Score]
    threshold: float
    lake_commit: str


def create_api(lake: Lake, ref: str) -> FastAPI:
    """The API over the champion at a ref, loaded once. Raises NotFoundError: no model is published there."""
    from fastapi import FastAPI, HTTPException

    from dfp_platform.mobile.artifact import MobileArtifact
    from dfp_platform.mobile.interface import EXPORTERS

    commit = lake.resolve(ref)
    artifact = MobileArtifact.from_files(champion(lake, commit))
    card, runtime = artifact.card, EXPORTERS[artifact.card.exporter].load(artifact)
    api = FastAPI(title="dfp", description=__doc__ or "")

    @api.get("/healthz")
    def healthz() -> dict[str, str]:
        """Alive, with a model loaded."""
        return {"status": "ok"}

    @api.get("/model")
    def model() -> dict[str, Any]:
        """The card of the model that answers."""
        return {"lake_commit": commit, **card.model_dump(mode="json")}

    @api.post("/predict")
    def predict(question: Question) -> Answer:
        """Scores of apps given by raw feature values."""
        try:
            rows = feature_rows(question.apps, card.features)
        except InputError as error:
            raise HTTPException(status_code=422, detail=str(error)) from error
        told = runtime.answer(rows)
        columns = (told.scores.tolist(), runtime.label(told.scores).tolist(), told.known_errors.tolist())
        answers = [
            Score(sha256=app.sha256, score=score, malware=bool(label), reconstruction_error=error)
            for app, score, label, error in zip(question.apps, *columns, strict=True)
        ]
        return Answer(scores=answers, threshold=card.threshold, lake_commit=commit)

    return api


def feature_rows(apps: list[App], names: tuple[str, ...]) -> Any:
    """Raw values as the model takes them, float32 of shape ``(apps, features)``; NaN where an app says nothing.

    Raises:
        InputError: an app names a feature that the model does not know.
    """
    import numpy as np

    place = {name: column for column, name in enumerate(names)}
    rows = np.full((len(apps), len(names)), np.nan, dtype=np.float32)
    for row, app in enumerate(apps):
        unknown = sorted(set(app.features) - place.keys())
        if unknown:
            raise InputError(
                f"app {app.sha256[:12]} has a feature the model does not know: {unknown[0]}",
                hint="GET /model lists the features",
                column=unknown[0],
            )
        for name, value in app.features.items():
            rows[row, place[name]] = value
    return rows
