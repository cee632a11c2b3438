"""The toy line in a process of its own, which may kill itself: `python -m tests.toy_run HOME POINT`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAKE_WRITES = ("create_branch", "commit", "merge", "delete_branch")
"""The calls that change a lake; POINT `<n>` dies right after the n-th of them."""


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(function: Callable[..., Any], act: Callable[[], None]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        act()
        return result

    return wrapped


def arm(point: str) -> None:
    """Make this process die at a point: the n-th lake write, before the n-th change of the disk (`disk <n>`), or after
    a function of `Publisher.finish`."""
    from dfp_platform.lake.embedded import EmbeddedLake
    from dfp_platform.publishing import executor, publication

    if point.isdigit():
        left = [int(point)]

        def count() -> None:
            left[0] -= 1
            if left[0] == 0:
                die()

        for name in LAKE_WRITES:
            setattr(EmbeddedLake, name, after(getattr(EmbeddedLake, name), count))
    elif point.startswith("disk "):
        from tests import crash_run

        crash_run.arm(int(point.removeprefix("disk ")))
    elif point == "promotions":
        executor.settle = after(executor.settle, die)
    elif point == "pages":
        publication.tell_truth = after(publication.tell_truth, die)


def main(home: Path, point: str) -> int:
    os.environ["DFP_HOME"] = str(home)
    from dfp_platform.publishing.launch import run_job
    from dfp_platform.resources.dagster_internals import ASSET_JOB, project_instance
    from dfp_platform.settings import PROJECT_ROOT

    with project_instance(PROJECT_ROOT, home / "dagster") as instance:
        arm(point)
        return 0 if run_job(job=ASSET_JOB, instance=instance, module="tests.toy_line").success else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
