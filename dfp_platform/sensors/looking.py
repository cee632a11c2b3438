"""What stands on branches of the lake, as far as models are made from it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dfp_platform.lake.interface import Lake
from dfp_platform.lake.ownership import run_branch
from dfp_platform.publishing.staleness import Fact, contents_at, stale, upstream
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.schemas import CommitId
from dfp_platform.sensors.watching import Look, Watch

AT_ONCE = 50
"""Branches that one tick looks at anew; a look takes milliseconds in a folder, and many questions on a server."""

_REMEMBERED = 20_000
"""Facts of what was made from what that are kept."""

_NOT_FOLLOWED = (run_branch(""), "tx-")
"""How the names of branches begin that runs and transactions work on."""


@dataclass(frozen=True, slots=True)
class Looking:
    """How branches are looked at for the sake of some models.

    Attributes:
        models: their asset key paths.
        known: what was made from what, as `stale` keeps it.
    """

    graph: Graph
    models: Collection[str]
    known: set[Fact] = field(default_factory=set)

    def look(self, lake: Lake, head: CommitId) -> Look:
        """What models are made from at a commit, and what does not follow from what stands there."""
        if len(self.known) > _REMEMBERED:
            self.known.clear()
        contents = contents_at(lake, head, upstream(self.graph, self.models))
        inputs = {asset: content for asset, content in contents.items() if asset not in self.models}
        digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        return Look(head, digest[:16], stale(lake, head, self.graph, contents, self.known))

    def looks(
        self, lake: Lake, patterns: Collection[str], watches: Mapping[str, Watch], *, draw: random.Random
    ) -> dict[str, Look | None]:
        """Every branch that fits a pattern, as it stands; one whose head has not moved is as it was.

        Where too many have moved, some are drawn, and the others are None: a later tick looks at them.

        Raises:
            TransientError: the lake cannot be read.
        """
        heads = {branch: head for branch, head in sorted(lake.branches().items()) if is_followed(branch, patterns)}
        before = {branch: watch.look for branch, watch in watches.items()}
        moved = [branch for branch, head in heads.items() if branch not in before or before[branch].head != head]
        drawn = set(moved if len(moved) <= AT_ONCE else draw.sample(moved, AT_ONCE))
        fresh = {branch: self.look(lake, heads[branch]) if branch in drawn else None for branch in moved}
        return {branch: fresh[branch] if branch in fresh else before[branch] for branch in heads}


def is_followed(branch: str, patterns: Iterable[str]) -> bool:
    """Whether a branch fits one of the patterns, which are as those of file names; branches of runs never do."""
    return not branch.startswith(_NOT_FOLLOWED) and any(fnmatchcase(branch, pattern) for pattern in patterns)
