"""What a three-way merge of two commits starts from, and how its conflicts are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dfp_platform.lake.ancestry import merge_bases
from dfp_platform.lake.conflicts import refuse_conflicts
from dfp_platform.lake.git_store import GitStore, Oid
from dfp_platform.lake.trees import Merged, Trees
from dfp_platform.schemas import Conflict


def base_tree(store: GitStore, trees: Trees, bases: Sequence[Oid]) -> Oid | None:
    """What two sides had in common: with several bases, their own merge, in which a clash equals neither side."""
    if not bases:
        return None
    tree: Oid | None = store.commit(bases[0]).tree
    for known, base in enumerate(bases[1:], start=1):
        below = base_tree(store, trees, merge_bases(store.commit, base, bases[:known]))
        merged = trees.merge(below, tree, store.commit(base).tree)
        unlike_any = {
            path: store.write_blob(b"no common base\0" + repr(clash).encode()) for path, clash in merged.clashes.items()
        }
        tree = trees.apply(merged.tree, unlike_any)
    return tree


def refuse_clashes(merged: Merged, settled: Mapping[str, Oid | None], what: str, *, ours: str, theirs: str) -> None:
    """Raise MergeConflictError for every clash that is not settled."""
    conflicts = [
        Conflict(path, _clash_in_words(*clash, ours=ours, theirs=theirs))
        for path, clash in sorted(merged.clashes.items())
        if path not in settled
    ]
    refuse_conflicts(conflicts, what)


def _clash_in_words(base: Oid | None, mine: Oid | None, yours: Oid | None, *, ours: str, theirs: str) -> str:
    if base is None:
        return f"added differently on {ours} and {theirs}"
    if mine is None:
        return f"removed on {ours}, changed on {theirs}"
    if yours is None:
        return f"changed on {ours}, removed on {theirs}"
    return f"changed differently on {ours} and {theirs}"
