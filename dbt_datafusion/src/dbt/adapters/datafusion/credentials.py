"""The profile: which Iceberg catalog, and how much of the machine a query may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dbt.adapters.contracts.connection import Credentials


@dataclass
class DataFusionCredentials(Credentials):
    """One output of a profile of `type: datafusion`.

    Attributes:
        database: the name the catalog answers to in SQL, ``lake.marts.apps``. Only one catalog is open at a time.
        schema: the namespace of models that name none.
        catalog: properties for `pyiceberg.catalog.load_catalog`. Never both `type` and `py-catalog-impl`.
        catalog_name: the name given to `load_catalog`; some catalogs store it (SqlCatalog does).
        memory_limit: bytes, or ``512 MiB``, ``2 GB``: what all queries of the process may hold together before they
            spill to `spill_folder`. Empty: no limit.
        spill_folder: where sorts spill. Empty: the system's temporary folder.
        target_partitions: threads of one query. More than one makes the order of rows depend on timing.
        batch_size: rows a batch.
    """

    database: str = "lake"
    schema: str = "default"
    catalog: dict[str, Any] = field(default_factory=dict)
    catalog_name: str = "lake"
    memory_limit: str | int | None = None
    spill_folder: str | None = None
    target_partitions: int = 1
    batch_size: int = 8192

    @property
    def type(self) -> str:
        return "datafusion"

    @property
    def unique_field(self) -> str:
        """What tells one installation from another in dbt's (hashed) telemetry."""
        return str(self.catalog.get("uri") or self.catalog.get("py-catalog-impl") or self.catalog_name)

    @property
    def catalog_properties(self) -> dict[str, str]:
        """`catalog` as pyiceberg and its Rust half want it: text only, as YAML writes it."""
        return {str(key): _text(value) for key, value in self.catalog.items() if value is not None}

    def _connection_keys(self) -> tuple[str, ...]:
        # Properties may hold secrets, so `dbt debug` shows none of them.
        return ("database", "schema", "catalog_name", "memory_limit", "spill_folder", "target_partitions")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_bytes(size: str | int) -> int:
    """Bytes named by ``1500000``, ``512MiB`` or ``2 GB``.

    Raises:
        ValueError: not a number followed by one of B, kB, MB, GB, KiB, MiB, GiB.
    """
    if isinstance(size, int):
        return size
    text = size.strip()
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(number) :].strip().lower()
    try:
        return int(float(number) * _UNITS[unit])
    except (KeyError, ValueError):
        raise ValueError(f"memory_limit {size!r} is not a size such as 512 MiB or 2 GB") from None
