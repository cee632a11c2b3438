"""Alerts that wait to be delivered: a value to be stored, so that a channel that is away does not lose them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dfp_platform.alerts.alert import Alert
from dfp_platform.alerts.channels import Answer, Channel, send

TRIES = 40
"""Times an alert is sent over a channel before it is given up: with one try every 30 s, after twenty minutes."""

AT_MOST = 100
"""Alerts that wait at most; beyond, the oldest are given up."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One alert that one channel has not taken yet.

    Attributes:
        alert: its payload.
        channel: `Channel.id`.
        tries: how often it was sent in vain.
    """

    alert: dict[str, Any]
    channel: str
    tries: int = 0


def put_into(waiting: Sequence[Waiting], alerts: Sequence[Alert], channels: Sequence[Channel]) -> list[Waiting]:
    """What waits once `alerts` are to go over all channels; each alert is in the log from now on, whatever follows."""
    for alert in alerts:
        logger.warning("%s: %s; next: %s", alert.title, "; ".join(alert.reasons), alert.next)
    new = [Waiting(alert.payload(), channel.id) for alert in alerts for channel in channels]
    every = [*waiting, *new]
    if len(every) > AT_MOST:
        logger.error("%d alerts are given up: more than %d wait", len(every) - AT_MOST, AT_MOST)
    return every[-AT_MOST:]


def deliver(
    waiting: Sequence[Waiting],
    channels: Sequence[Channel],
    *,
    hurry: Callable[[], bool] = lambda: False,
    sending: Callable[[Channel, Alert], Answer] = send,
) -> list[Waiting]:
    """Send what waits, oldest first; return what waits on.

    A channel that fails once is left alone until the next call, so a call takes one timeout a channel at most. What a
    channel refuses for good, or took `TRIES` tries, is given up. Both are logged.

    Args:
        hurry: whether to stop; what was not sent waits on.
    """
    by_id = {channel.id: channel for channel in channels}
    away: set[str] = set()
    left: list[Waiting] = []
    for each in waiting:
        channel = by_id.get(each.channel)
        if channel is None:
            continue  # it was taken out of the settings
        if channel.id in away or hurry():
            left.append(each)
            continue
        answer = sending(channel, Alert.of(each.alert))
        if answer.delivered:
            continue
        tried = replace(each, tries=each.tries + 1)
        if answer.again and tried.tries < TRIES:
            away.add(channel.id)
            left.append(tried)
        _say(channel, tried, answer)
    return left


def _say(channel: Channel, tried: Waiting, answer: Answer) -> None:
    what = f"the alert {tried.alert['title']!r} did not go over channel {channel.number}, {channel.name}"
    if not answer.again:
        logger.error("%s, and is given up: %s", what, answer.said)
    elif tried.tries >= TRIES:
        logger.error("%s, and is given up after %d tries: %s", what, tried.tries, answer.said)
    elif tried.tries == 1:
        logger.warning("%s, and is tried again: %s", what, answer.said)
