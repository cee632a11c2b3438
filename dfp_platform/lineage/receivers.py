"""Who is told of runs, as the settings say."""

from __future__ import annotations

from collections.abc import Callable

from dfp_platform.lineage.record import Receiver
from dfp_platform.settings import Settings


def _openlineage(at: Settings) -> Receiver:
    from dfp_platform.lineage.openlineage import OpenLineage

    key = at.openlineage_api_key.get_secret_value() if at.openlineage_api_key else ""
    return OpenLineage(str(at.openlineage_url), namespace=at.openlineage_namespace, api_key=key)


def _datahub(at: Settings) -> Receiver:
    from dfp_platform.lineage.datahub import DataHub

    token = at.datahub_token.get_secret_value() if at.datahub_token else ""
    return DataHub(str(at.datahub_url), token=token)


RECEIVERS: dict[str, Callable[[Settings], Receiver]] = {"openlineage": _openlineage, "datahub": _datahub}
"""Receivers by name; `<name>_url` of the settings is where each is."""


def receivers_of(at: Settings) -> dict[str, Callable[[Settings], Receiver]]:
    """The receivers that are configured, by name."""
    return {name: make for name, make in RECEIVERS.items() if getattr(at, f"{name}_url")}
