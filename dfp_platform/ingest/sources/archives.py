"""The whole set from its publishers: four zips in the GitHub repository `aleguma/kronodroid`, 26 MB, 142,128 apps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dfp_platform.ingest.download import cached
from dfp_platform.ingest.origin import InputFile
from dfp_platform.ingest.sources import public
from dfp_platform.ingest.sources.request import Delivery, Request
from dfp_platform.ingest.zips import only_table

ARCHIVES: Mapping[str, tuple[str, ...]] = {
    "real_device": ("real_device/real_legitimate_v1.zip", "real_device/real_malware_v1.zip"),
    "emulator": ("emulator/emu_legitimate_v1.zip", "emulator/emu_malware_v1.zip"),
}
"""Device → its two archives, benign first."""

ANNOUNCEMENT = "the four public archives of KronoDroid: 26 MB to download once, 142,128 apps, 160 MB of CSV"
"""What a person should know before this source is taken."""


def deliver(request: Request) -> Delivery:
    """Every app of one device.

    Raises:
        UnreachableError: an archive is not cached and cannot be downloaded. InputError: one is not what it should be.
    """
    files = [fetched(request, name) for name in ARCHIVES[request.device]]
    tables = [only_table(_place(request, name)) for name in ARCHIVES[request.device]]
    return public.delivery(
        "archives", request, tables, files, note="the publishers' archives, github.com/aleguma/kronodroid"
    )


def fetched(request: Request, name: str) -> InputFile:
    """One archive, in the cache from now on."""
    return cached(
        f"{request.endpoints.archives.rstrip('/')}/{name}",
        _place(request, name),
        name=Path(name).name,
        progress=request.progress,
        pinned=request.endpoints.pinned.get(name),
    )


def _place(request: Request, name: str) -> Path:
    return request.cache / "archives" / name
