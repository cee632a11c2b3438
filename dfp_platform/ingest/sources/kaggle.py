"""The whole set from Kaggle, `dhoogla/kronodroid-2021`, with the token of an account."""

from __future__ import annotations

from dfp_platform.errors import ConfigurationError, InputError
from dfp_platform.ingest.download import cached
from dfp_platform.ingest.sources import public
from dfp_platform.ingest.sources.request import Delivery, Request
from dfp_platform.ingest.zips import tables

DATASET = "dhoogla/kronodroid-2021"

_DEVICE_WORDS = {"real_device": "real", "emulator": "emu"}


def deliver(request: Request) -> Delivery:
    """Every app of one device.

    Raises:
        ConfigurationError: no token, or Kaggle refuses it. UnreachableError: Kaggle does not answer.
        InputError: the download holds no table for the device, or is not the one seen before.
    """
    target = request.cache / "kaggle" / "kronodroid-2021.zip"
    if not request.kaggle_token and not target.exists():
        raise ConfigurationError(
            "Kaggle gives the data set to accounts only, and no token is set",
            hint="set KAGGLE_API_TOKEN (kaggle.com → Settings → API), or use source=archives, which needs none",
            setting="kaggle_api_token",
        )
    read = cached(
        f"{request.endpoints.kaggle.rstrip('/')}/datasets/download/{DATASET}",
        target,
        name=target.name,
        progress=request.progress,
        headers={"Authorization": f"Bearer {request.kaggle_token}"} if request.kaggle_token else {},
    )
    word = _DEVICE_WORDS[request.device]
    found = [table for table in tables(target) if word in table.name.removeprefix(target.name).lower()]
    if not found:
        raise InputError(
            f"{target.name} holds no table whose name has {word!r} in it",
            hint="the data set was published anew in another form: use source=archives",
            file=target.name,
        )
    return public.delivery("kaggle", request, found, [read], note=f"Kaggle data set {DATASET}")
