"""Row ids of format version 3: which ones a side gave since the base, and whether two sides gave the same. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise

from dfp_platform.catalog.merging.difference import Side

ROW_IDS = "lake.row-ids"
"""Property of a merged snapshot: the ids that the rows it brought kept, as a JSON list of [first, end)."""

Span = tuple[int, int]
"""Ids from the first to before the end."""


def given_ids(side: Side) -> list[Span]:
    """The ids that a side gave to rows since the base, and those that rows it merged in had got elsewhere; in order."""
    found: list[Span] = []
    for snapshot in side.snapshots:
        if snapshot.first_row_id is not None and snapshot.added_rows:
            found.append((snapshot.first_row_id, snapshot.first_row_id + snapshot.added_rows))
        kept = (snapshot.summary.additional_properties if snapshot.summary else {}).get(ROW_IDS, "[]")
        found += [(first, end) for first, end in json.loads(kept)]
    return _joined(found)


def ids_apart(one: Side, other: Side) -> bool:
    """Whether no id was given on both sides, so that all rows of both may keep theirs."""
    spans = sorted([*given_ids(one), *given_ids(other)])
    return all(end <= first for (_, end), (first, _) in pairwise(spans))


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for first, end in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))
    return joined
