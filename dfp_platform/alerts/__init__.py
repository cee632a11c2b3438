"""Telling people: what is worth a message, and sending it. Knows no Dagster; `sensors/alerts.py` brings the facts."""

from dfp_platform.alerts.alert import Alert
from dfp_platform.alerts.channels import Answer, Channel, channels_of, send
from dfp_platform.alerts.deciding import Judged, RunEnd, Told, alerts_of_run, alerts_of_states
from dfp_platform.alerts.outbox import Waiting, deliver, put_into

__all__ = [
    "Alert",
    "Answer",
    "Channel",
    "Judged",
    "RunEnd",
    "Told",
    "Waiting",
    "alerts_of_run",
    "alerts_of_states",
    "channels_of",
    "deliver",
    "put_into",
    "send",
]
