"""What the Android lab measures: one row a run of one artifact on one device."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dfp_platform.errors import DeviceError, InputError
from dfp_platform.mobile.protocol import PROTOCOL_VERSION
from dfp_platform.models.records import Record

Share = Field(ge=0, le=100)


class DeviceRow(Record):
    """One artifact, measured on one phone or emulator by the protocol of the app; docs/android_lab.md tells how.

    A fact that the device does not tell an app is None. Times of queries are microseconds a single-app query.

    Attributes:
        protocol_version: version of the protocol; rows of different versions are not compared.
        session: the push that the run belongs to; begins with its time (UTC).
        kind: a phone and an emulator are never compared.
        lake_commit: what artifact and rows were read from.
        artifact: noun of its lake path, ``autoencoder_litert``.
        artifact_sha256: digest of the model file, taken on the device.
        exporter: key of the exporter that made it.
        model: name of the model it was exported from.
        precision: number format of its weights.
        size_bytes: size of the model file.
        runtime: what computed; `runtime_version` as it tells it.
        delegate: what computed beside the runtime's own operators; empty: nothing.
        threads: threads that a query may use.
        manufacturer: of the device; `device` is its model's name.
        soc: system on a chip.
        android: version of Android, `sdk` its number, `build` its fingerprint.
        abi: instruction set of the process.
        cores: processors that the process may use.
        governor: who sets the processors' clock; all that are in use, joined by ``+``.
        cpuset: which processors Android let the process use, ``/top-app``.
        app_version: version of the lab.
        mode: how long was measured.
        warm_up: unmeasured queries before the first measured one.
        rounds: parts of the measured queries.
        queries: measured queries.
        seconds: time that the measured queries took, with what lies between them.
        p50_us: median; `p90_us`, `p99_us`, `p999_us` and `max_us` likewise, linear between measured values.
        first_us: the first query after a load.
        import_ms: bringing the runtime's library into the process.
        cold_load_ms: median milliseconds of `cold_loads_ms`, each from file to ready in a process of its own.
        batch: apps that the throughput was measured with, `rows_per_call` of them given to the model at once.
        throughput_apps_s: apps a second, best of the rounds.
        peak_memory_kb: largest resident memory of the whole app so far, Android's runtime included.
        parity_rows: apps whose scores were held against those of the computer, by the same artifact.
        parity_largest_difference: largest difference of two scores.
        parity_flipped: apps whose label differs.
        noise: largest relative difference between the medians of the rounds.
        preemptions: times the system gave the core to someone else meanwhile.
        battery_level_percent: charge; `charging` whether it was plugged in, `power_save` whether battery saver was on.
        battery_celsius_before: temperature of the battery; `battery_celsius_after` likewise.
        thermal_status_before: Android's word for how hot the device is; `thermal_status_after` likewise.
        thermal_headroom_before: share of the way to throttling, 1 is there; `thermal_headroom_after` likewise.
        valid: whether nothing disturbed the measurement; `reasons` say what did.
    """

    protocol_version: str
    session: str
    kind: Literal["phone", "emulator"]
    lake_commit: str
    artifact: str
    artifact_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    exporter: str
    model: str
    precision: Literal["fp32", "fp16", "int8", "int8_static"]
    size_bytes: int = Field(gt=0)
    runtime: str
    runtime_version: str | None
    delegate: str
    threads: int = Field(ge=1)
    manufacturer: str
    device: str
    soc: str | None
    android: str
    sdk: int
    build: str
    abi: str | None
    cores: int = Field(ge=1)
    governor: str | None
    cpuset: str | None
    app_version: str
    mode: Literal["quick", "full"]
    warm_up: int
    rounds: int
    queries: int = Field(ge=1)
    seconds: float = Field(gt=0)
    p50_us: float = Field(ge=0)
    p90_us: float = Field(ge=0)
    p99_us: float = Field(ge=0)
    p999_us: float = Field(ge=0)
    max_us: float = Field(ge=0)
    first_us: float = Field(ge=0)
    import_ms: float = Field(ge=0)
    cold_load_ms: float = Field(ge=0)
    cold_loads_ms: tuple[float, ...] = Field(min_length=1)
    batch: int
    rows_per_call: int = Field(ge=1)
    throughput_apps_s: float = Field(gt=0)
    peak_memory_kb: int | None
    parity_rows: int = Field(ge=1)
    parity_largest_difference: float = Field(ge=0)
    parity_flipped: int = Field(ge=0)
    noise: float = Field(ge=0)
    preemptions: int | None
    battery_level_percent: float | None = Share
    charging: bool | None
    power_save: bool | None
    battery_celsius_before: float | None
    battery_celsius_after: float | None
    thermal_status_before: str | None
    thermal_status_after: str | None
    thermal_headroom_before: float | None
    thermal_headroom_after: float | None
    valid: bool
    reasons: tuple[str, ...]


def schema() -> bytes:
    """JSON schema of a row, as published in docs/schemas/device_row.json."""
    return (json.dumps(DeviceRow.model_json_schema(), indent=1, sort_keys=True) + "\n").encode()


def checked(row: DeviceRow, *, kind: str | None = None, sha256: str | None = None) -> DeviceRow:
    """The row, if it is what was asked for.

    Args:
        kind: what adb says the device is.
        sha256: digest of the model file that was pushed.
    Raises:
        DeviceError: another kind of device, another file, or an app of another protocol.
    """
    if row.protocol_version != PROTOCOL_VERSION:
        raise DeviceError(
            f"the app on the device measures by protocol {row.protocol_version}, this dfp knows {PROTOCOL_VERSION}",
            hint="build the app of this checkout (make apk) and run again",
            situation="other_protocol",
        )
    if kind is not None and row.kind != kind:
        raise DeviceError(
            f"the app says it ran on a {row.kind}, adb says {kind}; the two are never mixed",
            hint="file an issue with the device's `adb shell getprop ro.hardware`",
            situation="mixed",
        )
    if sha256 is not None and row.artifact_sha256 != sha256:
        raise DeviceError(
            f"the device measured another file than {row.artifact} in the lake: {row.artifact_sha256[:12]}",
            hint="run again; if it comes back, the device's storage or the cable is damaged",
            situation="other_file",
        )
    return row


def benchmark_fields(row: DeviceRow) -> dict[str, Any]:
    """The row under the names that rows of hosts have too, for one report; a figure that phones lack is None.

    Memory is left out: a phone tells only that of the whole app, Android's runtime included.
    """
    same = (
        *("kind", "runtime", "exporter", "model", "artifact", "precision", "artifact_sha256", "lake_commit"),
        *(
            "protocol_version",
            "mode",
            "delegate",
            "threads",
            "warm_up",
            "queries",
            "seconds",
            "batch",
            "size_bytes",
            "governor",
        ),
        *("p50_us", "p90_us", "p99_us", "p999_us", "max_us", "throughput_apps_s", "first_us", "cold_load_ms"),
        *("import_ms", "noise", "preemptions", "valid"),
    )
    return {
        **{name: getattr(row, name) for name in same},
        "device": f"{row.manufacturer} {row.device}",
        "soc": row.soc or "",
        "os_build": f"Android {row.android}, {row.build}",
        "core": None,
        "cold_loads": len(row.cold_loads_ms),
        "temperature_before_c": row.battery_celsius_before,
        "temperature_after_c": row.battery_celsius_after,
        "battery_percent": row.battery_level_percent,
        "reasons": row.reasons,
    }


def read_rows(folder: Path) -> list[DeviceRow]:
    """The rows in a folder and those beneath, in the order of session and artifact.

    Raises:
        InputError: a file holds no row.
    """
    return sorted((_read(file) for file in folder.rglob("*.json")), key=lambda row: (row.session, row.artifact))


def _read(file: Path) -> DeviceRow:
    from pydantic import ValidationError

    try:
        return DeviceRow.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{file} holds no row of the Android lab: {place}: {first['msg']}",
            hint="pull it again with an app of this checkout (make apk)",
            file=str(file),
            column=place,
        ) from error


def of_one_kind(rows: Iterable[DeviceRow]) -> dict[str, list[DeviceRow]]:
    """Rows that may be compared, by ``phone`` or ``emulator``."""
    apart: dict[str, list[DeviceRow]] = {}
    for row in rows:
        apart.setdefault(row.kind, []).append(row)
    return apart
