"""Where a lake on lakeFS keeps bytes: the repository's storage namespace, the warehouse beneath it, local copies."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from dfp_platform.errors import ConfigurationError, InvalidNameError, NotFoundError
from dfp_platform.lake.lakefs_objects import NOT_FOR_ENGINES
from dfp_platform.lake.lakefs_repository import Repository
from dfp_platform.lake.lakefs_server import Refused, Server
from dfp_platform.schemas import MAIN
from dfp_platform.settings import settings

WAREHOUSE = "dfp-warehouse"
"""Prefix of table files in the storage namespace. lakeFS keeps and collects its own beneath `data/` and `_lakefs/`."""

_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")


def storage_namespace(repository: Repository, *, create: bool) -> str:
    """Where a repository keeps its bytes, ``s3://bucket/prefix``; with `create` the repository is made if need be.

    Raises NotFoundError: no such repository. ConfigurationError: nowhere to make it. InvalidNameError.
    """
    name = repository.name
    if not _REPOSITORY.fullmatch(name):
        raise InvalidNameError(
            f"{name!r} cannot name a lakeFS repository",
            hint="use lakefs://<repository>: 3 to 63 lower-case letters, digits and '-'",
            name=name,
        )
    found = repository.storage_namespace()
    if found is None and create:
        namespace = _new_namespace(repository.server, name)
        try:
            repository.create(namespace, MAIN)
        except Refused as refused:
            raise ConfigurationError(
                f"lakeFS did not make the repository {name} at {namespace}: {refused.said}",
                hint="look at LAKEFS_STORAGE_BUCKET: the bucket has to be there, and the place unused",
                setting="lakefs_storage_bucket",
            ) from refused
        found = repository.storage_namespace()
    if found is None:
        raise NotFoundError(
            f"the lakeFS server at {repository.server.address} has no repository {name}",
            hint=f"look at LAKEFS_REPOSITORY, or make it: lakectl repo create lakefs://{name} s3://<bucket>/{name}",
            uri=f"lakefs://{name}",
        )
    return found


def warehouse_of(namespace: str, repository: str) -> str:
    """Where table files lie: beneath the storage namespace, or a folder here if engines cannot read that store."""
    if not namespace.startswith(NOT_FOR_ENGINES):
        return f"{namespace}/{WAREHOUSE}"
    folder = _state_folder(repository) / "warehouse"
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def copies_folder(repository: str) -> Path:
    """Where files of objects lie whose store only the server can read."""
    return _state_folder(repository) / "objects"


def turns_folder(repository: str) -> Path:
    """Where writers of this machine take turns at branches."""
    return _state_folder(repository) / "turns"


def operations_file(repository: str) -> Path:
    """Where processes of this machine count what they did."""
    folder = _state_folder(repository)
    with suppress(OSError):  # then each counts for itself
        folder.mkdir(parents=True, exist_ok=True)
    return folder / "operations"


def origins_file(repository: str) -> Path:
    """Where this machine keeps which commits were brought from other lakes; derived from history."""
    return _state_folder(repository) / "origins.db"


def _state_folder(repository: str) -> Path:
    return settings().home / "lakefs" / repository


def _new_namespace(server: Server, name: str) -> str:
    bucket = settings().lakefs_storage_bucket
    if bucket:
        scheme = {"local": "local", "mem": "mem", "gs": "gs"}.get(server.storage, "s3")
        place = bucket if "://" in bucket else f"{scheme}://{bucket}"
    elif server.default_namespace:
        place = server.default_namespace
    else:
        raise ConfigurationError(
            f"there is no lakeFS repository {name}, and no place to make it",
            hint="set LAKEFS_STORAGE_BUCKET to a bucket the lakeFS server can write",
            setting="lakefs_storage_bucket",
        )
    return f"{place.rstrip('/')}/{name}"
