"""The order in which a lake on lakeFS shows its history, and what it writes beside a commit."""

from __future__ import annotations

from itertools import count

import pytest

from dfp_platform.lake.lakefs_history import History, as_commit, written_message, written_metadata
from dfp_platform.lake.lakefs_repository import Record


class Shelf:
    """Commits by id, as a repository gives them."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.ids = count(1)

    def add(self, *parents: str, time: int) -> str:
        made = f"{next(self.ids):064x}"
        generation = 1 + max((self.records[parent].generation for parent in parents), default=0)
        self.records[made] = Record(made, parents, "m", time, generation, {})
        return made

    def log(self, ref: str, *, amount: int):
        return iter([self.records[ref]])


def test_children_come_before_parents_though_the_clocks_of_two_servers_disagree() -> None:
    shelf = Shelf()
    root = shelf.add(time=100)
    fork = shelf.add(root, time=105)
    left, right = shelf.add(fork, time=106), shelf.add(fork, time=90)
    merged = shelf.add(left, right, time=104)
    order = [record.id for record in History(shelf).walk(merged)]
    assert order == [merged, left, right, fork, root]


def test_what_has_no_relation_is_shown_newest_first() -> None:
    shelf = Shelf()
    root = shelf.add(time=100)
    old = shelf.add(root, time=101)
    long = shelf.add(shelf.add(root, time=110), time=120)
    merged = shelf.add(old, long, time=130)
    times = [record.time for record in History(shelf).walk(merged)]
    assert times == [130, 120, 110, 101, 100]


@pytest.mark.parametrize("message", ["plain", "", "  spaces  ", "two\n\nparagraphs\n", "(no message)"])
@pytest.mark.parametrize("metadata", [{}, {"run": "1"}, {"dfp.message": "x", "dfp.metadata": "y", ".lakefs.z": ""}])
def test_message_and_metadata_come_back_as_they_were_given(message: str, metadata: dict[str, str]) -> None:
    kept = {**written_metadata(message, metadata, token="t"), ".lakefs.merge.strategy": "default"}
    assert written_message(message).strip()
    shown = as_commit(Record("0" * 64, (), written_message(message), 0, 1, kept))
    assert (shown.message, shown.metadata) == (message, metadata)
