"""What crosses a border between rooms: small frozen records, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType

CommitId = NewType("CommitId", str)
"""Names one commit of a lake: lower-case hex."""

MAIN = "main"
"""The branch every lake is born with, and the default target of publication."""


FEATURE_PREFIXES = ("sys_", "perm_", "app_")
"""Columns of `tables/marts/fct_training_dataset` that a model may see: system calls, permissions, static counts."""

LEAKING_COLUMNS = frozenset({"scanners", "detection_ratio", "times_submitted", "nr_contacted_ips"})
"""Columns that tell the label or are known only after the fact. Never a feature."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """One object at one commit.

    Attributes:
        path: its lake path, ``raw/kronodroid_real_device/part-0.parquet``.
        size: bytes.
        sha256: hex digest of its bytes; equal digests are the same content.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. `parents[0]` is the branch it was made on; a merge has two parents."""

    id: CommitId
    parents: tuple[CommitId, ...]
    message: str
    time: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that differs between two refs: `before` is absent for an added object, `after` for a removed one."""

    path: str
    before: ObjectStat | None
    after: ObjectStat | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One path that both sides of a merge changed differently.

    Attributes:
        path: its lake path; of a table, that of its pointer.
        detail: what clashes, for people.
        kind: ``path`` for whole objects; for tables what `catalog.merging` says: ``row-both``, ``file-both``, ….
        table: the table, ``marts.apps``; empty if the path is none's.
        partition: the partition, ``day=2026-11-25``; empty for tables without, and where it is about no partition.
        files: addresses of the table's files it is about.
    """

    path: str
    detail: str
    kind: str = "path"
    table: str = ""
    partition: str = ""
    files: tuple[str, ...] = ()

    def in_words(self) -> str:
        """One line for people."""
        where = f" {self.partition}" if self.partition else ""
        files = f" ({len(self.files)} files, {self.files[0]})" if self.files else ""
        return f"{self.table or self.path}{where}: {self.kind}: {self.detail}{files}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check said of one content of one asset. It belongs to the content, never to a run.

    Attributes:
        asset: asset key path, ``tables/marts/fct_training_dataset``.
        check: the check's name.
        content: content id of what was judged.
        passed: the verdict.
        figure: the measured value, if the check measures one.
        limit: what the figure was held against.
    """

    asset: str
    check: str
    content: str
    passed: bool
    figure: float | None = None
    limit: float | None = None
