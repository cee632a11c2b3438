"""`dfp alert`: where alerts go and of what; with `--test`, whether they arrive."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from dfp_platform.cli.screen import Json, print_json, print_table


def alert(
    test: Annotated[bool, typer.Option("--test", help="Send a message over each channel and say what came back.")] = (
        False
    ),
    as_json: Json = False,
) -> None:
    """Where alerts go (DFP_ALERT_URLS) and what they are about (DFP_ALERT_ON); addresses are shown without secrets."""
    from dfp_platform.alerts import channels_of, send
    from dfp_platform.settings import settings

    at = settings()
    channels = channels_of(at.alert_urls.get_secret_value() if at.alert_urls else "")
    answers = {channel: send(channel, _test_alert()) for channel in channels if test}
    told = [
        {"channel": channel.number, "address": channel.name, **(asdict(answers[channel]) if test else {})}
        for channel in channels
    ]
    if as_json:
        print_json({"about": at.alert_on.split(), "channels": told})
    else:
        typer.echo(f"about: {at.alert_on}", err=True)
        if not channels:
            typer.echo("no channels: alerts are in the log alone; set DFP_ALERT_URLS", err=True)
        print_table(["channel", "address", *(["came back"] if test else [])], [_row(line) for line in told])
    if not all(answer.delivered for answer in answers.values()):
        raise typer.Exit(1)


def _test_alert() -> Any:
    from datetime import UTC, datetime

    from dfp_platform.alerts import Alert

    return Alert(
        kind="test",
        severity="warning",
        title="A test of dfp",
        reasons=("somebody asked whether alerts arrive here: they do",),
        next="nothing",
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _row(told: dict[str, Any]) -> list[Any]:
    came = [f"{'ok' if told['delivered'] else 'FAILED'}: {told['said']}"] if "said" in told else []
    return [told["channel"], told["address"], *came]


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(alert)
