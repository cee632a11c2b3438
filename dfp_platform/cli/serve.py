"""`dfp serve`: the inference API on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.questions import AtRef
from dfp_platform.cli.screen import err
from dfp_platform.schemas import MAIN


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0: any free one.")] = 8_000,
    ref: AtRef = MAIN,
) -> None:
    """Answer over HTTP with the published model: POST /predict, GET /model, POST /admin/reload; see /docs."""
    import uvicorn

    from dfp_platform.serving.api import create_api
    from dfp_platform.settings import settings

    token = settings().serving_token
    api = create_api(opened(), ref, token=token.get_secret_value() if token else "")
    err().print(f"The model of {ref} answers at http://{host}:{port}; its API is described at /docs")
    uvicorn.run(api, host=host, port=port, log_level="warning")


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(serve)
