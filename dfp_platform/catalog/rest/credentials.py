"""What a client is told about the storage beneath: how to reach it, and, when it asks, keys to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_SECRET = ("key", "secret", "token", "sas", "credential", "password")


def table_config(storage: Mapping[str, str]) -> dict[str, str]:
    """Properties that say where storage is; never a key."""
    return {name: value for name, value in storage.items() if not _is_secret(name)}


def credentials_for(location: str, storage: Mapping[str, str]) -> list[dict[str, Any]]:
    """Keys to the files beneath a location, as the specification writes them; none where files lie in a folder.

    The keys are the ones that the server itself was given to hand out, with whatever they may do.
    """
    if urlsplit(location).scheme in ("", "file") or not any(map(_is_secret, storage)):
        return []
    return [{"prefix": f"{location.rstrip('/')}/", "config": dict(storage)}]


def _is_secret(name: str) -> bool:
    return any(secret in name for secret in _SECRET)
