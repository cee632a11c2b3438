"""Repositories of the double: commits, branches with uncommitted objects, tags, merges."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


class Refusal(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Entry:
    """An object. Two entries are the same to lakeFS if their content is, wherever it lies."""

    address: str
    checksum: str
    size: int
    mtime: int
    content_type: str
    metadata: dict

    @property
    def identity(self):
        return self.checksum, self.size


Tree = dict[str, Entry]


@dataclass(frozen=True)
class Commit:
    id: str
    parents: tuple[str, ...]
    message: str
    metadata: dict
    date: int
    generation: int
    tree: Tree


@dataclass
class Branch:
    head: str
    hidden: bool = False
    staged: dict[str, Entry | None] = field(default_factory=dict)


def differing(left: Tree, right: Tree) -> Iterator[str]:
    for path in sorted(left.keys() | right.keys()):
        if not same(left.get(path), right.get(path)):
            yield path


def same(one: Entry | None, other: Entry | None) -> bool:
    return one is other or (one is not None and other is not None and one.identity == other.identity)


class Repository:
    def __init__(self, name: str, namespace: str, default_branch: str) -> None:
        self.name, self.namespace, self.default_branch = name, namespace, default_branch
        self.created = int(time.time())
        self.lock = threading.RLock()
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, Branch] = {}
        self.tags: dict[str, str] = {}
        self._salt = itertools.count()
        self.branches[default_branch] = Branch(self.add((), {}, "Repository created", {}).id)

    # -- refs ----------------------------------------------------------------------------------------------------

    def branch(self, name: str) -> Branch:
        if name not in self.branches:
            raise Refusal(404, "branch not found")
        return self.branches[name]

    def resolve(self, ref: str) -> Commit:
        if ref in self.branches:
            return self.commits[self.branches[ref].head]
        if ref in self.tags:
            return self.commits[self.tags[ref]]
        if re.fullmatch(r"[0-9a-f]{6,64}", ref):
            found = [commit for commit in self.commits if commit.startswith(ref)]
            if len(found) == 1:
                return self.commits[found[0]]
        raise Refusal(404, "not found")

    def view(self, ref: str) -> Tree:
        """What is read at a ref: of a branch, its uncommitted objects too."""
        if ref not in self.branches:
            return self.resolve(ref).tree
        return self._with_staged(self.branches[ref])

    def create_branch(self, name: str, source: str, *, hidden: bool) -> str:
        if not re.fullmatch(r"\w[-\w]*", name, re.ASCII):
            raise Refusal(400, "argument name: invalid value: validation error")
        head = self.resolve(source).id
        if name in self.branches:
            raise Refusal(409, "branch already exists")
        if name in self.tags:
            raise Refusal(409, f"tag ID {name}: conflict found")
        self.branches[name] = Branch(head, hidden)
        return head

    def create_tag(self, name: str, ref: str) -> str:
        if name in self.tags:
            raise Refusal(409, "tag already exists")
        if name in self.branches:
            raise Refusal(409, f"branch name {name}: conflict found")
        self.tags[name] = self.resolve(ref).id
        return self.tags[name]

    # -- commits -------------------------------------------------------------------------------------------------

    def add(self, parents: tuple[str, ...], tree: Tree, message: str, metadata: dict) -> Commit:
        date = int(time.time())
        generation = 1 + max((self.commits[parent].generation for parent in parents), default=0)
        told = json.dumps([parents, message, sorted(metadata.items()), date, next(self._salt), self.name])
        made = Commit(
            hashlib.sha256(told.encode()).hexdigest(), parents, message, dict(metadata), date, generation, tree
        )
        self.commits[made.id] = made
        return made

    def commit(self, branch: str, message: str, metadata: dict, *, allow_empty: bool) -> Commit:
        at = self.branch(branch)
        tree = self._with_staged(at)
        if not allow_empty and not any(differing(self.commits[at.head].tree, tree)):
            raise Refusal(400, "commit: no changes")
        made = self.add((at.head,), tree, message, metadata)
        at.head, at.staged = made.id, {}
        return made

    def merge(
        self,
        source: str,
        into: str,
        message: str,
        metadata: dict,
        *,
        strategy: str | None,
        squash: bool,
        allow_empty: bool,
    ) -> Commit:
        at = self.branch(into)
        theirs = self.resolve(source)
        if any(self._uncommitted(at)):
            raise Refusal(400, "uncommitted changes (dirty branch)")
        ours = self.commits[at.head]
        base = self.merge_base(ours, theirs)
        tree = self._merged(base.tree if base else {}, ours.tree, theirs.tree, strategy)
        # only the source is looked at: where the target holds the same already, a commit without changes is made
        if not allow_empty and not any(differing(base.tree if base else {}, theirs.tree)):
            raise Refusal(400, f"update branch {into}: no changes")
        facts = {**metadata, ".lakefs.merge.strategy": strategy or "default"}
        made = self.add((ours.id,) if squash else (ours.id, theirs.id), tree, message, facts)
        at.head, at.staged = made.id, {}
        return made

    # -- history -------------------------------------------------------------------------------------------------

    def history(self, commit: Commit, *, first_parent: bool = False) -> Iterator[Commit]:
        seen = {commit.id}
        queue = [(-commit.generation, -commit.date, commit.id)]
        while queue:
            found = self.commits[heapq.heappop(queue)[-1]]
            yield found
            for parent in found.parents[: 1 if first_parent else None]:
                if parent not in seen:
                    seen.add(parent)
                    heapq.heappush(queue, (-self.commits[parent].generation, -self.commits[parent].date, parent))

    def changed(self, commit: Commit, paths: list[str]) -> bool:
        """Whether a commit differs from each of its parents at one of some paths."""
        before = [self.commits[parent].tree for parent in commit.parents] or [{}]
        return any(all(not same(commit.tree.get(path), tree.get(path)) for tree in before) for path in paths)

    def merge_base(self, left: Commit, right: Commit) -> Commit | None:
        below = {commit.id for commit in self.history(left)}
        return next((commit for commit in self.history(right) if commit.id in below), None)

    # -- inside --------------------------------------------------------------------------------------------------

    def _with_staged(self, branch: Branch) -> Tree:
        tree = dict(self.commits[branch.head].tree)
        for path, entry in branch.staged.items():
            if entry is None:
                tree.pop(path, None)
            else:
                tree[path] = entry
        return tree

    def _uncommitted(self, branch: Branch) -> Iterator[str]:
        return differing(self.commits[branch.head].tree, self._with_staged(branch))

    def _merged(self, base: Tree, ours: Tree, theirs: Tree, strategy: str | None) -> Tree:
        tree = dict(ours)
        for path in differing(base, theirs):
            mine, yours = ours.get(path), theirs.get(path)
            if same(mine, yours):
                continue
            if not same(mine, base.get(path)):
                if strategy is None:
                    raise Refusal(409, f"conflict found: {path}")
                if strategy == "dest-wins":
                    continue
            if yours is None:
                tree.pop(path, None)
            else:
                tree[path] = yours
        return tree
