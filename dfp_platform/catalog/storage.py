"""How the store of a warehouse is reached: what pyiceberg's own places say of the catalog `lake`."""

from __future__ import annotations

from pyiceberg.utils.config import Config

STORAGE = ("s3.", "gcs.", "adls.", "client.")
"""What properties of storage begin with."""

_ANY_REGION = "us-east-1"


def storage_properties() -> dict[str, str]:
    """Properties for FileIO: of ``PYICEBERG_CATALOG__LAKE__S3__ENDPOINT`` and its kin, or ``.pyiceberg.yaml``.

    A store that is not AWS is named by `s3.endpoint`; it is then addressed by path and gets a region, unless that is
    said too: clients would ask AWS for the bucket's.
    """
    told = Config().get_catalog_config("lake") or {}
    found = {name: str(value) for name, value in told.items() if name.startswith(STORAGE)}
    if "s3.endpoint" in found:
        found.setdefault("s3.region", found.get("client.region", _ANY_REGION))
        found.setdefault("client.region", found["s3.region"])
        found.setdefault("s3.path-style-access", _not(found.get("s3.force-virtual-addressing", "false")))
    return found


def _not(told: str) -> str:
    return "false" if told.lower() in ("true", "1", "yes", "on") else "true"
