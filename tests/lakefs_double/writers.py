"""Another writer of a lake, at the worst moment."""

from __future__ import annotations

from dfp_platform.lake import Lake
from dfp_platform.lake.lakefs import LakeFSLake
from dfp_platform.lake.lakefs_content import measured
from tests.lakefs_double.server import Double, Fault


def name_of(lake: Lake) -> str:
    return lake.uri.removeprefix("lakefs://")


def write_as_another_process(lake: LakeFSLake, branch: str, **changes: bytes | None) -> None:
    """A commit that does not wait for the writers of this process."""
    other = LakeFSLake(name_of(lake))
    with measured(changes, lambda stat: None, None) as wanted:
        other._writing.put(branch, other._refs.head(branch), wanted, "another", {})


def when(double: Double, call: str, act) -> None:
    """Do something once, right after the server did a call and before it answers."""

    def once() -> None:
        double.faults.remove(fault)
        act()

    fault = Fault(call, "then", then=once)
    double.faults.append(fault)
