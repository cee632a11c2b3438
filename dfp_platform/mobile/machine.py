"""The machine a measurement runs on: what it is, one core of it, and what it tells about a process."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfp_platform.models.records import Record

_RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")


class Machine(Record):
    """Where it was measured: figures of two machines are not compared."""

    cpu: str
    cores: int
    system: str
    python: str


def this_machine() -> Machine:
    """The machine this process runs on."""
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


@contextmanager
def one_core() -> Iterator[int | None]:
    """Inside, this thread runs on the last core it may use; gives its number, None where none can be chosen."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    core = max(before)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)


def preemptions() -> int:
    """Involuntary context switches so far, of this thread where the system tells, else of the process."""
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nivcsw


def energy_uj() -> float | None:
    """The processor's counter of microjoules (RAPL), which now and then begins anew; None: not readable."""
    try:
        return float(_RAPL.read_text())
    except (OSError, ValueError):
        return None


def resident_bytes() -> int:
    """Memory of this process that is in RAM now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def forget_peak() -> None:
    """Let `peak_bytes` count from now on, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_bytes() -> int:
    """Largest memory of this process in RAM since `forget_peak`, or since it began where that cannot be forgotten."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1_024
    unit = 1 if platform.system() == "Darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
