"""Iceberg tables on a lake: `LakeCatalog` bound to a ref, content ids, and the few verbs that other rooms need.

Importing this room is cheap; pyiceberg and pyarrow come with the first name that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfp_platform.catalog.content import content_at, content_of, folder_content
    from dfp_platform.catalog.lake_catalog import LakeCatalog, open_catalog
    from dfp_platform.catalog.pointers import Pointer, read_pointer
    from dfp_platform.catalog.reading import query, scan
    from dfp_platform.catalog.rows import RowSum, sum_rows
    from dfp_platform.catalog.writing import WriteResult, overwrite, overwrite_partitions, register_files

__all__ = [
    "LakeCatalog",
    "Pointer",
    "RowSum",
    "WriteResult",
    "content_at",
    "content_of",
    "folder_content",
    "open_catalog",
    "overwrite",
    "overwrite_partitions",
    "query",
    "read_pointer",
    "register_files",
    "scan",
    "sum_rows",
]

_HOMES = {
    "content": ("content_at", "content_of", "folder_content"),
    "lake_catalog": ("LakeCatalog", "open_catalog"),
    "pointers": ("Pointer", "read_pointer"),
    "reading": ("query", "scan"),
    "rows": ("RowSum", "sum_rows"),
    "writing": ("WriteResult", "overwrite", "overwrite_partitions", "register_files"),
}


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
