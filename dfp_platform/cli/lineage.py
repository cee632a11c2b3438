"""`dfp lineage`: what is told to catalogs of other makers about a run, shown or sent (again)."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from dfp_platform.cli import code_location
from dfp_platform.cli.lake import opened
from dfp_platform.errors import ConfigurationError


def lineage(
    run_id: Annotated[str, typer.Argument(help="Id of a run.", metavar="RUN")],
    send: Annotated[
        bool, typer.Option("--send", help="Tell it to every receiver that is configured, now; twice changes nothing.")
    ] = False,
) -> None:
    """The OpenLineage events of a run, one a line, as the sensor `tell_catalogs` sends them."""
    from dfp_platform.lineage import receivers_of
    from dfp_platform.sensors.lineage import records_of_run
    from dfp_platform.settings import settings

    receivers = receivers_of(settings())
    if send and not receivers:
        raise ConfigurationError(
            "there is nobody to tell", hint="set DFP_OPENLINEAGE_URL or DFP_DATAHUB_URL", setting="openlineage_url"
        )
    with code_location.instance() as instance:
        records = records_of_run(instance, opened(), run_id.removeprefix("run-"))
    if not send:
        return _show(records, settings().openlineage_namespace)
    for name, make in receivers.items():
        receiver = make(settings())
        for record in records:
            for _ in receiver.tell(record):
                pass
        typer.echo(f"{name} was told: {', '.join(record.state for record in records)}")
    return None


def _show(records: list[Any], namespace: str) -> None:
    from dfp_platform.lineage.openlineage import as_json, events_of, refuse_without_client

    refuse_without_client()
    for record in records:
        for event in events_of(record, namespace=namespace):
            typer.echo(json.dumps(as_json(event), ensure_ascii=False))


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(lineage)
