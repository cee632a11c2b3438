"""The Android lab, built and tested for real by `make apk`: Java 17, Maven, Debian's aapt, adb, apksigner, zipalign.

The JVM runs the app's protocol and its ONNX runner on a model that dfp exported here; the APK is looked into by the
tools that an installer's checks come from. No phone and no emulator takes part.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.errors import DeviceBusyError
from dfp_platform.mobile.adb import Adb, adb_program, devices
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.device import apk_contents, chosen
from dfp_platform.mobile.device_row import checked, read_rows
from dfp_platform.mobile.device_run import Plan, measure
from dfp_platform.mobile.device_session import PhoneSession, phone_session
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from dfp_platform.settings import PROJECT_ROOT
from tests.adbd_double import daemon
from tests.android_project import lab
from tests.apps import tiny_table
from tests.configured import tiny
from tests.device_rows import ROW

BUILD = PROJECT_ROOT / "android_lab" / "build.py"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    """The folder of a session, as it lies on a phone."""
    data = TrainingData.from_arrow(tiny_table())
    artifact = EXPORTERS["onnx"].export(train(data, tiny("ae_small"), synthetic=True, progress=False).files)
    folder = tmp_path_factory.mktemp("sessions") / "20261126T100000Z-test"
    made = phone_session(
        {"autoencoder_onnx": artifact},
        data.test,
        name=folder.name,
        commit="c" * 40,
        champion_model=artifact.card.model,
    )
    for name, content in made.files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def apk() -> Path:
    """The APK that `dfp device run` installs."""
    done = subprocess.run([sys.executable, str(BUILD), "apk"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    return PROJECT_ROOT / "android_lab" / "build" / "dfp-lab.apk"


@pytest.fixture
def phone(tmp_path, monkeypatch) -> Iterator[str]:
    """The serial of a device that the real adb sees; it runs on this machine, its app is the tests' double."""
    programs, place = tmp_path / "programs", tmp_path / "phone"
    programs.mkdir()
    place.mkdir()
    (place / "device").symlink_to("/")
    home = str(tmp_path / "sdcard")
    script = {"home": home, "temperatures": [301], "row": ROW, "devices": []}
    script["properties"] = {"ro.hardware": "tensor", "ro.product.cpu.abilist": "arm64-v8a"}
    (place / "script.json").write_text(json.dumps(script))
    double = PROJECT_ROOT / "tests" / "adb_double.py"
    for name in ("am", "pm", "getprop", "dumpsys", "logcat"):
        act = name if name == "logcat" else f"shell {name}"
        line = f'ADB_DOUBLE="{place}" exec "{sys.executable}" -IS "{double}" -s double {act} "$@"'
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setattr("dfp_platform.mobile.device_run.HOME", home)
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free.getsockname()[1]))
    with daemon(programs) as serial:
        assert "connected to" in asked("adb", "connect", serial)
        yield serial
        asked("adb", "kill-server")


def asked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_jvm_tests_pass_and_java_says_what_python_says(session):
    done = subprocess.run(
        [sys.executable, str(BUILD), "test", "--session", str(session)], capture_output=True, text=True
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    passed = re.search(r"(\d+) tests successful", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 44
    [row] = [checked(row, kind="phone") for row in read_rows(session / "results")]
    assert (row.runtime, row.parity_flipped, row.parity_rows) == ("ONNX Runtime", 0, 256)
    assert row.parity_largest_difference <= 2e-5


def test_the_real_adb_installs_pushes_runs_pulls_and_cleans_up(phone, session, apk, tmp_path):
    """What a scripted adb cannot show: that adb takes our arguments, and what it makes of folders and exit codes."""
    program = adb_program("adb")
    adb = Adb(program, chosen(devices(program), phone).serial)
    files = {f.relative_to(session).as_posix(): f.read_bytes() for f in session.rglob("*") if f.is_file()}
    artifact = MobileArtifact.from_files(
        {name: files[f"autoencoder_onnx/{name}"] for name in ("card.json", "model.onnx")}
    )
    pushed = PhoneSession("20261126T100000Z-adb", {"autoencoder_onnx": artifact}, files)
    told: list[str] = []
    outcome = measure(
        adb,
        apk_contents(apk),
        pushed,
        Plan(mode="full"),
        tell=lambda what, done, total: told.append(f"{what} {done}/{total}"),
        note=told.append,
        output=tmp_path / "rows",
    )
    assert outcome.failures == {}
    assert outcome.rows == read_rows(tmp_path / "rows")
    assert [row.session for row in outcome.rows] == [pushed.name]
    assert "autoencoder_onnx: queries 3/4" in told
    assert not adb.installed()
    assert [file for file in (tmp_path / "sdcard").rglob("*") if file.is_file()] == []
    with pytest.raises(DeviceBusyError, match="went away"):
        Adb(program, "127.0.0.1:1").shell("true")


def test_the_apk_is_signed_for_every_android_it_is_for(apk):
    said = asked("apksigner", "verify", "--verbose", "--min-sdk-version", str(lab()["app"]["min_sdk"]), str(apk))
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in said
    assert "Number of signers: 1" in said


def test_the_apk_is_the_app_that_lab_toml_describes(apk):
    app, said = lab()["app"], asked("aapt", "dump", "badging", str(apk))
    assert (
        f"package: name='{app['package']}' versionCode='{app['version_code']}' versionName='{app['version']}'" in said
    )
    assert f"sdkVersion:'{app['min_sdk']}'" in said
    assert f"targetSdkVersion:'{app['target_sdk']}'" in said
    assert "launchable-activity: name='dev.dfp.lab.MainActivity'" in said
    tree = asked("aapt", "dump", "xmltree", str(apk), "AndroidManifest.xml")
    assert "dev.dfp.lab.LabInstrumentation" in tree
    assert "uses-permission" not in tree, "the lab asks for no rights"


def test_the_apk_holds_the_code_and_the_libraries_of_its_runtimes(apk):
    contents = apk_contents(apk)
    assert "litert" in contents.runtimes
    assert contents.abis == set(lab()["app"]["abis"]) == {"arm64-v8a", "x86_64"}
    with zipfile.ZipFile(apk) as archive:
        dex = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".dex"))
        for name in archive.namelist():
            if name.endswith(".so"):
                assert archive.read(name)[:4] == b"\x7fELF", name
    for name in ("LabInstrumentation", "MainActivity", "CompareActivity", "protocol/Protocol", "runtimes/LiteRtRunner"):
        assert f"Ldev/dfp/lab/{name};".encode() in dex, name
    assert b"Lorg/tensorflow/lite/Interpreter;" in dex
    assert (b"Ldev/dfp/lab/runtimes/OnnxRuntimeRunner;" in dex) == ("onnxruntime" in contents.runtimes)
    assert b"Lorg/junit" not in dex
    assert b"Landroid/os/Build$VERSION_CODES;" not in dex, "its newer constants are not on older phones"


def test_what_android_maps_from_the_apk_is_stored_and_aligned(apk):
    asked("zipalign", "-c", "-p", "4", str(apk))
    with zipfile.ZipFile(apk) as archive:
        assert archive.getinfo("resources.arsc").compress_type == zipfile.ZIP_STORED
