"""`dfp metrics …`: what Prometheus scrapes of the lake, its models and Dagster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfp_platform.cli import code_location
from dfp_platform.cli.lake import opened
from dfp_platform.cli.listening import refuse_open_door
from dfp_platform.cli.logs import configure_log
from dfp_platform.cli.screen import err
from dfp_platform.lake import is_served

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from dfp_platform.metrics.exporter import Ask

app = typer.Typer(help="Figures of the lake, its models and Dagster, for Prometheus.", no_args_is_help=True)


@app.callback()
def metrics() -> None:
    """Figures of the lake, its models and Dagster, for Prometheus."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's own need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0: any free one.")] = 8_030,
) -> None:
    """Serve /metrics: publications, what is done to the lake, models, drift, checks, runs, sensors, disks.

    All is read when Prometheus asks. Clients need the bearer token DFP_METRICS_TOKEN where that is set.
    """
    import uvicorn

    from dfp_platform.metrics.exporter import create_exporter
    from dfp_platform.settings import settings

    configure_log()
    secret = settings().metrics_token
    token = secret.get_secret_value() if secret else ""
    refuse_open_door(host, token, setting="metrics_token")
    with ExitStack() as held:
        api = create_exporter(asks(held), token=token)
        config = uvicorn.Config(api, host=host, port=port, log_level="warning", access_log=False)
        err().print(f"Prometheus finds figures at http://{host}:{port}/metrics")
        uvicorn.Server(config).run()


def asks(held: ExitStack) -> dict[str, Ask]:
    """The parts of the page, by name. What they look at is opened when it is first asked: it may come later.

    Args:
        held: ends what was opened.
    """
    from dfp_platform.metrics.models import ModelsPart
    from dfp_platform.metrics.orchestration import RunsPart, SensorsPart
    from dfp_platform.metrics.publications import LakePart
    from dfp_platform.settings import settings

    at = settings()

    def of_lake() -> Ask:
        lake = opened()
        return LakePart(lake, at.branch, {"home": at.home} | ({} if is_served(lake.uri) else {"lake": Path(lake.uri)}))

    def instance() -> DagsterInstance:
        return held.enter_context(code_location.instance())

    return {
        "lake": later(of_lake),
        "models": later(lambda: ModelsPart(opened(), at.branch, at.drift_limit)),
        "runs": later(lambda: RunsPart(instance())),
        "sensors": later(lambda: SensorsPart(instance())),
    }


def later(make: Callable[[], Ask]) -> Ask:
    """What `make` makes, made when it is first asked, and tried again if that failed."""
    made = cache(make)
    return lambda: made()()
