"""Acts on a lake whose disk refuses: `python -m tests.trouble_run FOLDER CASES`, one JSON object a case.

A case is an act, a trouble and an amount. Everything is imported once, and each case is a fork.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
from typing import Any

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.collection import collect_garbage
from dfp_platform.lake import Lake, open_lake
from dfp_platform.probes.lake import write_and_forget
from dfp_platform.settings import Settings
from tests.crash_run import in_child
from tests.garbage import rows


def act_on(lake: Lake, act: str) -> None:
    """One change of the lake."""
    if act == "commit":
        lake.commit("main", {"raw/a.bin": b"big" * 100_000 + b"2", "small": b"2"}, message="2")
    elif act == "merge":
        lake.merge("side", message="merge")
    elif act == "branch":
        lake.create_branch("young")
    elif act == "smoke test":
        write_and_forget(Settings(_env_file=None, lake=lake.uri), 5.0)
    elif act == "gc":
        collect_garbage(lake, delete=True, grace_hours=0)
    else:
        overwrite(open_catalog(lake), "marts.apps", rows(2, 2, 2))


def begin(trouble: str, amount: int) -> None:
    """From now on the disk refuses: after so many syncs, beyond so many bytes a file, or any write at all."""
    if trouble == "full when synced":
        left, synced = [amount], os.fsync

        def full(descriptor: int) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            synced(descriptor)

        os.fsync = full
    elif trouble == "full at size":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (amount, resource.RLIM_INFINITY))
    elif os.geteuid() == 0:
        os.seteuid(65534)  # root may write anywhere


def attempted(folder: str, act: str, trouble: str, amount: int) -> dict[str, Any]:
    """What an act answers under a trouble, and what can be read meanwhile."""
    lake = open_lake(folder)
    begin(trouble, amount)
    try:
        act_on(lake, act)
        answer: dict[str, Any] = {"error": None}
    except Exception as error:
        answer = {"error": type(error).__name__, "text": str(error), "next": getattr(error, "hint", "")}
    again = open_lake(folder)
    answer["read"] = again.read("main", "small").decode()
    answer["rows"] = open_catalog(again).load_table("marts.apps").scan().to_arrow()["number"].to_pylist()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return answer


if __name__ == "__main__":
    for case in json.loads(sys.argv[2]):
        status, said = in_child(lambda case=case: attempted(sys.argv[1], *case))
        print(json.dumps(said if status == 0 else {"error": f"exit {status}"}), flush=True)
