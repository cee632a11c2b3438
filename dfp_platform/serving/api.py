"""The inference API: scores of raw apps by the published model, each answer named by the lake commit it came from."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from dfp_platform.errors import DfpError, InputError, PermanentError
from dfp_platform.serving.loaded import ServedModel

if TYPE_CHECKING:
    from dfp_platform.lake import Lake

MOST_APPS = 1_024
"""Apps in one request at most."""

_THIS_MACHINE = ("127.0.0.1", "::1")


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


class Reloaded(BaseModel):
    """What a reload came to: the commit of the lake whose model answers now, and whether that is another one."""

    lake_commit: str
    changed: bool


def create_api(lake: Lake, ref: str, *, token: str = "") -> FastAPI:
    """The API over the published model at a ref; `POST /admin/reload` takes the one that stands there by then.

    Args:
        token: what that wants as bearer token; empty: only this machine may ask for it.
    Raises:
        NotFoundError: no model is published there. CorruptLakeError: it does not answer.
    """
    served = ServedModel(lake, ref)
    api = FastAPI(title="dfp", description=__doc__ or "")

    @api.get("/healthz")
    def healthz() -> dict[str, str]:
        """Alive, with a model loaded."""
        return {"status": "ok"}

    @api.get("/model")
    def model() -> dict[str, Any]:
        """The card of the model that answers."""
        now = served.current
        return {"lake_commit": now.commit, **now.card.model_dump(mode="json")}

    @api.post("/predict")
    def predict(question: Question) -> Answer:
        """Scores of apps given by raw feature values."""
        now = served.current
        try:
            rows = feature_rows(question.apps, now.card.features)
        except InputError as error:
            raise HTTPException(status_code=422, detail=str(error)) from error
        told = now.runtime.answer(rows)
        columns = (told.scores.tolist(), now.runtime.label(told.scores).tolist(), told.known_errors.tolist())
        answers = [
            Score(sha256=app.sha256, score=score, malware=bool(label), reconstruction_error=error)
            for app, score, label, error in zip(question.apps, *columns, strict=True)
        ]
        return Answer(scores=answers, threshold=now.card.threshold, lake_commit=now.commit)

    _add_reload(api, served, token)
    return api


def _add_reload(api: FastAPI, served: ServedModel, token: str) -> None:
    @api.post("/admin/reload")
    def reload(request: Request) -> Reloaded:
        """Answer with the model that is published now. If that cannot be loaded, the old one goes on answering."""
        status = refusal(
            request.headers.get("authorization", ""), request.client.host if request.client else "", token=token
        )
        if status:
            raise HTTPException(status_code=status, detail="this needs the bearer token DFP_SERVING_TOKEN")
        try:
            changed = served.reload()
        except DfpError as error:
            code = 409 if isinstance(error, PermanentError) else 503
            raise HTTPException(status_code=code, detail=f"the model before goes on answering: {error}") from error
        return Reloaded(lake_commit=served.current.commit, changed=changed)


def refusal(shown: str, host: str, *, token: str) -> int:
    """The status by which an administrator's request is refused; 0: it may.

    Args:
        shown: its header `Authorization`.
        host: address it came from.
        token: the bearer token it has to show; empty: it has to come from this machine.
    """
    if token:
        sent = shown.encode("latin-1")  # as the server decoded what came
        return 0 if compare_digest(sent, f"Bearer {token}".encode()) else 401
    return 0 if host in _THIS_MACHINE else 403


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
