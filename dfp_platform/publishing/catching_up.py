"""A target that moved in tables which a run wrote too: merged by rows into the run's branch, and judged there again.

Each step moves the run's branch by one commit that expects the head it was decided on, so whoever is killed in between
leaves a branch from which publication goes on; nothing here touches the target.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import cast

import dagster as dg

from dfp_platform.catalog import content_at
from dfp_platform.errors import PermanentError, StaleHeadError
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.lake.ownership import OWNER_PATH, run_branch
from dfp_platform.publishing.evidence import Heads, new_verdicts, settled_paths
from dfp_platform.publishing.gate import Evidence, Reason
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.lineage import lineage_at
from dfp_platform.resources.verdicts import read_verdict, verdict_path
from dfp_platform.schemas import CommitId, Verdict

MERGED = "merged"
"""On a commit that merged the target into a run's branch: the tables that were merged by rows, as JSON."""

_LOOKED_AT = 200
"""Commits at the head of a run's branch among which such a merge is looked for."""

Check = tuple[str, str]
"""Asset and name of a check."""

Judge = Callable[[CommitId, Sequence[Check]], str]
"""Runs checks on the state of a commit and returns the id of the run that did."""


@dataclass(frozen=True, slots=True)
class Catching:
    """What catching up works with.

    Attributes:
        resume: makes sure that the run's branch is still being published by this run; gives its head.
        judge: who judges again, if anybody can.
    """

    lake: Lake
    instance: dg.DagsterInstance
    graph: Graph
    run_id: str
    target: str
    resume: Callable[[], CommitId]
    judge: Judge | None

    # -- merging ------------------------------------------------------------------------------------------------

    def merged(self, heads: Heads, tables: Sequence[str]) -> CommitId:
        """Merge the target into the run's branch, `tables` by rows; return the branch's head.

        Raises:
            MergeConflictError: tables do not go together. StaleHeadError: the run's branch moved.
        """
        lineage = {asset: dict(lineage_at(self.lake, heads.run, asset)) for asset in tables}
        message = f"merge {self.target} into run {self.run_id}"
        with self.lake.lease(message):
            merged = self._merged_tables(heads, tables)
            return self.lake.merge(
                heads.target,
                run_branch(self.run_id),
                message=message,
                metadata={"run": self.run_id, MERGED: json.dumps(list(tables)), "lineage": json.dumps(lineage)},
                expect=heads.run,
                resolved={
                    **settled_paths(self.lake, self.graph, heads),
                    **merged,
                    **dict(self._carried_verdicts(heads, merged)),
                    OWNER_PATH: self.lake.read(heads.run, OWNER_PATH),
                },
            )

    def _merged_tables(self, heads: Heads, tables: Sequence[str]) -> dict[str, Content]:
        from dfp_platform.catalog.merging import Preference, merged_tables
        from dfp_platform.catalog.names import identifier_of, is_pointer

        # equal content on both sides is none of these: there the target's files stay
        equal = {d.path for d in self.lake.diff(heads.base, heads.target) if is_pointer(d.path)} - set(tables)
        prefer: dict[str, Preference] = dict.fromkeys((".".join(identifier_of(path)) for path in equal), "theirs")
        names = (self.target, f"run {self.run_id}")
        merged = merged_tables(self.lake, heads.target, heads.run, prefer=prefer, names=names)
        return {path: content for path, content in merged.items() if path in tables}

    # -- verdicts -----------------------------------------------------------------------------------------------

    def _carried_verdicts(self, heads: Heads, merged: Mapping[str, Content]) -> Iterator[tuple[str, bytes]]:
        """Verdicts of checks that look at rows or partitions one by one, and passed both sides of what was merged."""
        from dfp_platform.catalog.pointers import parse_pointer

        for asset, pointer in merged.items():
            for check in self.graph.required.get(asset, ()):
                scope = self.graph.local.get((asset, check))
                if scope is None or not all(self._passed(ref, asset, check) for ref in (heads.run, heads.target)):
                    continue
                if scope == "rows" or (scope == "partitions" and self._apart(heads, asset)):
                    content = parse_pointer(cast(bytes, pointer), path=asset).content
                    verdict = Verdict(asset, check, content, passed=True)
                    yield verdict_path(asset, check), json.dumps(asdict(verdict), sort_keys=True).encode()

    def _passed(self, ref: CommitId, asset: str, check: str) -> bool:
        verdict = read_verdict(self.lake, ref, asset, check)
        return verdict is not None and verdict.passed and verdict.content == content_at(self.lake, ref, asset)

    def _apart(self, heads: Heads, asset: str) -> bool:
        from dfp_platform.catalog.merging import changed_partitions

        ours, theirs = (changed_partitions(self.lake, heads.base, ref, asset) for ref in (heads.run, heads.target))
        return ours.isdisjoint(theirs)

    def unjudged(self, heads: Heads, evidence: Evidence, reasons: tuple[Reason, ...]) -> tuple[Check, ...]:
        """Checks of merged tables that have not judged what the merge made, if nothing else holds the run back."""
        if self.judge is None or not reasons:
            return ()
        missing = tuple(
            (asset, check)
            for asset in self._merged_before(heads)
            for check in evidence.required.get(asset, ())
            if not _has_judged(evidence, asset, check)
        )
        others = [reason for reason in reasons if reason.kind != "check" or reason.asset not in dict(missing)]
        return () if others else missing

    def _merged_before(self, heads: Heads) -> tuple[str, ...]:
        """Tables that were merged into the run's branch, by this try or an earlier one that was cut short."""
        newest = islice(self.lake.log(heads.run), _LOOKED_AT)
        stated = (c.metadata[MERGED] for c in newest if c.metadata.get("run") == self.run_id and MERGED in c.metadata)
        return tuple(sorted({asset for tables in stated for asset in json.loads(tables)}))

    def judged_again(self, head: CommitId, checks: Sequence[Check]) -> CommitId:
        """Let `checks` judge what stands at `head`; return the branch's head with what they said.

        Raises:
            PermanentError: the run that was to judge ended without a verdict of each.
        """
        assert self.judge is not None  # `unjudged` names checks only then
        judging = self.judge(head, checks)
        wanted = {verdict_path(asset, check) for asset, check in checks}
        found = new_verdicts(self.lake, head, self.instance, judging)
        said: dict[str, Content] = {path: verdict for path, verdict in found.items() if path in wanted}
        if run_branch(judging) in self.lake.branches():
            self.lake.delete_branch(run_branch(judging))
        if missing := wanted - said.keys():
            raise PermanentError(
                f"run {judging} was to judge again what was merged with {self.target}, and said nothing of "
                f"{', '.join(sorted(missing))}",
                hint=f"look at run {judging} in Dagster, then publish run {self.run_id} again",
                run_id=judging,
            )
        return self._keep(said, f"verdicts of run {judging} on what run {self.run_id} merged")

    def _keep(self, said: dict[str, Content], message: str) -> CommitId:
        """Put verdicts on the branch wherever its marker went meanwhile: they belong to the content they judged."""
        while True:
            head, metadata = self.resume(), {"run": self.run_id}
            try:
                return self.lake.commit(run_branch(self.run_id), said, message=message, metadata=metadata, expect=head)
            except StaleHeadError:
                continue


def mergeable(evidence: Evidence, reasons: tuple[Reason, ...]) -> tuple[str, ...]:
    """The tables whose clash with the target is all that holds a run back, if a merge by rows may settle it; pure.

    What the run made from such a table would not be made from the merged one: then nothing is.
    """
    from dfp_platform.catalog.names import is_pointer

    overlap = set(evidence.overlap)
    if not overlap or any(reason.kind != "conflict" or reason.asset not in overlap for reason in reasons):
        return ()
    read = {dep for asset in evidence.changed for dep in evidence.dependencies.get(asset, ())}
    there = all(evidence.changed[asset] and evidence.moved.get(asset) for asset in overlap)
    if not there or overlap & read or not all(is_pointer(asset) for asset in overlap):
        return ()
    return tuple(sorted(overlap))


def _has_judged(evidence: Evidence, asset: str, check: str) -> bool:
    verdict = evidence.verdicts.get((asset, check))
    return verdict is not None and verdict.content == evidence.changed.get(asset)
