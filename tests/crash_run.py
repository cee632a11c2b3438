"""Acts on a lake by processes that kill themselves: `python -m tests.crash_run FOLDER ACT FIRST STEP`.

One process imports everything and forks a child for every fault point: the k-th call of a function that changes the
disk. It prints one JSON object a point. Nothing of this is known to the product: calls are wrapped from outside.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

OS_CALLS = ("replace", "rename", "link", "unlink", "fsync", "utime", "mkdir", "rmdir", "write")
"""Functions of `os` before each of which a process may die; `write` also half way."""

LAST = 10_000
"""More points than any act has."""


def arm(point: int) -> list[int]:
    """Make this process die at its `point`-th change of the disk; returns the counter."""
    from pyiceberg.io.pyarrow import PyArrowFile

    from dfp_platform.lake import packing
    from dfp_platform.lake.git_store import GitStore

    passed = [0]

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            passed[0] += 1
            if passed[0] == point:
                if function is write:
                    write(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return wrapped

    write = os.write
    for name in OS_CALLS:
        setattr(os, name, before(getattr(os, name)))
    GitStore._write = before(GitStore._write)
    PyArrowFile.create = before(PyArrowFile.create)
    packing._write_pack = before(packing._write_pack)
    return passed


def in_child(act: Callable[[], Any]) -> tuple[int, Any]:
    """Run `act` in a fork; its exit status as `os.waitstatus_to_exitcode` gives it, and what it returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            text = json.dumps(act())
            with open(writing, "w") as out:
                out.write(text)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading) as stream:
        text = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, json.loads(text) if text else None


def looked_at(folder: Path) -> dict[str, Any]:
    """What every branch and tag holds, and what `verify` says."""
    from dfp_platform.catalog import open_catalog
    from dfp_platform.catalog.verification import table_damages
    from dfp_platform.lake import open_lake

    lake = open_lake(folder)
    held: dict[str, Any] = {}
    for ref in [*lake.branches(), *lake.tags()]:
        if ref.startswith("tx-"):
            continue  # of a transaction that died
        catalog = open_catalog(lake, ref)
        held[ref] = {found.path: found.sha256 for found in lake.list(ref) if not found.path.startswith("tables/")}
        held[ref] |= {
            ".".join(name): sorted(catalog.load_table(name).scan().to_arrow()["number"].to_pylist())
            for name in catalog.all_tables()
        }
        for path in held[ref]:
            if "." not in path:
                lake.read(ref, path)
    return {"held": held, "problems": [*lake.verify(), *table_damages(lake)]}


def counted(folder: Path, act: Callable[[Path], None], point: int) -> int:
    """Do the act, dying at a point; the number of points passed if it is not reached."""
    passed = arm(point)
    act(folder)
    return passed[0]


def main(folder: Path, act_name: str, first: int, step: int) -> int:
    import pyarrow.dataset  # noqa: F401  what is imported before the forks is imported once

    from tests import crash_acts

    act = crash_acts.ACTS[act_name]
    template = folder.with_name("template")
    assert in_child(lambda: crash_acts.prepare(folder))[0] == 0, "the lake could not be prepared"
    shutil.copytree(folder, template)
    status, before = in_child(lambda: looked_at(folder))
    assert status == 0
    status, points = in_child(lambda: counted(folder, act, LAST))
    assert status == 0, "the act does not work undisturbed"
    after = in_child(lambda: looked_at(folder))[1]
    print(json.dumps({"points": points, "before": before, "after": after}), flush=True)
    for point in range(first, points + 1, step):
        shutil.rmtree(folder)
        shutil.copytree(template, folder)
        died, _ = in_child(lambda at=point: counted(folder, act, at))
        looked, seen = in_child(lambda: looked_at(folder))
        again, _ = in_child(lambda: act(folder))
        finally_, end = in_child(lambda: looked_at(folder))
        report = {"point": point, "died": died, "looked": looked, "seen": seen, "again": again, "end": end}
        print(json.dumps({**report, "finally": finally_}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
