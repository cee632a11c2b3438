"""The inference API of apps: scores by the published model, each with an id by which it is traced to raw bytes."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from dfp_platform.errors import DfpError, NotFoundError, TransientError, UnreachableError
from dfp_platform.serving.answering import AppService
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.questions import Answer, BadQuestionError, parsed, question_schema
from dfp_platform.serving.service import REFUSALS, Parts, Refused, body_of, create_service

logger = logging.getLogger(__name__)

_JSON = "application/json"
_REQUEST_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)


class ModelCard(BaseModel):
    """The model that answers: where it comes from, and the card of its export."""

    lake_commit: str
    version: str
    content: str
    shadow: str | None
    card: dict[str, Any]


_PREDICT_RESPONSES: dict[int | str, dict[str, Any]] = {
    **REFUSALS,
    404: {"model": Refused, "description": "No features are served for any of the apps."},
    408: {"model": Refused, "description": "The body did not arrive in time."},
    413: {"model": Refused, "description": "The body is too large."},
    415: {"model": Refused, "description": "The body is no JSON."},
    422: {"description": "Something in the body is wrong; `loc` names the field."},
    500: {"model": Refused, "description": "Something in the service is broken; its log tells what."},
    503: {"model": Refused, "description": "No model is published yet, or features cannot be read now."},
}


def create_api(service: AppService, *, token: str = "", metrics_token: str = "") -> FastAPI:
    """The API over a service; `POST /admin/reload` takes the model that is published by then.

    Args:
        token: what requests show as bearer token; empty: only this machine may ask.
        metrics_token: what opens `/metrics` too, and nothing else; empty: nothing.
    """
    metrics = service.metrics
    api = create_service(
        "dfp: apps",
        __doc__ or "",
        Parts(service.ready, service.reload),
        token=token,
        metrics_token=metrics_token,
        metrics=metrics,
        hot={"/predict": partial(answered, service)},
    )
    if service.log is not None:
        metrics.add_figures(log_figures(service.log))

    api.openapi = partial(_described, api, api.openapi, service)

    @api.get(
        "/model",
        summary="Which model answers",
        tags=["answers"],
        responses={**REFUSALS, 503: {"model": Refused, "description": "No model is published yet."}},
    )
    async def model() -> ModelCard:
        """The model that answers: its version, the commit of the lake it was read at, its features, its threshold."""
        try:
            now, shadow = service.answering()
        except UnreachableError as error:
            raise HTTPException(503, str(error)) from error
        content = now.told["model"]["content"]
        card = now.loaded.card.model_dump(mode="json")
        beside = shadow.by.version if shadow else None
        return ModelCard(lake_commit=now.by.commit, version=now.by.version, content=content, shadow=beside, card=card)

    @api.post("/predict", summary="Score apps", tags=["answers"], response_model=Answer, responses=_PREDICT_RESPONSES)
    async def predict(request: Request) -> Response:
        """Scores of apps, by id or by raw feature values.

        In a batch an app that is not known has no score and says so; if none is known, the answer is 404.
        """
        return await answered(service, request)

    return api


async def answered(service: AppService, request: Request) -> Response:
    """The response to a question; it says what is wrong with one that cannot be answered."""
    begun: float = request.scope.get("dfp.begun", time.perf_counter())
    name = request_id(request.headers.get("x-request-id", ""))
    try:
        question = parsed(await body_of(request, service.limits), most_apps=service.limits.apps)
        told = await service.answer(question, begun=begun, request=name)
    except BadQuestionError as error:
        return _json(422, {"detail": [fault.plain() for fault in error.faults]}, name)
    except HTTPException as error:
        return _json(error.status_code, {"detail": error.detail}, name)
    except DfpError as error:
        service.metrics.failures.labels(type(error).__name__).inc()
        status = 404 if isinstance(error, NotFoundError) else 503 if isinstance(error, TransientError) else 500
        return _json(status, {"detail": str(error)}, name)
    except ClientDisconnect:
        raise
    except Exception as error:
        logger.exception("request %s could not be answered", name)
        service.metrics.failures.labels(type(error).__name__).inc()
        return _json(500, {"detail": f"request {name} could not be answered; the service's log tells why"}, name)
    return _json(200, told, name)


def _json(status: int, told: object, request: str) -> Response:
    response = Response(orjson.dumps(told), status, media_type=_JSON)
    response.headers["x-request-id"] = request
    if status == 503:
        response.headers["retry-after"] = "1"
    return response


def _described(api: FastAPI, describe: Callable[[], dict[str, Any]], service: AppService) -> dict[str, Any]:
    """The OpenAPI description, with what may be asked of the model that answers now."""
    described = describe()
    try:
        features = service.answering()[0].by.features
    except UnreachableError:
        features = ()
    content = {_JSON: {"schema": question_schema(features, most_apps=service.limits.apps)}}
    described["paths"]["/predict"]["post"]["requestBody"] = {"required": True, "content": content}
    return described


def log_figures(log: PredictionLog) -> Callable[[], Mapping[str, tuple[str, str, float]]]:
    """What became of logged predictions, as `metrics.Metrics.add_figures` takes it."""

    def figures() -> Mapping[str, tuple[str, str, float]]:
        now = log.counts
        return {
            "dfp_predictions_spooled": ("counter", "Predictions in a file of this machine.", now.spooled),
            "dfp_predictions_committed": ("counter", "Predictions brought into the lake.", now.committed),
            "dfp_predictions_dropped": ("counter", "Predictions that are in no file.", now.dropped),
            "dfp_prediction_log_failures": ("counter", "Tries to reach the lake that failed.", now.failures),
            "dfp_predictions_pending": ("gauge", "Predictions that wait for the lake.", now.pending),
        }

    return figures


def request_id(given: str) -> str:
    """The caller's id of its request if it can be one, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
