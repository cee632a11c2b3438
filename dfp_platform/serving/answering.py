"""Answers to questions about apps: the model, features by id, the challenger beside it, and the log of it all."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fastapi.concurrency import run_in_threadpool

from dfp_platform.errors import NotFoundError, UnreachableError
from dfp_platform.serving.loaded import Loaded, ServedModel, Standing
from dfp_platform.serving.lookup import Found, Lookup
from dfp_platform.serving.metrics import Metrics
from dfp_platform.serving.predictions import REQUEST, Answerer, Answers, Origin
from dfp_platform.serving.questions import App, Columns, Question, raw_rows
from dfp_platform.serving.service import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dfp_platform.models.weights import Answer as ModelAnswer
    from dfp_platform.serving.prediction_log import PredictionLog

logger = logging.getLogger(__name__)

UNKNOWN = "no features are served for this app"


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """One loaded model with what every answer needs of it, made once a model.

    Attributes:
        loaded: the model.
        by: the same for the log.
        columns: where each feature stands.
        told: the parts of an answer that are the same for all.
    """

    loaded: Loaded
    by: Answerer
    columns: Columns
    told: Mapping[str, Any]

    @staticmethod
    def of(loaded: Loaded, role: Literal["champion", "challenger"]) -> Answering:
        """What a loaded model needs; the answers of a `challenger` are only logged."""
        card, model = loaded.card, loaded.model
        by = Answerer(
            artifact=model.path,
            model=model.model,
            version=model.version,
            content=loaded.digest,
            commit=model.commit,
            threshold=card.threshold,
            features=card.features,
            role=role,
        )
        told = {
            "threshold": card.threshold,
            "model": {"name": model.model, "version": model.version, "content": model.content or loaded.digest},
            "lake_commit": model.commit,
        }
        return Answering(loaded, by, Columns(card.features), told)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The apps of one request that there are features of.

    Attributes:
        request: id of the request.
        begun: when it came, by `time.perf_counter`.
        sha256: those apps.
        vectors: their features as the model takes them, float32 of shape ``(apps, features)``.
        known: for all apps of the request, in its order: whether they are among those.
        origins: where the features came from; one for all, or app by app.
        served: what was read by id, if anything was.
    """

    request: str
    begun: float
    sha256: Sequence[str]
    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]
    origins: Origin | Sequence[Origin]
    served: Found | None


@dataclass(eq=False)
class AppService:
    """Answers questions about apps.

    Attributes:
        served: the model.
        lookup: where features by id come from; None: nowhere.
        log: what remembers the answers; None: nothing.
        limits: what one request may take.
        metrics: what is counted.
    """

    served: ServedModel
    lookup: Lookup | None = None
    log: PredictionLog | None = None
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
    _made: tuple[Standing, Answering, Answering | None] | None = None

    def answering(self) -> tuple[Answering, Answering | None]:
        """The model that answers now, and the challenger beside it. Raises UnreachableError: there is none yet."""
        standing, before = self.served.current, self._made
        if before is not None and before[0] is standing:
            return before[1], before[2]
        model = Answering.of(standing.model, "champion")
        shadow = Answering.of(standing.shadow, "challenger") if standing.shadow else None
        self._made = (standing, model, shadow)
        self.metrics.name_models(
            {each.by.role: (each.by.model, each.by.version) for each in (model, shadow) if each is not None}
        )
        return model, shadow

    def reload(self) -> tuple[str, bool]:
        """Take what is published now; the commit of the lake, and whether another model answers.

        Raises:
            DfpError: the one before goes on answering.
        """
        try:
            changed = self.served.reload()
        except Exception:
            self.metrics.loaded("refused")
            raise
        self.metrics.loaded("changed" if changed else "same")
        return self.answering()[0].by.commit, changed

    def ready(self) -> tuple[bool, Mapping[str, str]]:
        """Whether there is a model. Features by id and the log may fail without keeping the rest from answering."""
        try:
            model = self.answering()[0].by
        except UnreachableError as error:
            return False, {"model": str(error)}
        log = "not logged" if self.log is None else f"{self.log.counts.pending} wait for the lake"
        return True, {"model": f"{model.model} {model.version}", "predictions": log}

    async def answer(self, question: Question, *, begun: float, request: str) -> dict[str, Any]:
        """The answer to a question, as `questions.Answer` describes it; it is logged.

        Args:
            begun: when the request came, by `time.perf_counter`.
            request: its id.
        Raises:
            BadQuestionError: a feature that the model does not know. NotFoundError: no app is known.
            TransientError: nothing is published, or features cannot be read now.
        """
        model, shadow = self.answering()
        asked = await self._asked(question.apps, model, begun=begun, request=request)
        told = model.loaded.runtime.answer(asked.vectors)
        ids = self._keep(model, asked, told)
        if shadow is not None:
            self._ask_in_shadow(shadow, model, asked)
        served = asked.served
        return {
            "predictions": _predictions(question.apps, asked.known, told, model.loaded.runtime.label(told.scores), ids),
            **model.told,
            "features": {"version": served.version, "lake_commit": served.commit} if served else None,
        }

    async def _asked(self, apps: Sequence[App], model: Answering, *, begun: float, request: str) -> Asked:
        by_id = np.array([app.features is None for app in apps])
        rows = None if by_id.all() else raw_rows(apps, model.columns)
        served = await self._served([app.sha256 for app in apps if app.features is None], model)
        matrix, known = joined(rows, served, by_id)
        if not known.any():
            raise NotFoundError(f"{UNKNOWN}: {apps[0].sha256}", hint="send its features, or land it first")
        origin = Origin(served.version, served.commit) if served else REQUEST
        mixed = served is not None and rows is not None
        every = [origin if asked else REQUEST for asked in by_id[known].tolist()] if mixed else origin
        names = [app.sha256 for app, there in zip(apps, known.tolist(), strict=True) if there]
        vectors = matrix if known.all() else np.ascontiguousarray(matrix[known])
        return Asked(request, begun, names, vectors, known, every, served)

    async def _served(self, ids: Sequence[str], model: Answering) -> Found | None:
        """Features of apps that were named by id alone; None: there are no such apps."""
        if not ids:
            return None
        if self.lookup is None:
            raise UnreachableError("no features are served here", hint="send the features of each app", address="")
        try:
            features = model.loaded.card.features
            if self.lookup.quick:
                found = self.lookup.read(ids, features, on_the_spot=True)
            else:
                found = await run_in_threadpool(self.lookup.read, ids, features)
        except NotFoundError as error:  # nothing is switched on yet
            raise UnreachableError(str(error), hint=error.hint, address="") from error
        if not found.known.all():
            self.metrics.unknown.inc(int((~found.known).sum()))
        return found

    def _keep(self, model: Answering, asked: Asked, told: ModelAnswer) -> list[str] | None:
        """Count and log what a model said; the prediction ids, None if there is no log."""
        labels = model.loaded.runtime.label(told.scores)
        alarms = int(labels.sum())
        self.metrics.count_answers((model.by.model, model.by.version, model.by.role), told.scores, alarms)
        if self.log is None:
            return None
        errors = told.errors if told.errors is not None else np.full(len(labels), np.nan, dtype=np.float32)
        return self.log.add(
            Answers(
                by=model.by,
                request=asked.request,
                sha256=asked.sha256,
                vectors=asked.vectors,
                scores=told.scores,
                labels=labels,
                errors=errors,
                latency_ms=(time.perf_counter() - asked.begun) * 1e3,
                origins=asked.origins,
            )
        )

    def _ask_in_shadow(self, shadow: Answering, model: Answering, asked: Asked) -> None:
        """Log what the challenger would have answered; whatever it does, the answer stands."""
        try:
            columns = [model.columns.place[name] for name in shadow.by.features]
            vectors = np.ascontiguousarray(asked.vectors[:, columns])
            self._keep(shadow, replace(asked, vectors=vectors), shadow.loaded.runtime.answer(vectors))
        except Exception as error:
            self.metrics.failures.labels("shadow").inc()
            logger.warning("the challenger did not answer: %s: %s", type(error).__name__, error)


def joined(
    rows: NDArray[np.float32] | None, served: Found | None, by_id: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows of all apps in their order, and which of them there is something to say about.

    Args:
        rows: of all apps, as they were sent; None: all came by id.
        served: of those that came by id; None: none did.
        by_id: which did.
    """
    if served is None:
        assert rows is not None
        return rows, np.ones(len(rows), dtype=np.bool_)
    if rows is None:
        return served.rows, served.known
    rows[by_id] = served.rows
    known = np.ones(len(rows), dtype=np.bool_)
    known[by_id] = served.known
    return rows, known


def _predictions(
    apps: Sequence[App],
    known: NDArray[np.bool_],
    told: ModelAnswer,
    labels: NDArray[np.int8],
    ids: Sequence[str] | None,
) -> list[dict[str, Any]]:
    """What is told of each app; see `questions.Prediction`."""
    count = len(labels)
    errors = told.errors.tolist() if told.errors is not None else [None] * count
    each = zip(ids or [None] * count, told.scores.tolist(), labels.tolist(), errors, strict=True)
    answers = []
    for app, there in zip(apps, known.tolist(), strict=True):
        named, score, label, error = next(each) if there else (None, None, None, None)
        answers.append(
            {
                "sha256": app.sha256,
                "prediction_id": named,
                "score": score,
                "label": label,
                "reconstruction_error": error,
                "error": None if there else UNKNOWN,
            }
        )
    return answers
