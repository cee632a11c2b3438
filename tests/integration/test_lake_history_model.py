"""A random history of two branches against a model of a few dictionaries."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from dfp_platform.errors import MergeConflictError, NotFoundError, StaleHeadError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.schemas import CommitId

State = dict[str, bytes]

PATHS = st.sampled_from(["a", "a/b", "a/b/c", "a-b", "tables/x", "tables/y", "z"])
CONTENTS = st.sampled_from([b"", b"1", b"2", b"dfp-object v1\n", b"big" * 5000])
CHANGES = st.dictionaries(PATHS, st.none() | CONTENTS, max_size=4)
BRANCHES = st.sampled_from(["main", "one", "two"])


def applied(state: State, changes: dict[str, bytes | None]) -> State:
    after = {**state, **{path: content for path, content in changes.items() if content is not None}}
    return {path: content for path, content in after.items() if changes.get(path, content) is not None}


def merged(base: State, ours: State, theirs: State) -> State | None:
    """Three-way merge by path; None on conflict."""
    after: State = {}
    for path in base.keys() | ours.keys() | theirs.keys():
        old, mine, yours = base.get(path), ours.get(path), theirs.get(path)
        if mine not in (yours, old) and yours != old:
            return None
        new = yours if mine == old else mine
        if new is not None:
            after[path] = new
    return after


class History(RuleBasedStateMachine):
    """The model: for each commit its content, parents and what it wrote; for each branch its head."""

    commits = Bundle("commits")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.lake: Lake = self.opened(create=True)
        first = self.lake.resolve("main")
        self.states: dict[CommitId, State] = {first: {}}
        self.parents: dict[CommitId, tuple[CommitId, ...]] = {first: ()}
        self.heads: dict[str, CommitId] = {"main": first}

    def opened(self, *, create: bool = False) -> Lake:
        return open_lake(self.folder / "lake", create=create)

    def teardown(self) -> None:
        assert self.lake.verify() == []
        shutil.rmtree(self.folder)

    @initialize()
    def two_branches(self) -> None:
        for name in ("one", "two"):
            self.heads[name] = self.lake.create_branch(name)

    @rule(branch=BRANCHES, changes=CHANGES, pinned=st.booleans(), target=commits)
    def commit(self, branch: str, changes: dict[str, bytes | None], pinned: bool) -> CommitId:
        before = self.heads[branch]
        made = self.lake.commit(branch, changes, message="m", expect=before if pinned else None)
        return self.expect_head(branch, made, applied(self.states[before], changes), (before,))

    @rule(branch=BRANCHES, changes=CHANGES.filter(bool), old=commits)
    def commit_on_an_old_head(self, branch: str, changes: dict[str, bytes | None], old: CommitId) -> None:
        if old != self.heads[branch]:
            with pytest.raises(StaleHeadError):
                self.lake.commit(branch, changes, message="m", expect=old)

    @rule(source=BRANCHES, into=BRANCHES, target=commits)
    def merge(self, source: str, into: str) -> CommitId:
        theirs, ours = self.heads[source], self.heads[into]
        bases = self.best_common(theirs, ours)
        if theirs in self.ancestry(ours):
            assert self.lake.merge(source, into, message="m") == ours
        elif len(bases) == 1:
            after = merged(self.states[bases[0]], self.states[ours], self.states[theirs])
            if after is None:
                with pytest.raises(MergeConflictError):
                    self.lake.merge(source, into, message="m")
            else:
                return self.expect_head(into, self.lake.merge(source, into, message="m"), after, (ours, theirs))
        else:  # the model has no opinion on a criss-cross: every path that only one side changed is as that side has it
            self.criss_cross(source, into, bases)
        return self.heads[into]

    def criss_cross(self, source: str, into: str, bases: list[CommitId]) -> None:
        ours, theirs = self.states[self.heads[into]], self.states[self.heads[source]]
        try:
            made = self.lake.merge(source, into, message="m")
        except MergeConflictError as refused:
            conflicts = refused.conflicts
        else:
            conflicts = []
        if conflicts:
            assert all(ours.get(conflict.path) != theirs.get(conflict.path) for conflict in conflicts)
            return
        after = {found.path: self.lake.read(made, found.path) for found in self.lake.list(made)}
        for path in ours.keys() | theirs.keys() | after.keys():
            assert after.get(path) in (ours.get(path), theirs.get(path))
            if all(self.states[base].get(path) == ours.get(path) for base in bases):
                assert after.get(path) == theirs.get(path)
        if made != self.heads[into]:
            self.expect_head(into, made, after, (self.heads[into], self.heads[source]))

    @rule(branch=BRANCHES, commit=commits, target=commits)
    def revert(self, branch: str, commit: CommitId) -> CommitId:
        head = self.heads[branch]
        if commit not in self.ancestry(head):
            with pytest.raises(NotFoundError):
                self.lake.revert(branch, commit)
            return head
        before = self.states[self.parents[commit][0]] if self.parents[commit] else {}
        after = merged(self.states[commit], self.states[head], before)
        if after is None:
            with pytest.raises(MergeConflictError):
                self.lake.revert(branch, commit)
            return head
        return self.expect_head(branch, self.lake.revert(branch, commit), after, (head,))

    @rule(branch=BRANCHES, changes=CHANGES, fails=st.booleans())
    def transaction(self, branch: str, changes: dict[str, bytes | None], fails: bool) -> None:
        head = self.heads[branch]
        try:
            with self.lake.transaction(branch, message="m") as name:
                inside = self.lake.commit(name, changes, message="inside")
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert self.lake.resolve(branch) == head
            return
        after = applied(self.states[head], changes)
        self.states.setdefault(inside, after)
        self.parents.setdefault(inside, (head,))
        self.expect_head(branch, self.lake.resolve(branch), after, (head, inside))

    @rule(left=commits, right=commits)
    def compare(self, left: CommitId, right: CommitId) -> None:
        before, after = self.states[left], self.states[right]
        changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        assert [found.path for found in self.lake.diff(left, right)] == changed
        assert self.lake.merge_base(left, right) in self.best_common(left, right)

    @rule(branch=BRANCHES)
    def ask_who_wrote_what(self, branch: str) -> None:
        ancestry = self.ancestry(self.heads[branch])
        for path, content in self.states[self.heads[branch]].items():
            writer = self.lake.provenance(branch, path).id
            assert writer in ancestry
            assert self.states[writer][path] == content
            assert all(self.states[parent].get(path) != content for parent in self.parents[writer])
        assert {commit.id for commit in self.lake.log(branch)} == ancestry

    @rule()
    def reopen(self) -> None:
        self.lake = self.opened()

    @invariant()
    def every_branch_holds_what_the_model_holds(self) -> None:
        assert self.lake.branches() == self.heads
        for name, head in self.heads.items():
            held = {found.path: self.lake.read(name, found.path) for found in self.lake.list(name)}
            assert held == self.states[head]

    def expect_head(self, branch: str, made: CommitId, after: State, parents: tuple[CommitId, ...]) -> CommitId:
        """Take a new head over into the model: no commit if nothing changed, else one with these parents."""
        before = self.heads[branch]
        if after == self.states[before]:
            assert made == before
            return made
        assert self.lake.show(made).parents == parents
        self.heads[branch], self.states[made], self.parents[made] = made, after, parents
        return made

    def ancestry(self, commit: CommitId) -> set[CommitId]:
        seen, queue = set(), [commit]
        while queue:
            if (one := queue.pop()) not in seen:
                seen.add(one)
                queue += self.parents[one]
        return seen

    def best_common(self, left: CommitId, right: CommitId) -> list[CommitId]:
        common = self.ancestry(left) & self.ancestry(right)
        return [one for one in common if not any(one in self.ancestry(other) - {other} for other in common)]


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
