"""`dfp serve`: the inference API on this machine."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.listening import refuse_open_door, tls_of
from dfp_platform.cli.logs import configure_log
from dfp_platform.cli.questions import AtRef
from dfp_platform.cli.screen import err
from dfp_platform.schemas import MAIN

if TYPE_CHECKING:
    from dfp_platform.lake import Lake
    from dfp_platform.serving.answering import AppService
    from dfp_platform.serving.lookup import Reader
    from dfp_platform.settings import Settings


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0: any free one.")] = 8_010,
    ref: AtRef = MAIN,
) -> None:
    """Answer over HTTP with the champion: POST /predict by app id or raw features; the rest is described at /docs.

    What it answers is logged to the lake's branch `predictions`; `dfp trace` takes the id of a prediction.
    """
    import uvicorn

    from dfp_platform.serving.api import create_api
    from dfp_platform.serving.predictions import FOLDER
    from dfp_platform.serving.service import follow
    from dfp_platform.serving.shipping import Shipper
    from dfp_platform.settings import settings

    configure_log()
    at = settings()
    token, watcher = (told.get_secret_value() if told else "" for told in (at.serving_token, at.metrics_token))
    refuse_open_door(host, token, setting="serving_token")
    tls = tls_of(at)
    lake = opened()
    service = app_service(lake, ref, at)
    shipper = Shipper(lake.uri, at.home / FOLDER) if service.log is not None else None
    stop = threading.Event()
    if at.serving_follow_seconds:
        follow(service.reload, at.serving_follow_seconds, stop)
    gc.collect()
    gc.freeze()  # what lives as long as the service is not looked through while an answer waits
    address = f"{'https' if tls else 'http'}://{host}:{port}"
    err().print(f"{service.ready()[1]['model']} of {ref} answers at {address}; its API: /docs")
    try:
        api = create_api(service, token=token, metrics_token=watcher)
        uvicorn.run(api, host=host, port=port, log_level="warning", access_log=False, **tls)
    finally:
        stop.set()
        if service.lookup is not None:
            service.lookup.close()
        if service.log is not None and shipper is not None:
            service.log.close()
            shipper.close()


def app_service(lake: Lake, ref: str, at: Settings) -> AppService:
    """The service of apps as the settings want it."""
    from dfp_platform.serving.answering import AppService
    from dfp_platform.serving.loaded import ServedModel
    from dfp_platform.serving.lookup import Lookup
    from dfp_platform.serving.prediction_log import PredictionLog
    from dfp_platform.serving.predictions import FOLDER
    from dfp_platform.serving.service import Limits

    def reader() -> Reader:
        from dfp_platform.features import open_keeper

        return open_keeper(at).reader(ref if ref in lake.branches() else at.branch)

    log = PredictionLog(None, spool=at.home / FOLDER, seconds=at.prediction_log_seconds) if at.prediction_log else None
    return AppService(
        served=ServedModel(lake, ref, model=at.serving_model, alias=at.serving_alias, shadow=at.serving_shadow),
        lookup=Lookup(reader),
        log=log,
        limits=Limits(at.serving_max_apps, at.serving_max_bytes, at.serving_timeout),
    )


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(serve)
