"""What adb says, in our words; and rows of the Android lab at the border."""

from __future__ import annotations

import json
import zipfile

import pytest

from dfp_platform.errors import (
    ConfigurationError,
    DeviceBusyError,
    DeviceError,
    DiskFullError,
    InputError,
    NotFoundError,
)
from dfp_platform.mobile.device import (
    Apk,
    Attached,
    Heat,
    Instrumentation,
    apk_contents,
    attached,
    check_abi,
    chosen,
    ended,
    heat,
    properties,
    trouble,
)
from dfp_platform.mobile.device_row import DeviceRow, benchmark_fields, checked, of_one_kind, read_rows, schema
from dfp_platform.settings import PROJECT_ROOT
from tests.device_rows import ROW

DEVICES = """* daemon started successfully
List of devices attached
28121FDH2000XY         device usb:1-1 product:panther model:Pixel_7 device:panther transport_id:1
emulator-5554\toffline
R58M\tunauthorized usb:1-2 transport_id:3
????????????           no permissions (missing udev rules?); see [http://developer.android.com/tools/device.html]

"""


def test_devices_and_their_states_are_read():
    assert attached(DEVICES) == [
        Attached("28121FDH2000XY", "device", "Pixel_7"),
        Attached("emulator-5554", "offline"),
        Attached("R58M", "unauthorized"),
        Attached("????????????", "no permissions"),
    ]
    assert attached("List of devices attached\n\n") == []


def test_the_only_device_is_chosen_and_the_named_one_of_several():
    devices = attached(DEVICES)
    assert chosen(devices[:1], None).serial == "28121FDH2000XY"
    assert chosen(devices, "28121FDH2000XY").model == "Pixel_7"


@pytest.mark.parametrize(
    ("devices", "serial", "kind", "says"),
    [
        ([], None, NotFoundError, "adb sees no device"),
        (attached(DEVICES), None, ConfigurationError, "--serial 28121FDH2000XY"),
        (attached(DEVICES), "nobody", NotFoundError, "devices it sees: 28121FDH2000XY, emulator-5554"),
        (attached(DEVICES), "R58M", DeviceError, "allow USB debugging"),
        (attached(DEVICES), "emulator-5554", DeviceBusyError, "emulator-5554 is offline"),
        (attached(DEVICES), "????????????", DeviceError, "udev"),
    ],
)
def test_a_device_that_cannot_be_used_says_why_and_what_next(devices, serial, kind, says):
    with pytest.raises(kind) as raised:
        chosen(devices, serial)
    assert says in str(raised.value)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("[ro.hardware]: [ranchu]", "emulator"),
        ("[ro.kernel.qemu]: [1]\n[ro.hardware]: [qcom]", "emulator"),
        ("[ro.boot.qemu]: [1]", "emulator"),
        ("[ro.hardware]: [tensor]\n[ro.kernel.qemu]: []", "phone"),
        ("", "phone"),
    ],
)
def test_emulators_and_phones_are_told_apart(told, kind):
    assert properties(told).kind == kind


def test_properties_are_read():
    told = properties("[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]\n[ro.product.model]: [Pixel 7]\n")
    assert (told.model, told.abis) == ("Pixel 7", ("arm64-v8a", "armeabi-v7a"))


def test_heat_is_read_or_unknown():
    assert heat("  temperature: 312\n", "IsStatusOverride: false\nThermal Status: 1\n") == Heat(31.2, 1)
    assert heat("  temperature: -15\n", "Can't find service: thermalservice") == Heat(-1.5, None)
    assert heat("", "") == Heat(None, None)


@pytest.mark.parametrize(
    ("command", "said", "kind", "situation", "says"),
    [
        (("push",), "adb: error: failed to copy 'a' to 'b': No space left on device", DiskFullError, None, "free some"),
        (("install",), "Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]", DiskFullError, None, "no room"),
        (("install",), "Failure [INSTALL_FAILED_NO_MATCHING_ABIS: res=-113]", DeviceError, "wrong_abi", "lab.toml"),
        (("install",), "Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures do not match]", DeviceError,
         "install_refused", "adb uninstall dev.dfp.lab"),
        (("install",), "Failure [INSTALL_FAILED_USER_RESTRICTED]", DeviceError, "install_refused", "Install via USB"),
        (("install",), "Failure [INSTALL_FAILED_OLDER_SDK]", DeviceError, "install_refused", "Android 8.0"),
        (("install",), "Failure [INSTALL_PARSE_FAILED_NOT_APK]", DeviceError, "install_refused", "documentation"),
        (("shell", "ls"), "error: device 'X' not found", DeviceBusyError, "offline", "plug it in"),
        (("shell", "ls"), "error: closed", DeviceBusyError, "offline", "plug it in"),
        (("shell", "ls"), "error: device unauthorized.", DeviceError, "unauthorised", "allow USB debugging"),
        (("pull", "/a", "b"), "adb: error: '/a' does not exist", DeviceError, "adb_failed", "adb -s X pull"),
    ],
)  # fmt: skip
def test_what_adb_complains_of_is_translated(command, said, kind, situation, says):
    error = trouble(command, said, "X")
    assert type(error) is kind
    assert error.fields.get("situation") == situation
    assert says in str(error)


def test_instrumentation_is_read_line_by_line():
    run = Instrumentation()
    lines = [
        "INSTRUMENTATION_STATUS: dfp_stage=queries",
        "INSTRUMENTATION_STATUS: dfp_done=2",
        "INSTRUMENTATION_STATUS_CODE: 0",
    ]
    assert [run.read(line + "\n") for line in lines] == [False, False, True]
    assert run.status == {"dfp_stage": "queries", "dfp_done": "2"}
    assert run.crashed, "it has not ended yet"
    run.read("INSTRUMENTATION_RESULT: dfp_row=/sdcard/a=b.json")
    run.read("INSTRUMENTATION_CODE: -1")
    assert ended(run, "measured ae", "X", log="") == {"dfp_row": "/sdcard/a=b.json"}


@pytest.mark.parametrize(
    "lines",
    [
        ["INSTRUMENTATION_RESULT: shortMsg=Process crashed.", "INSTRUMENTATION_CODE: 0"],
        ["INSTRUMENTATION_FAILED: dev.dfp.lab/.LabInstrumentation"],
        [],
    ],
)
def test_a_crash_comes_with_the_phones_log(lines):
    run = Instrumentation()
    for line in lines:
        run.read(line)
    with pytest.raises(DeviceError, match="E AndroidRuntime: boom") as raised:
        ended(run, "measured ae", "X", log="E AndroidRuntime: boom\n")
    assert raised.value.fields["situation"] == "app_crashed"


def test_what_the_app_could_not_do_is_its_own_words():
    run = Instrumentation(result={"dfp_error": "no runtime"}, code=0)
    with pytest.raises(DeviceError, match="gave up while it measured ae: no runtime"):
        ended(run, "measured ae", "X", log="")


def test_an_apk_tells_its_runtimes_and_instruction_sets(tmp_path):
    file = tmp_path / "lab.apk"
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("lib/arm64-v8a/libtensorflowlite_jni.so", "lib/x86_64/libexecutorch.so", "lib/x86_64/libfbjni.so"):
            archive.writestr(name, b"")
    apk = apk_contents(file)
    assert (apk.runtimes, apk.abis) == ({"litert", "executorch"}, {"arm64-v8a", "x86_64"})
    check_abi(apk, properties("[ro.product.cpu.abilist]: [arm64-v8a]"), "X")
    with pytest.raises(DeviceError, match="X runs armeabi-v7a"):
        check_abi(apk, properties("[ro.product.cpu.abilist]: [armeabi-v7a]"), "X")
    check_abi(Apk(file, frozenset(), frozenset()), properties(""), "X")
    file.write_bytes(b"no zip")
    with pytest.raises(DeviceError, match="no APK"):
        apk_contents(file)
    with pytest.raises(NotFoundError, match="make apk"):
        apk_contents(tmp_path / "nothing")


def test_rows_read_back_in_order_and_what_is_no_row_is_named(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.json").write_text(json.dumps(ROW | {"artifact": name}))
    assert [row.artifact for row in read_rows(tmp_path)] == ["a", "b"]
    (tmp_path / "c.json").write_text(json.dumps(ROW | {"p50_us": None}))
    with pytest.raises(InputError, match=r"c\.json holds no row of the Android lab: p50_us"):
        read_rows(tmp_path)
    (tmp_path / "c.json").write_text(json.dumps({**ROW, "invented": 1}))
    with pytest.raises(InputError, match="invented"):
        read_rows(tmp_path)


@pytest.mark.parametrize(
    "fact", ["soc", "governor", "cpuset", "battery_celsius_before", "thermal_headroom_after", "charging"]
)
def test_an_unreadable_fact_is_null(fact):
    row = DeviceRow.model_validate(ROW | {fact: None})
    assert getattr(row, fact) is None
    assert DeviceRow.from_json(row.to_json()) == row


def test_a_row_of_another_kind_file_or_protocol_is_refused():
    row = DeviceRow.model_validate(ROW)
    assert checked(row, kind="phone", sha256=row.artifact_sha256) is row
    with pytest.raises(DeviceError, match="never mixed"):
        checked(row, kind="emulator")
    with pytest.raises(DeviceError, match="another file"):
        checked(row, sha256="0" * 64)
    with pytest.raises(DeviceError, match="protocol 0"):
        checked(row.model_copy(update={"protocol_version": "0"}))


def test_a_row_has_the_names_that_hosts_rows_have_and_invents_nothing():
    row = DeviceRow.model_validate(ROW | {"soc": None, "valid": False, "reasons": ["hot", "noisy"]})
    told = benchmark_fields(row)
    assert (told["device"], told["soc"], told["os_build"]) == ("Made up Phone", "", "Android 14, made/up")
    assert (told["reasons"], told["cold_loads"], told["core"]) == (("hot", "noisy"), 3, None)
    assert told["p50_us"] == row.p50_us


def test_phones_and_emulators_stay_apart():
    rows = [DeviceRow.model_validate(ROW | {"kind": kind}) for kind in ("phone", "emulator", "phone")]
    assert {kind: len(found) for kind, found in of_one_kind(rows).items()} == {"phone": 2, "emulator": 1}


def test_the_published_schema_is_that_of_the_record():
    """Write it anew: python -c 'from dfp_platform.mobile.device_row import schema; print(schema().decode(), end="")'"""
    assert (PROJECT_ROOT / "docs" / "schemas" / "device_row.json").read_bytes() == schema()
