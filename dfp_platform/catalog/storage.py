"""How the store of a warehouse is reached: what pyiceberg's own places say of the catalog `lake`, else AWS's own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pyiceberg.utils.config import Config

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

STORAGE = ("s3.", "gcs.", "adls.", "client.")
"""What properties of storage begin with."""

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MINIO_ENDPOINT")
"""Where other tools look for the address of a store that is not AWS; pyiceberg's own place comes before them."""

_ANY_REGION = "us-east-1"


def storage_properties() -> dict[str, str]:
    """Properties for FileIO: of ``PYICEBERG_CATALOG__LAKE__S3__ENDPOINT`` and its kin, or ``.pyiceberg.yaml``.

    A store that is not AWS is named by `s3.endpoint`, or by AWS's own ``AWS_ENDPOINT_URL``; it is then addressed by
    path and gets a region, unless that is said too: clients would ask AWS for the bucket's. Keys in AWS's own names
    stay out: these properties are handed to clients of the catalog.
    """
    told = Config().get_catalog_config("lake") or {}
    found = {name: str(value) for name, value in told.items() if name.startswith(STORAGE)}
    if named := next(filter(None, map(os.environ.get, ENDPOINTS)), None):
        found.setdefault("s3.endpoint", named if "://" in named else f"http://{named}")
    if "s3.endpoint" in found:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _ANY_REGION
        found.setdefault("s3.region", found.get("client.region", region))
        found.setdefault("client.region", found["s3.region"])
        found.setdefault("s3.path-style-access", _not(found.get("s3.force-virtual-addressing", "false")))
    return found


def _not(told: str) -> str:
    return "false" if told.lower() in ("true", "1", "yes", "on") else "true"


def s3_file_system(**options: Any) -> S3FileSystem:
    """The store as pyarrow reaches it, by AWS's own keys where nobody named others; `options` are pyarrow's."""
    from pyarrow.fs import S3FileSystem

    told = storage_properties()
    known: dict[str, Any] = {
        "endpoint_override": told.get("s3.endpoint"),
        "region": told.get("s3.region") or os.environ.get("AWS_REGION"),
        "access_key": told.get("s3.access-key-id"),
        "secret_key": told.get("s3.secret-access-key"),
        "session_token": told.get("s3.session-token"),
    }
    return S3FileSystem(**{name: value for name, value in known.items() if value}, **options)


def make_buckets(names: Iterable[str]) -> list[str]:
    """Make the buckets that are not there; their names. Safe to call again.

    Raises OSError: the store does not answer, or does not take these keys.
    """
    from pyarrow.fs import FileType

    store = s3_file_system(allow_bucket_creation=True)
    missing = [name for name in names if store.get_file_info(name).type is FileType.NotFound]
    for name in missing:
        store.create_dir(name)
    return missing
