"""What a lake on lakeFS costs in HTTP calls, as docs/decisions/0011 says."""

from __future__ import annotations

import pytest

from dfp_platform.lake import open_lake
from tests.contract.lakes import put
from tests.lakefs_double import Double
from tests.lakefs_double.fixtures import double, lake

__all__ = ["double", "lake"]


def calls(double: Double, act) -> int:
    double.calls.clear()
    act()
    return len(double.calls)


@pytest.mark.parametrize("objects", [1, 10])
def test_a_commit_costs_seven_calls_and_two_for_each_object(double, lake, objects):
    put(lake, gone=b"1")
    changes = {f"a/{n}": b"%d" % n for n in range(objects)}
    assert calls(double, lambda: lake.commit("main", changes, message="m")) == 7 + 2 * objects
    assert calls(double, lambda: lake.commit("main", changes, message="again")) == 2 + objects
    assert calls(double, lambda: put(lake, gone=None)) == 8  # one to remove it; the head is known by now


def test_a_merge_costs_the_same_whatever_it_brings(double, lake):
    put(lake, a=b"1")
    for name, objects in (("small", 2), ("large", 200)):
        lake.create_branch(name)
        lake.commit(name, {f"{name}/{n}": b"1" for n in range(objects)}, message="m")
        assert 11 <= calls(double, lambda name=name: lake.merge(name, message="m")) <= 13


def test_reading_costs_two_calls_and_a_third_to_learn_where_a_branch_stands(double, lake):
    head = put(lake, a=b"1", b=b"2")
    fresh = open_lake(lake.uri)
    fresh.resolve(head)
    assert calls(double, lambda: fresh.read(head, "a")) == 2
    assert calls(double, lambda: fresh.read("main", "b")) == 3


def test_a_branch_costs_four_calls_and_its_deletion_at_a_head_nine(double, lake):
    put(lake, a=b"1")
    assert calls(double, lambda: lake.create_branch("side")) == 4
    head = put(lake, "side", b=b"1")
    assert calls(double, lambda: lake.delete_branch("side", expect=head)) == 9


def test_what_is_known_of_a_commit_is_not_asked_for_again(double, lake):
    put(lake, a=b"1")
    put(lake, b=b"1")
    head = lake.resolve("main")
    list(lake.log(head))
    lake.stat(head, "a")
    assert calls(double, lambda: (list(lake.log(head)), lake.stat(head, "a"), lake.show(head))) == 0
