"""What happens when nobody chooses: the real archives, else the sample, which says of itself that it is synthetic."""

from __future__ import annotations

import logging
from dataclasses import replace

from dfp_platform.errors import UnreachableError
from dfp_platform.ingest.sources import archives, sample
from dfp_platform.ingest.sources.request import Delivery, Request

_log = logging.getLogger(__name__)


def deliver(request: Request) -> Delivery:
    """The archives, downloaded at most once; where they cannot be reached, as many synthetic apps as were asked for.

    All four archives decide together, so that no run mixes real rows of one device with made-up ones of the other.
    """
    try:
        for names in archives.ARCHIVES.values():
            for name in names:
                archives.fetched(request, name)
    except UnreachableError as error:
        _log.warning("SYNTHETIC DATA: %s; the seeded sample stands in", error.message)
        delivery = sample.deliver(request)
        note = f"{delivery.origin.note} (the public archives could not be reached)"
        return replace(delivery, origin=replace(delivery.origin, note=note))
    return archives.deliver(request)
