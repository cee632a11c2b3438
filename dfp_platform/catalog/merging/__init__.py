"""Merging tables by rows: base, minus rows removed on either side, plus rows added on either side, in one snapshot.

::

    branches     two branches of a lake: which tables both changed, and the lake's merge with these resolved
    tables       one table: three states in, one merged state or the conflicts out
    definition   schema, sort order and properties, three ways
    difference   what a side changed, net: files and rows
    compactions  found, and undone where they stand against a change
    lineage      row ids that each side gave
    facts        what the decision rests on beside the net change
    decision     the table of cases
    snapshot     one snapshot of files that go, come and come back
    manifests    manifests and their lists, formats 1 to 3
    deletes      position deletes and deletion vectors
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfp_platform.catalog.merging.branches import Preference, changed_partitions, merge_branches, merged_tables

__all__ = ["Preference", "changed_partitions", "merge_branches", "merged_tables"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.branches"), name)
