"""Merge bases against their definition, on random histories."""

from __future__ import annotations

import random

import pytest

from dfp_platform.lake.ancestry import descends, merge_bases
from dfp_platform.lake.git_store import Oid, StoredCommit


def random_history(seed: int) -> dict[Oid, StoredCommit]:
    """Up to 25 commits with up to three parents each; many share a second, none is older than a parent."""
    dice, made = random.Random(seed), []
    for number in range(dice.randint(2, 25)):
        parents = dice.sample(made, min(len(made), dice.choice([0, 1, 1, 1, 2, 2, 3])))
        time = max([0, *(parent.time for parent in parents)]) + dice.choice([0, 0, 0, 1, 5])
        oid = random.Random(f"{seed} {number}").randbytes(20)
        made.append(StoredCommit(oid, b"", tuple(parent.oid for parent in parents), time, ""))
    return {commit.oid: commit for commit in made}


def ancestry(history: dict[Oid, StoredCommit], *starts: Oid) -> set[Oid]:
    seen: set[Oid] = set()
    queue = list(starts)
    while queue:
        if (oid := queue.pop()) not in seen:
            seen.add(oid)
            queue += history[oid].parents
    return seen


@pytest.mark.parametrize("seed", range(150))
def test_merge_bases_are_the_common_ancestors_that_no_other_common_ancestor_descends_from(seed: int) -> None:
    history = random_history(seed)
    dice = random.Random(seed)
    for _ in range(10):
        left, *right = dice.choices(list(history), k=dice.choice([2, 2, 3]))
        common = ancestry(history, left) & ancestry(history, *right)
        best = {one for one in common if not any(one in ancestry(history, other) for other in common - {one})}
        found = merge_bases(history.__getitem__, left, right)
        assert set(found) == best
        assert len(found) == len(best)
        assert [history[oid].time for oid in found] == sorted((history[oid].time for oid in best), reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_a_commit_descends_from_itself_and_what_it_was_built_on(seed: int) -> None:
    history = random_history(seed)
    for oid in history:
        assert {other for other in history if descends(history.__getitem__, oid, other)} == ancestry(history, oid)
