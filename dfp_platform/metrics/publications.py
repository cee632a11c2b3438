"""What is told of the lake: what was published and when, what waits, what is done to it, and how much room is left."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.core import Metric

from dfp_platform.errors import NotFoundError
from dfp_platform.lake import Lake
from dfp_platform.lake.operation_metrics import operation_families
from dfp_platform.lake.ownership import Ownership, read_ownership, run_branch, transaction_prefix
from dfp_platform.metrics.families import counter, gauge
from dfp_platform.schemas import Commit, CommitId

PUBLISHED = "published"
"""Metadata of a commit by which a run was published: its assets, as `publishing.publication` writes them."""

KINDS = ("run", "transaction", "other")
"""Kinds of branches that are told apart: names of branches are no labels, there would be ever more."""


@dataclass(eq=False)
class History:
    """The history of one branch, walked once and then only where it is new.

    Attributes:
        commits: how many the branch has, with those that merges brought.
        publications: how many of them published a run.
        published_at: by the first part of an asset's path, ``raw``, the newest publication that changed such assets, in
            seconds since 1970.
        last: the newest publication likewise.
    """

    commits: int = 0
    publications: int = 0
    published_at: dict[str, float] = field(default_factory=dict)
    last: float | None = None
    _seen: set[CommitId] = field(default_factory=set)

    def look(self, lake: Lake, head: CommitId) -> None:
        """Take in what has come since."""
        for commit in lake.log(head) if not self._seen else self._new(lake, head):
            if commit.id not in self._seen:
                self._seen.add(commit.id)
                self._take(commit)

    def _new(self, lake: Lake, head: CommitId) -> Iterator[Commit]:
        waiting = [head]
        while waiting:
            if (name := waiting.pop()) not in self._seen:
                commit = lake.show(name)
                yield commit
                waiting += commit.parents

    def _take(self, commit: Commit) -> None:
        self.commits += 1
        if PUBLISHED not in commit.metadata:
            return
        at = commit.time.timestamp()
        self.publications += 1
        self.last = max(at, self.last or at)
        for part in {asset.partition("/")[0] for asset in json.loads(commit.metadata[PUBLISHED])}:
            self.published_at[part] = max(at, self.published_at.get(part, at))


@dataclass(eq=False)
class LakePart:
    """The part `lake` of the page.

    Attributes:
        branch: the branch that runs publish to.
        places: folders whose disk is watched, by what they are.
    """

    lake: Lake
    branch: str
    places: Mapping[str, Path]
    history: History = field(default_factory=History)
    _owners: dict[CommitId, tuple[Ownership | None, float]] = field(default_factory=dict)

    def __call__(self) -> list[Metric]:
        """What is told now. Raises DfpError: the lake does not answer."""
        heads = self.lake.branches()
        if self.branch in heads:
            self.history.look(self.lake, heads[self.branch])
        return [
            *self._published(),
            *self._waiting(heads),
            *operation_families(self.lake.operations.everywhere()),
            gauge("dfp_lake_tags", "Tags of the lake.", len(self.lake.tags())),
            *disk_families(self.places),
        ]

    def _published(self) -> list[Metric]:
        found, branch = self.history, self.branch
        return [
            counter("dfp_lake_commits", "Commits in a branch's history.", [((branch,), found.commits)], ["branch"]),
            counter("dfp_publications", "Runs published to a branch.", [((branch,), found.publications)], ["branch"]),
            gauge(
                "dfp_publication_timestamp_seconds",
                "When a run was last published to a branch, in seconds since 1970.",
                [((branch,), found.last)] if found.last is not None else [],
                ["branch"],
            ),
            gauge(
                "dfp_published_timestamp_seconds",
                "When assets of this room were last published with another content, in seconds since 1970.",
                [((room,), at) for room, at in sorted(found.published_at.items())],
                ["room"],
            ),
        ]

    def _waiting(self, heads: Mapping[str, CommitId]) -> list[Metric]:
        """Branches by kind, and the held back publications among those of runs."""
        runs = {head for name, head in heads.items() if kind_of(name) == "run"}
        self._owners = {head: self._owners[head] if head in self._owners else self._owner(head) for head in runs}
        held: dict[str, list[float]] = {self.branch: []}
        for owner, since in self._owners.values():
            if owner is not None and owner.state == "held":
                held.setdefault(owner.target or "", []).append(since)
        kinds = [kind_of(name) for name in heads]
        return [
            gauge("dfp_lake_branches", "Branches.", [((kind,), kinds.count(kind)) for kind in KINDS], ["kind"]),
            gauge(
                "dfp_held_publications",
                "Runs whose publication to this branch was held back, and waits for a person.",
                [((target,), len(since)) for target, since in held.items()],
                ["branch"],
            ),
            gauge(
                "dfp_held_publication_oldest_timestamp_seconds",
                "Since when the oldest of them waits, in seconds since 1970.",
                [((target,), min(since)) for target, since in held.items() if since],
                ["branch"],
            ),
        ]

    def _owner(self, head: CommitId) -> tuple[Ownership | None, float]:
        try:
            return read_ownership(self.lake, head), self.lake.show(head).time.timestamp()
        except NotFoundError:  # the branch was forgotten meanwhile, and its commits collected
            return None, time.time()


def kind_of(branch: str) -> str:
    """What a branch is for: a run, a transaction of one, or something else."""
    if branch.startswith(run_branch("")):
        return "run"
    return "transaction" if branch.startswith(transaction_prefix("").rstrip("-")) else "other"


def disk_families(places: Mapping[str, Path]) -> list[Metric]:
    """Size and free room of the disks that folders lie on."""
    used = {place: shutil.disk_usage(folder) for place, folder in places.items() if folder.exists()}
    return [
        gauge(
            "dfp_disk_free_bytes",
            "Bytes free on the disk of a folder.",
            [((place,), found.free) for place, found in used.items()],
            ["place"],
        ),
        gauge(
            "dfp_disk_size_bytes",
            "Bytes of the disk of a folder.",
            [((place,), found.total) for place, found in used.items()],
            ["place"],
        ),
    ]
