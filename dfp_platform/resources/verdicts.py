"""What checks said, as the lake keeps it: one object a check, and its history over the publications of a branch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.schemas import Commit, CommitId, Verdict

CHECKS = "checks/"
"""Where verdicts lie: `checks/<asset>/<check>`."""

LOOKED_AT = 200
"""Commits of a branch among which publications that changed a verdict are looked for."""

CheckName = tuple[str, str]
"""An asset and a check of it."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One commit of a branch that changed what some check says.

    Attributes:
        commit: its id; `time` is when it was made.
        run: the run whose results it published; empty: it was no run's.
        verdicts: what every check says there, by asset and check.
    """

    commit: CommitId
    time: datetime
    run: str
    verdicts: Mapping[CheckName, Verdict]


def verdict_path(asset: str, check: str) -> str:
    """Where the verdict of a check lies."""
    return f"{CHECKS}{asset}/{check}"


def read_verdict(lake: Lake, ref: str, asset: str, check: str) -> Verdict | None:
    """What a check last said at a ref, if it ever did."""
    try:
        return Verdict(**json.loads(lake.read(ref, verdict_path(asset, check))))
    except NotFoundError:
        return None


def read_verdicts(lake: Lake, ref: str) -> list[Verdict]:
    """What every check last said at a ref, by asset and check; without what another version of this program wrote."""
    found = map(_read, lake.files(ref, CHECKS.rstrip("/")).values())
    return sorted((each for each in found if each is not None), key=lambda each: (each.asset, each.check))


def publications(
    lake: Lake, ref: str, *, most: int, without: str = "", looked_at: int = LOOKED_AT
) -> list[Publication]:
    """The newest commits of a branch that changed a verdict, oldest first.

    Equal histories give equal answers; a commit that changed no verdict does not count, so that publishing what was
    made of the answer does not change it.

    Args:
        most: how many at most.
        without: an asset whose own checks are left out.
        looked_at: commits of the branch itself that are looked at.
    """
    known: dict[str, Verdict | None] = {}

    def verdicts(at: CommitId, digests: Mapping[str, str]) -> dict[CheckName, Verdict]:
        for path, digest in digests.items():
            if digest not in known:
                known[digest] = _read(lake.read(at, path))
        told = (known[digest] for digest in digests.values())
        return {(verdict.asset, verdict.check): verdict for verdict in told if verdict is not None}

    found: list[Publication] = []
    for commit, digests in islice(_changing(lake, ref, without, looked_at), most):
        run = commit.metadata.get("run", "")
        found.append(Publication(commit.id, commit.time, run, verdicts(commit.id, digests)))
    return found[::-1]


def _changing(lake: Lake, ref: str, without: str, looked_at: int) -> Iterator[tuple[Commit, dict[str, str]]]:
    """Commits of the branch that changed a verdict, newest first, with the digests of all verdicts there."""
    commit = lake.show(ref)
    digests = _digests(lake, commit.id, without)
    for _ in range(looked_at):
        before = lake.show(commit.parents[0]) if commit.parents else None
        older = _digests(lake, before.id, without) if before else {}
        if digests != older:
            yield commit, digests
        if before is None:
            return
        commit, digests = before, older


def _digests(lake: Lake, commit: CommitId, without: str) -> dict[str, str]:
    own = verdict_path(without, "") if without else "-"
    return {found.path: found.sha256 for found in lake.list(commit, CHECKS) if not found.path.startswith(own)}


def _read(data: bytes) -> Verdict | None:
    """The verdict in these bytes; None: another version of this program wrote them."""
    try:
        return Verdict(**json.loads(data))
    except (TypeError, ValueError):
        return None
