"""`dfp device …`: exported models measured on phones, by adb."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.progress import counting
from dfp_platform.cli.questions import AtRef
from dfp_platform.cli.screen import Json, err, out, print_json, print_table
from dfp_platform.errors import DeviceError
from dfp_platform.schemas import MAIN

if TYPE_CHECKING:
    from dfp_platform.mobile.adb import Adb
    from dfp_platform.mobile.device_row import DeviceRow
    from dfp_platform.mobile.device_session import PhoneSession

Serial = Annotated[str | None, typer.Option(help="Serial of the device, where adb sees several.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the rows; else devices/ in DFP_HOME.")]

app = typer.Typer(help="Exported models on phones: find, measure, collect.", no_args_is_help=True)


@app.command("list")
def list_devices(as_json: Json = False) -> None:
    """The devices that adb sees: what they are, and whether they can be measured on."""
    from dfp_platform.mobile.adb import Adb, adb_program, devices
    from dfp_platform.settings import settings

    program = adb_program(settings().adb)
    listed: list[dict[str, Any]] = []
    for device in devices(program):
        found: dict[str, Any] = {"serial": device.serial, "state": device.state, "model": device.model}
        if device.state == "device":
            adb = Adb(program, device.serial)
            told = adb.properties()
            found |= {"kind": told.kind, "model": told.model, "android": told.android, "abis": list(told.abis)}
            found["celsius"] = adb.heat().celsius
        listed.append(found)
    if as_json:
        return print_json(listed)
    if not listed:
        return err().print("adb sees no device: plug a phone in and switch on USB debugging in its Developer options")
    columns = ("serial", "state", "kind", "model", "android", "abis", "celsius")
    return print_table(columns, [[_cell(found.get(name)) for name in columns] for found in listed])


def _cell(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value


@app.command()
def run(
    ref: AtRef = MAIN,
    serial: Serial = None,
    runtime: Annotated[
        list[str] | None, typer.Option(help="Only this runtime: litert, onnxruntime, executorch; may be repeated.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full/--quick", help="Five seconds of queries an artifact, or a quarter of one.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads that a query may use.")] = 1,
    apk: Annotated[Path | None, typer.Option(help="The app; else the one that `make apk` built.")] = None,
    cool_below: Annotated[
        float, typer.Option(help="Wait until the battery is below this, in °C; 0: do not wait.")
    ] = 35,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for that.")] = 900,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one artifact may take.")] = 180,
    keep: Annotated[bool, typer.Option("--keep", help="Leave app and models there, to be used by hand.")] = False,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Install the app, measure every exported model of the lake on a device, bring the rows here, and clean up."""
    from dfp_platform.mobile.device import apk_contents
    from dfp_platform.mobile.device_run import Plan, measure
    from dfp_platform.settings import PROJECT_ROOT

    contents = apk_contents(apk or PROJECT_ROOT / "android_lab" / "build" / "dfp-lab.apk")
    adb = _device(serial)
    session = _session(ref, runtime or [], contents.runtimes)
    place = (output or _rows_folder()) / session.name
    plan = Plan("full" if full else "quick", threads, cool_below or None, patience, timeout, keep)
    with counting() as tell:
        note = lambda sentence: err().print(sentence, markup=False)  # noqa: E731
        outcome = measure(adb, contents, session, plan, tell=tell, note=note, output=place)
    _report(outcome.rows, place, as_json=as_json, failures={n: e.message for n, e in outcome.failures.items()})
    if outcome.failures:
        worst = next(iter(outcome.failures.values()))
        raise DeviceError(
            f"{len(outcome.failures)} of {len(session.artifacts)} artifacts were not measured: {worst.message}",
            hint=worst.hint,
            **worst.fields,
        )


@app.command()
def pull(
    serial: Serial = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the rows from the device afterwards.")] = False,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Bring rows here that lie on a device: those measured by hand, in the app."""
    from dfp_platform.mobile.device_run import pulled

    place = output or _rows_folder()
    _report(pulled(_device(serial), place, delete=delete), place, as_json=as_json, failures={})


def _device(serial: str | None) -> Adb:
    from dfp_platform.mobile.adb import Adb, adb_program, devices
    from dfp_platform.mobile.device import chosen
    from dfp_platform.settings import settings

    program = adb_program(settings().adb)
    return Adb(program, chosen(devices(program), serial).serial)


def _session(ref: str, wanted: Sequence[str], built: frozenset[str]) -> PhoneSession:
    """The artifacts of the lake at a ref that the app can run, with rows of the champion's test part."""
    from dfp_platform.mobile.artifact import MobileArtifact
    from dfp_platform.mobile.device_session import artifacts_at, phone_session, selected, unseen_apps
    from dfp_platform.serving.published import published

    lake = opened()
    commit = lake.resolve(ref)
    model = MobileArtifact.from_files(published(lake, commit).files).card.model
    artifacts, lacking = selected(artifacts_at(lake, commit), wanted=wanted, built=built)
    if lacking:
        err().print(f"left out, for the app lacks their runtime: {', '.join(lacking)}", markup=False)
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
    return phone_session(artifacts, unseen_apps(lake, commit, model), name=name, commit=commit, champion_model=model)


def _rows_folder() -> Path:
    from dfp_platform.settings import settings

    return settings().home / "devices"


def _report(rows: Sequence[DeviceRow], place: Path, *, as_json: bool, failures: dict[str, str]) -> None:
    if as_json:
        return print_json({"rows": [row.model_dump() for row in rows], "failures": failures, "folder": place})
    columns = ["artifact", "runtime", "p50 µs", "p90 µs", "p99 µs", "load ms", "flipped", "valid"]
    figures = [
        (
            row.artifact,
            row.runtime,
            row.p50_us,
            row.p90_us,
            row.p99_us,
            row.cold_load_ms,
            row.parity_flipped,
            "yes" if row.valid else "; ".join(row.reasons),
        )
        for row in rows
    ]
    print_table(columns, figures)
    if rows:
        first = rows[0]
        out().print(
            f"{first.kind} {first.manufacturer} {first.device}, lake commit {first.lake_commit[:12]}: {place}",
            markup=False,
        )
    return None
