"""A measurement on a phone from end to end: cool, install, push, run, pull, and leave nothing behind."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dfp_platform.errors import DeviceBusyError, DeviceError, DfpError, NotFoundError
from dfp_platform.mobile.adb import Adb
from dfp_platform.mobile.device import PACKAGE, Apk, Heat, Properties, check_abi, ended
from dfp_platform.mobile.device_row import DeviceRow, checked, read_rows
from dfp_platform.mobile.device_session import PhoneSession

HOME = f"/sdcard/Android/data/{PACKAGE}/files"
"""The app's external files folder: adb and the app both reach it without further rights."""

COLD_LOADS = {"quick": 1, "full": 3}
"""Processes in which a load is measured, by mode; the row has their median."""

_THROTTLED = 2
_POLL = 5.0  # seconds between looks at the temperature

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a device is measured.

    Attributes:
        mode: quick or full, as the app's `Mode`.
        threads: threads that a query may use.
        cool_below: degrees Celsius of the battery that a measurement waits for; None: it does not wait.
        patience: seconds it waits for that.
        timeout: seconds that one artifact may take.
        keep: leave app and session on the device, to be used by hand.
    """

    mode: str = "quick"
    threads: int = 1
    cool_below: float | None = 35.0
    patience: float = 900.0
    timeout: float = 180.0
    keep: bool = False


@dataclass(slots=True)
class Outcome:
    """What came of it: rows, and what went wrong with an artifact, by its noun."""

    rows: list[DeviceRow] = field(default_factory=list)
    failures: dict[str, DeviceError] = field(default_factory=dict)


def measure(
    adb: Adb,
    apk: Apk,
    session: PhoneSession,
    plan: Plan,
    *,
    tell: Tell,
    note: Callable[[str], None],
    output: Path,
) -> Outcome:
    """Measure every artifact of a session on a device; rows appear in `output` as they come.

    An artifact that the app fails at does not keep the others from being measured.

    Args:
        tell: progress: what, how many are done, how many there are.
        note: sentences for a person.
        output: folder that gets one JSON file a row.
    Raises:
        DeviceError, DeviceBusyError, DiskFullError: what keeps all artifacts from being measured.
    """
    told = adb.properties()
    check_abi(apk, told, adb.serial)
    outcome = Outcome()
    with _left_clean(adb, session, keep=plan.keep, note=note):
        tell("installing the app", 0, 0)
        adb.install(apk.file)
        _told(adb, {"act": "prepare"}, "made its folder", plan, lambda _: None)
        tell("pushing models and rows", 0, 0)
        _push(adb, session)
        for noun in session.artifacts:
            cooled(adb, below=plan.cool_below, patience=plan.patience, tell=tell)
            try:
                row = _measured(adb, session, noun, plan, told, tell)
            except DeviceError as error:
                outcome.failures[noun] = error
                note(f"{noun}: {error.message.splitlines()[0]}")
                continue
            output.mkdir(parents=True, exist_ok=True)
            (output / f"{noun}.json").write_bytes(row.to_json())
            outcome.rows.append(row)
    return outcome


@contextmanager
def _left_clean(adb: Adb, session: PhoneSession, *, keep: bool, note: Callable[[str], None]) -> Iterator[None]:
    """Whatever happens, the device ends as it was: without session, rows, running app, and app if it had none."""
    had_app = adb.installed()
    try:
        yield
    finally:
        try:
            adb.shell("am", "force-stop", PACKAGE)
            kept = [f"{HOME}/results/{session.name}"] + ([] if keep else [f"{HOME}/sessions/{session.name}"])
            adb.shell("rm", "-rf", *kept)
            if not had_app and not keep and adb.installed():
                adb.uninstall()
        except DfpError as error:
            note(f"could not clean up on {adb.serial}: {error.message}; when it is back: adb uninstall {PACKAGE}")


def _push(adb: Adb, session: PhoneSession) -> None:
    target = f"{HOME}/sessions/{session.name}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, session.name)  # the scratch folder itself is readable by nobody else
        for name, content in session.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        adb.shell("mkdir", "-p", target)
        adb.push(folder, target)


def cooled(adb: Adb, *, below: float | None, patience: float, tell: Tell) -> Heat:
    """Wait until the device is cool; one that does not tell its temperature counts as cool.

    Raises:
        DeviceBusyError: it stayed warm.
    """
    start = time.monotonic()
    while True:
        heat = adb.heat()
        warm = below is not None and heat.celsius is not None and heat.celsius >= below
        hot = below is not None and heat.status is not None and heat.status >= _THROTTLED
        if not warm and not hot:
            return heat
        waited = time.monotonic() - start
        if waited >= patience:
            raise DeviceBusyError(
                f"{adb.serial} stayed warm for {patience:.0f} s: battery {heat.celsius} °C, "
                f"thermal status {heat.status}; the limit is {below} °C",
                hint="take it off the charger or into the shade, raise --cool-below, or give it longer: --patience",
                situation="hot",
                serial=adb.serial,
            )
        tell(f"cooling down, {heat.celsius} °C", int(waited), int(patience))
        time.sleep(min(_POLL, patience - waited))


def _measured(adb: Adb, session: PhoneSession, noun: str, plan: Plan, told: Properties, tell: Tell) -> DeviceRow:
    """The row of one artifact: loads in processes of their own, then the protocol, then what was pushed is compared."""
    asked = {"session": session.name, "artifact": noun, "threads": str(plan.threads)}
    loads: list[str] = []
    cold = COLD_LOADS[plan.mode]
    for number in range(cold - 1):
        tell(f"{noun}: cold load", number, cold)
        answer = _told(adb, {**asked, "act": "load"}, f"loaded {noun}", plan, lambda _: None)
        loads.append(answer["dfp_cold_load_ms"])

    def progress(status: dict[str, str]) -> None:
        tell(f"{noun}: {status.get('dfp_stage', '')}", int(status.get("dfp_done", 0)), int(status.get("dfp_total", 0)))

    answer = _told(adb, {**asked, "mode": plan.mode, "cold_loads": ",".join(loads)}, f"measured {noun}", plan, progress)
    with tempfile.TemporaryDirectory() as scratch:
        adb.pull(answer["dfp_row"], Path(scratch, "row.json"))
        row = read_rows(Path(scratch))[0]
    sha256 = hashlib.sha256(session.artifacts[noun].data).hexdigest()
    return checked(row, kind=told.kind, sha256=sha256)


def _told(
    adb: Adb, asked: dict[str, str], doing: str, plan: Plan, progress: Callable[[dict[str, str]], None]
) -> dict[str, str]:
    run = adb.instrument(asked, timeout=plan.timeout, progress=progress)
    return dict(ended(run, doing, adb.serial, log=adb.log() if run.crashed else ""))


def pulled(adb: Adb, output: Path, *, delete: bool) -> list[DeviceRow]:
    """Rows that lie on a device, such as those measured by hand, copied to `output`.

    Args:
        delete: remove them from the device afterwards.
    Raises:
        NotFoundError: none lie there. InputError: a file there is no row. DeviceError: see `device_row.checked`.
    """
    if not adb.shell(f"ls {HOME}/results 2>/dev/null || true").strip():
        raise NotFoundError(
            f"no rows lie on {adb.serial}",
            hint="measure there first: in the app (Compare runtimes), after dfp device run --keep",
            serial=adb.serial,
        )
    kind = adb.properties().kind
    with tempfile.TemporaryDirectory() as scratch:
        adb.pull(f"{HOME}/results", Path(scratch, "results"))
        rows = [checked(row, kind=kind) for row in read_rows(Path(scratch))]
    for row in rows:
        place = output / row.session / f"{row.artifact}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(row.to_json())
    if delete:
        adb.shell("rm", "-rf", f"{HOME}/results")
    return rows
