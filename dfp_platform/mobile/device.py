"""What adb says, in our words: devices, their state, and what went wrong. Nothing here runs anything."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dfp_platform.errors import ConfigurationError, DeviceBusyError, DeviceError, DfpError, DiskFullError, NotFoundError

PACKAGE = "dev.dfp.lab"
RUNTIMES = {"onnx": "onnxruntime", "tflite": "litert", "pte": "executorch"}
"""Suffix of a model file → the runtime that takes it."""

_LIBRARIES = {
    "libonnxruntime.so": "onnxruntime",
    "libtensorflowlite_jni.so": "litert",
    "libexecutorch.so": "executorch",
}
_EMULATORS = ("goldfish", "ranchu", "cutf_cvm", "vbox86")
_NO_SPACE = ("No space left on device", "INSTALL_FAILED_INSUFFICIENT_STORAGE", "not enough space")
_LOST = (
    "device offline",
    "device not found",
    "no devices/emulators found",
    "error: closed",
    "device still authorizing",
)


@dataclass(frozen=True, slots=True)
class Attached:
    """A line of ``adb devices``: `state` is ``device`` for one that answers."""

    serial: str
    state: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Properties:
    """What ``getprop`` tells of a device."""

    kind: str
    model: str
    android: str
    abis: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heat:
    """How warm a device is; None: it does not tell.

    Attributes:
        celsius: temperature of the battery.
        status: Android's thermal status; from 2 on the system slows the processor down.
    """

    celsius: float | None
    status: int | None


@dataclass(frozen=True, slots=True)
class Apk:
    """What an APK has in it: runtimes, and instruction sets of their libraries."""

    file: Path
    runtimes: frozenset[str]
    abis: frozenset[str]


@dataclass(slots=True)
class Instrumentation:
    """What ``am instrument -r`` printed so far, read line by line.

    Attributes:
        status: the newest progress: name → value.
        result: what the app told at its end.
        code: how it ended; -1 is well, None: it did not end by itself.
    """

    status: dict[str, str] = field(default_factory=dict)
    result: dict[str, str] = field(default_factory=dict)
    code: int | None = None

    def read(self, line: str) -> bool:
        """Take one line in; True if it completes a progress."""
        head, _, rest = line.strip().partition(": ")
        name, _, value = rest.partition("=")
        if head == "INSTRUMENTATION_STATUS":
            self.status[name] = value
        elif head == "INSTRUMENTATION_RESULT":
            self.result[name] = value
        elif head == "INSTRUMENTATION_CODE":
            self.code = int(rest)
        elif head == "INSTRUMENTATION_FAILED":
            self.result["shortMsg"] = f"{rest} cannot be started"
        return head == "INSTRUMENTATION_STATUS_CODE"

    @property
    def crashed(self) -> bool:
        """Whether the app's process died, or was never started."""
        return self.code is None or "shortMsg" in self.result


def attached(text: str) -> list[Attached]:
    """The devices in the output of ``adb devices -l``."""
    lines = (
        re.match(r"(\S+)\s+(no permissions|\S+)(.*)", line)
        for line in text.splitlines()
        if "\t" in line or "  " in line
    )
    found = (line for line in lines if line)
    return [Attached(m[1], m[2], _word(m[3], "model")) for m in found if m[1] != "List"]


def _word(text: str, name: str) -> str:
    found = re.search(rf"\b{name}:(\S+)", text)
    return found[1] if found else ""


def chosen(devices: Sequence[Attached], serial: str | None) -> Attached:
    """The device to use: the one named, else the only one.

    Raises:
        NotFoundError: no device, or none of that serial.
        ConfigurationError: several, and none is named.
        DeviceError: it does not trust this computer, or the system does not let us at it.
        DeviceBusyError: it is offline.
    """
    if serial is not None:
        devices = [device for device in devices if device.serial == serial] or _no_device(devices, serial)
    if not devices:
        raise NotFoundError(
            "adb sees no device",
            hint="plug a phone in, switch on USB debugging (Settings, Developer options), then: dfp device list",
        )
    if len(devices) > 1:
        raise ConfigurationError(
            f"adb sees {len(devices)} devices: {', '.join(device.serial for device in devices)}",
            hint="name one: --serial " + devices[0].serial,
            setting="serial",
        )
    return _ready(devices[0])


def _no_device(devices: Sequence[Attached], serial: str) -> Sequence[Attached]:
    seen = ", ".join(device.serial for device in devices) or "none"
    raise NotFoundError(f"adb sees no device {serial}", hint=f"devices it sees: {seen}", serial=serial)


def _ready(device: Attached) -> Attached:
    if device.state == "device":
        return device
    if device.state == "unauthorized":
        raise DeviceError(
            f"{device.serial} does not trust this computer yet",
            hint="unlock the phone and allow USB debugging in the question it shows; if none shows, unplug and plug in",
            situation="unauthorised",
            serial=device.serial,
        )
    if device.state == "no permissions":
        raise DeviceError(
            f"this user may not use the USB device {device.serial}",
            hint="install udev rules for Android (Debian: android-sdk-platform-tools-common), then plug it in again",
            situation="no_permissions",
            serial=device.serial,
        )
    raise DeviceBusyError(
        f"{device.serial} is {device.state}",
        hint="unplug it and plug it in again; if it stays so: adb reconnect, or restart the phone",
        situation="offline",
        serial=device.serial,
    )


def properties(text: str) -> Properties:
    """What the output of ``adb shell getprop`` says."""
    told = dict(re.findall(r"^\[(.+?)\]: \[(.*?)\]", text, re.MULTILINE))
    emulated = "1" in (told.get("ro.kernel.qemu"), told.get("ro.boot.qemu"))
    emulated = emulated or told.get("ro.hardware", "").lower() in _EMULATORS
    return Properties(
        kind="emulator" if emulated else "phone",
        model=told.get("ro.product.model", ""),
        android=told.get("ro.build.version.release", ""),
        abis=tuple(filter(None, told.get("ro.product.cpu.abilist", told.get("ro.product.cpu.abi", "")).split(","))),
    )


def heat(battery: str, thermal: str) -> Heat:
    """What the outputs of ``dumpsys battery`` and ``dumpsys thermalservice`` say."""
    tenths = re.search(r"^\s*temperature: (-?\d+)\s*$", battery, re.MULTILINE)
    status = re.search(r"^\s*Thermal Status: (\d+)", thermal, re.MULTILINE)
    return Heat(int(tenths[1]) / 10 if tenths else None, int(status[1]) if status else None)


def apk_contents(file: Path) -> Apk:
    """What an APK has in it.

    Raises:
        NotFoundError: no such file. DeviceError: it is no APK.
    """
    if not file.is_file():
        raise NotFoundError(
            f"there is no app at {file}", hint="make it: make apk; or name one: --apk FILE", file=str(file)
        )
    try:
        with zipfile.ZipFile(file) as archive:
            places = [
                name.split("/") for name in archive.namelist() if name.startswith("lib/") and name.count("/") == 2
            ]
    except zipfile.BadZipFile as error:
        raise DeviceError(f"{file} is no APK", hint="make it again: make apk", situation="install_refused") from error
    runtimes = frozenset(_LIBRARIES[name] for _, _, name in places if name in _LIBRARIES)
    return Apk(file, runtimes, frozenset(abi for _, abi, _ in places))


def check_abi(apk: Apk, told: Properties, serial: str) -> None:
    """Raises DeviceError: the device runs no instruction set of the APK's libraries."""
    if apk.abis and told.abis and not apk.abis & set(told.abis):
        raise DeviceError(
            f"{serial} runs {', '.join(told.abis)}; the app has libraries for {', '.join(sorted(apk.abis))}",
            hint="add the device's ABI to abis in android_lab/lab.toml, make apk, and run again",
            situation="wrong_abi",
            serial=serial,
        )


def trouble(command: Sequence[str], said: str, serial: str) -> DfpError:
    """The error that a failed adb command's output means."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "nothing")
    if any(word in said for word in _NO_SPACE):
        return DiskFullError(
            f"{serial} has no room for what dfp pushes: {last}",
            hint="free some storage on the phone (an app of 10 MB and a few MB of models are needed), then run again",
            place=serial,
        )
    if "unauthorized" in said:
        return _raised(Attached(serial, "unauthorized"))
    if any(word in said for word in _LOST) or re.search(r"device '.*' not found", said):
        return DeviceBusyError(
            f"{serial} went away: {last}", hint="plug it in again, then run again", situation="offline", serial=serial
        )
    if "INSTALL_FAILED_NO_MATCHING_ABIS" in said:
        return DeviceError(
            f"{serial} runs none of the app's instruction sets",
            hint="add the device's ABI to abis in android_lab/lab.toml, make apk, and run again",
            situation="wrong_abi",
            serial=serial,
        )
    if command[:1] == ("install",) or "INSTALL_" in said:
        return DeviceError(
            f"{serial} refused the app: {last}", hint=_install_hint(said), situation="install_refused", serial=serial
        )
    return DeviceError(
        f"adb {' '.join(command[:2])} failed on {serial}: {last}",
        hint="try it by hand: adb -s " + serial + " " + " ".join(command[:3]),
        situation="adb_failed",
        serial=serial,
    )


def _install_hint(said: str) -> str:
    if "INSTALL_FAILED_UPDATE_INCOMPATIBLE" in said or "signatures do not match" in said:
        return f"an app signed with another key is there; remove it: adb uninstall {PACKAGE}"
    if "USER_RESTRICTED" in said or "INSTALL_FAILED_ABORTED" in said:
        return "allow installing over USB on the phone (Developer options, Install via USB), then run again"
    if "OLDER_SDK" in said:
        return "the app needs Android 8.0 or newer"
    return "look the reason up in Android's documentation of the package installer, then run again"


def _raised(device: Attached) -> DfpError:
    try:
        _ready(device)
    except DfpError as error:
        return error
    raise AssertionError(f"{device} is ready")


def ended(run: Instrumentation, doing: str, serial: str, *, log: str) -> Mapping[str, str]:
    """What the app told at its end.

    Args:
        doing: what it did, "measured autoencoder_litert".
        log: the last lines of the device's log, for a crash.
    Raises:
        DeviceError: the app crashed (the log is attached), or says that it could not.
    """
    if run.crashed:
        reason = run.result.get("longMsg") or run.result.get("shortMsg") or "its process ended without a word"
        raise DeviceError(
            f"the app crashed on {serial} while it {doing}: {reason}\n{log.rstrip()}",
            hint="the lines above are the end of the phone's log; file them as an issue",
            situation="app_crashed",
            serial=serial,
            log=log,
        )
    if "dfp_error" in run.result:
        raise DeviceError(
            f"the app on {serial} gave up while it {doing}: {run.result['dfp_error']}",
            hint="build the app of this checkout (make apk) and run again",
            situation="app_failed",
            serial=serial,
        )
    return run.result
