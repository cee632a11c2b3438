"""What is done to a lake while it is killed: each act moves the state once, and can be done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.collection import collect_garbage
from dfp_platform.catalog.maintenance import compact, expire_snapshots
from dfp_platform.lake import open_lake
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.git_store import GitStore
from dfp_platform.lake.ownership import OWNER_PATH, Ownership, open_run_branch, read_ownership, run_branch, transition
from dfp_platform.lake.packing import pack
from tests.garbage import age, days_ago, rows

BIG = b"big" * 10_000


def prepare(folder: Path) -> None:
    """A lake of three days with objects, tables, a side branch, a run's branch, garbage loose and packed."""
    with days_ago():
        lake = open_lake(folder, create=True)
        lake.commit("main", {"raw/a.bin": BIG + b"1", "small": b"1", "gone/x": b"x"}, message="objects")
        catalog = open_catalog(lake)
        overwrite(catalog, "marts.apps", rows(1))
        for number in (2, 3):
            catalog.load_table("marts.apps").append(rows(number))
        overwrite(catalog, "marts.other", rows(7))
        for name in ("dead-1", "dead-2"):
            lake.create_branch(name)
            overwrite(open_catalog(lake, name), "marts.apps", rows(99))
            lake.commit(name, {f"raw/{name}.bin": BIG + name.encode(), name: b"small"}, message="dead")
            lake.delete_branch(name)
            if name == "dead-1":
                pack(GitStore(LakeFolder(folder)))
        lake.create_branch("side")
        overwrite(open_catalog(lake, "side"), "marts.other", rows(8))
        lake.commit("side", {"raw/side.bin": BIG + b"side", "small-too": b"2"}, message="side")
        base = lake.resolve("main")
        open_run_branch(lake, Ownership(run_id="r1", target="main", base=base), source="main")
        lake.commit(run_branch("r1"), {"models/w": BIG + b"w"}, message="weights")
    age(lake)


def commit(folder: Path) -> None:
    open_lake(folder).commit(
        "main", {"raw/a.bin": BIG + b"2", "raw/new.csv": BIG, "small": b"2", "gone/x": None}, message="changes"
    )


def table(folder: Path) -> None:
    overwrite(open_catalog(open_lake(folder)), "marts.apps", rows(10, 11))


def merge(folder: Path) -> None:
    open_lake(folder).merge("side", message="merge side")


def transaction(folder: Path) -> None:
    lake = open_lake(folder)
    with lake.transaction("main", message="both") as branch:
        lake.commit(branch, {"raw/tx.bin": BIG + b"tx"}, message="half")
        overwrite(open_catalog(lake, branch), "marts.apps", rows(20))


def publish(folder: Path) -> None:
    """As the executor does it: the owner moves to `publishing`, one merge without the marker, the branch goes."""
    lake = open_lake(folder)
    branch = run_branch("r1")
    if branch not in lake.branches():
        return
    transition(lake, branch, lambda owner: _publishing(owner), message="publishing")
    lake.merge(branch, "main", message="publish r1", metadata={"run": "r1"}, resolved={OWNER_PATH: None})
    assert read_ownership(lake, "main") is None
    lake.delete_branch(branch)


def _publishing(owner: Ownership) -> Ownership:
    from dataclasses import replace

    return replace(owner, state="publishing")


def gc(folder: Path) -> None:
    collect_garbage(open_lake(folder), delete=True, grace_hours=1.0)


def gc_history(folder: Path) -> None:
    collect_garbage(open_lake(folder), delete=True, grace_hours=1.0, history_days=0)


def packing(folder: Path) -> None:
    pack(GitStore(LakeFolder(folder)))


def compaction(folder: Path) -> None:
    compact(open_catalog(open_lake(folder)), "marts.apps")


def expiry(folder: Path) -> None:
    expire_snapshots(open_catalog(open_lake(folder)), "marts.apps", older_than_days=0)


ACTS: dict[str, Callable[[Path], None]] = {
    act.__name__: act
    for act in (commit, table, merge, transaction, publish, gc, gc_history, packing, compaction, expiry)
}
"""By name."""
