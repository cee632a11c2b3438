"""adb, the one program that talks to phones: its calls, and its failures as errors of ours."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from dfp_platform.errors import ConfigurationError, DeviceBusyError
from dfp_platform.mobile.device import (
    PACKAGE,
    Attached,
    Heat,
    Instrumentation,
    Properties,
    attached,
    heat,
    properties,
    trouble,
)

_SHORT = 60.0
_LONG = 300.0
_LOG_LINES = 80


def adb_program(configured: str) -> str:
    """Path of adb.

    Raises:
        ConfigurationError: there is none.
    """
    found = shutil.which(configured)
    if found is None:
        raise ConfigurationError(
            f"there is no program {configured!r} to talk to phones with",
            hint="install it (Debian and Ubuntu: apt install adb), or name it: DFP_ADB=/path/to/adb",
            setting="adb",
        )
    return found


def devices(program: str) -> list[Attached]:
    """Every device that adb sees, whatever its state. Starts adb's server if none runs."""
    return attached(_called([program, "devices", "-l"], "adb", timeout=_SHORT))


class Adb:
    """One device by its serial."""

    def __init__(self, program: str, serial: str) -> None:
        self.serial = serial
        self._command = [program, "-s", serial]

    def shell(self, *words: str, timeout: float = _SHORT) -> str:
        """What a command on the device printed. Raises as `device.trouble` says."""
        return self._call("shell", *words, timeout=timeout)

    def install(self, apk: Path) -> None:
        """Put the app there, or a newer one in its place. Raises DeviceError, DiskFullError."""
        said = self._call("install", "-r", str(apk), timeout=_LONG)
        if "Success" not in said:
            raise trouble(("install",), said, self.serial)

    def uninstall(self) -> None:
        """Remove the app and all it holds."""
        self._call("uninstall", PACKAGE, timeout=_LONG)

    def installed(self) -> bool:
        """Whether the app is there."""
        return self.shell(f"pm path {PACKAGE} || true").startswith("package:")

    def push(self, source: Path, target: str) -> None:
        """Copy a folder's content to a folder of the device. Raises DiskFullError."""
        self._call("push", f"{source}/.", target, timeout=_LONG)

    def pull(self, source: str, target: Path) -> None:
        """Copy a file or folder from the device."""
        self._call("pull", source, str(target), timeout=_LONG)

    def properties(self) -> Properties:
        """What the device is."""
        return properties(self.shell("getprop"))

    def heat(self) -> Heat:
        """How warm it is."""
        return heat(self.shell("dumpsys", "battery"), self.shell("dumpsys thermalservice || true"))

    def log(self) -> str:
        """The last lines of the device's log. Raises DeviceBusyError: it went away."""
        self.shell("true")  # logcat would wait for the device to come back
        return self._call("logcat", "-d", "-t", str(_LOG_LINES), timeout=_SHORT)

    def instrument(
        self, arguments: dict[str, str], *, timeout: float, progress: Callable[[dict[str, str]], None]
    ) -> Instrumentation:
        """Run the app without its screen, and read what it prints meanwhile.

        Args:
            arguments: what the app is told.
            timeout: seconds after which it is stopped.
            progress: called with the newest status.
        Raises:
            DeviceBusyError: it took longer.
        """
        words = [word for name, value in arguments.items() for word in ("-e", name, value)]
        command = [*self._command, "shell", "am", "instrument", "-w", "-r", *words, f"{PACKAGE}/.LabInstrumentation"]
        late = threading.Event()
        run, said = Instrumentation(), []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            timer = threading.Timer(timeout, lambda: (late.set(), process.kill()))
            timer.start()
            try:
                for line in process.stdout or ():
                    said.append(line)
                    if run.read(line):
                        progress(run.status)
            except BaseException:
                process.kill()
                raise
            finally:
                timer.cancel()
        if late.is_set():
            raise DeviceBusyError(
                f"the app on {self.serial} did not end within {timeout:.0f} s",
                hint="keep the phone awake and unlocked, then run again; --timeout gives it longer",
                situation="timeout",
                serial=self.serial,
            )
        if run.code is None and not run.result and process.returncode:
            raise trouble(("shell", "am"), "".join(said), self.serial)
        return run

    def _call(self, *words: str, timeout: float) -> str:
        return _called([*self._command, *words], self.serial, timeout=timeout)


def _called(command: Sequence[str], serial: str, *, timeout: float) -> str:
    words = tuple(command[3:] if command[1:2] == ["-s"] else command[1:])
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise DeviceBusyError(
            f"adb {words[0]} did not answer within {timeout:.0f} s on {serial}",
            hint="unplug the phone and plug it in again; adb kill-server ends a server that hangs",
            situation="timeout",
            serial=serial,
        ) from error
    if done.returncode:
        raise trouble(words, done.stdout + done.stderr, serial)
    return done.stdout
