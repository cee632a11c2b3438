"""`dfp device` from the lake to the rows, against a scripted adb; and that a phone is left as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.lake import open_lake
from dfp_platform.mobile.artifact import MobileArtifact, MobileCard
from dfp_platform.mobile.device_row import DeviceRow, read_rows
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from dfp_platform.settings import PROJECT_ROOT, settings
from tests.apps import tiny_table
from tests.configured import tiny
from tests.device_rows import ROW
from tests.dfp_calls import calling
from tests.local_servers import until
from tests.serving_api import EXPORT as CHAMPION

FILES = "device/sdcard/Android/data/dev.dfp.lab/files"
PHONE = {
    "devices": ["PIXEL  device product:panther model:Pixel_7"],
    "properties": {"ro.hardware": "tensor", "ro.product.model": "Pixel 7", "ro.product.cpu.abilist": "arm64-v8a"},
    "temperatures": [301],
    "row": ROW,
}


def small_artifact(data: TrainingData) -> MobileArtifact:
    """A real ONNX model by hand, for an export takes seconds: the score grows with the mean of the features."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceMean", ["features"], ["reconstruction_error"], axes=[1], keepdims=0),
        helper.make_node("Sigmoid", ["reconstruction_error"], ["score"]),
    ]
    rows = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["apps", len(data.features)])
    told = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["apps"]) for name in ("score", "reconstruction_error")
    ]
    graph = helper.make_graph(nodes, "small", [rows], told)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    card = MobileCard(
        name=CHAMPION.partition("/")[2],
        exporter="onnx",
        precision="fp32",
        model="autoencoder",
        weights_sha256="0" * 64,
        device=data.device,
        features=data.features,
        schema_hash=data.schema_hash,
        input="features",
        output="score",
        error_output="reconstruction_error",
        threshold=0.5,
        libraries={},
    )
    return MobileArtifact(card, "model.onnx", model.SerializeToString())


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """The folder of a lake with a model's tables, its weights, and two artifacts for two runtimes."""
    folder = tmp_path_factory.mktemp("kept") / "lake"
    lake, table = open_lake(folder, create=True), tiny_table()
    catalog = open_catalog(lake, "main")
    catalog.create_namespace("marts")
    places = ["time_rank", "time_split"]
    tables = {
        "fct_training_dataset": table.drop_columns(places),
        "split_index": table.select(["sha256", "device", *places]),
    }
    for name, rows in tables.items():
        catalog.create_table(f"marts.{name}", schema=rows.schema).append(rows)
    data = TrainingData.from_arrow(table)
    weights = train(data, tiny("ae_small", "training.epochs=1"), progress=False).files
    onnx = small_artifact(data)
    # the app's double runs nothing, so that a file of another name stands for an artifact of another runtime
    files = {CHAMPION: onnx, f"{CHAMPION.removesuffix('onnx')}litert": replace(onnx, model="model.tflite")}
    objects = {f"{place}/{name}": data for place, artifact in files.items() for name, data in artifact.files.items()}
    objects |= {f"models/{onnx.card.model}/{name}": data for name, data in weights.items()}
    lake.commit("main", objects, message="a model and its artifacts")
    return folder


@pytest.fixture
def phone(tmp_path, monkeypatch):
    """Writes the script of the device that adb sees from now on; without a change it is a phone that works."""
    place, path = tmp_path / "adb", tmp_path / "bin"
    place.mkdir()
    path.mkdir()
    program = path / "adb"
    double = PROJECT_ROOT / "tests" / "adb_double.py"
    program.write_text(f"#!{sys.executable} -IS\n{double.read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("ADB_DOUBLE", str(place))
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")

    def script(**changes):
        (place / "script.json").write_text(json.dumps(PHONE | changes))
        return place

    return script


@pytest.fixture
def apk(tmp_path) -> Path:
    file = tmp_path / "lab.apk"
    with zipfile.ZipFile(file, "w") as archive:
        for library in ("libtensorflowlite_jni.so", "libonnxruntime.so"):
            archive.writestr(f"lib/arm64-v8a/{library}", b"")
    return file


@pytest.fixture
def home(kept, tmp_path, monkeypatch):
    """A state folder of the test's own on the lake that is kept."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DFP_LAKE", str(kept))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


@pytest.fixture
def dfp(home, monkeypatch, capfdbinary):
    """Calls `dfp device` in this process; gives exit code, stdout and stderr."""

    return calling(monkeypatch, capfdbinary, "device")


def calls(place: Path) -> list[str]:
    return [" ".join(json.loads(line)[2:]) for line in (place / "calls.jsonl").read_text().splitlines()]


def is_clean(place: Path) -> bool:
    """Nothing of ours is left on the device, and the app is gone."""
    left = [file for file in (place / "device").rglob("*") if file.is_file()]
    return not left and not (place / "installed").exists()


def test_a_run_brings_a_row_of_every_artifact_and_leaves_the_phone_clean(phone, apk, dfp, home):
    place = phone()
    code, said, complained = dfp("run", "--apk", str(apk), "--threads", "2", "--full", "--json")
    assert code == 0, complained
    told = json.loads(said)
    rows = read_rows(home / "devices")
    assert [row.model_dump(mode="json") for row in rows] == told["rows"]
    assert {row.artifact for row in rows} == {CHAMPION.partition("/")[2], "autoencoder_litert"}
    assert {(row.threads, row.mode, row.kind, row.cold_loads_ms) for row in rows} == {
        (2, "full", "phone", (9.5, 9.5, 11.0))
    }
    assert {row.lake_commit for row in rows} == {open_lake(settings().lake_uri).resolve("main")}
    assert is_clean(place)
    assert calls(place)[-1] == "uninstall dev.dfp.lab"


def test_an_app_that_was_there_stays_and_keep_leaves_the_session_for_use_by_hand(phone, apk, dfp):
    place = phone()
    (place / "installed").touch()
    assert dfp("run", "--apk", str(apk), "--runtime", "litert", "--keep")[0] == 0
    [session] = (place / FILES / "sessions").iterdir()
    assert (place / "installed").exists()
    assert {file.name for file in session.iterdir()} == {"session.json", "rows.csv", "autoencoder_litert"}
    about = json.loads((session / "session.json").read_text())
    assert about["artifacts"] == ["autoencoder_litert"]
    head, first = (session / "rows.csv").read_text().splitlines()[:2]
    artifact = MobileArtifact.from_files(
        {f.name: f.read_bytes() for f in (session / "autoencoder_litert").iterdir() if f.name != "expected.csv"}
    )
    assert head == ",".join(["sha256", "package", *artifact.card.features])
    assert first.count(",") == head.count(",")
    expected = (session / "autoencoder_litert" / "expected.csv").read_text().splitlines()
    assert expected[0] == "score"
    assert len(expected) == len((session / "rows.csv").read_text().splitlines()) == 257
    assert not (place / FILES / "results" / session.name).exists(), "its rows were pulled"


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        ({"devices": []}, 1, "adb sees no device"),
        ({"devices": ["A  device", "B  device"]}, 1, "--serial A"),
        ({"devices": ["A  unauthorized"]}, 1, "allow USB debugging"),
        ({"devices": ["A  offline"]}, 1, "A is offline"),
        ({"properties": {"ro.product.cpu.abilist": "armeabi-v7a"}}, 1, "PIXEL runs armeabi-v7a"),
        ({"fails": {"install": [1, "", "Failure [INSTALL_FAILED_USER_RESTRICTED]"]}}, 1, "Install via USB"),
        ({"fails": {"push": [1, "", "adb: error: failed to copy: No space left on device"]}}, 1, "free some storage"),
        ({"fails": {"push": [1, "", "error: device offline"]}}, 1, "went away"),
        ({"app": {"autoencoder_litert": "crashes"}}, 1, "UnsatisfiedLinkError"),
        ({"lies": {"kind": "emulator"}}, 1, "never mixed"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_with_what_to_do_next_and_the_phone_is_left_clean(phone, apk, dfp, script, code, says):
    place = phone(**script)
    found, _, complained = dfp("run", "--apk", str(apk), "--runtime", "litert")
    assert found == code
    assert says in complained
    assert "next:" in complained
    assert "Traceback" not in complained
    assert is_clean(place)


def test_without_adb_the_error_says_how_to_get_it(apk, dfp, monkeypatch):
    monkeypatch.setenv("DFP_ADB", "no-such-adb")
    code, _, complained = dfp("run", "--apk", str(apk))
    assert code == 1
    assert "apt install adb" in complained
    assert "DFP_ADB" in complained


def test_one_artifact_that_crashes_does_not_keep_the_others_from_being_measured(phone, apk, dfp, home):
    place = phone(app={"autoencoder_litert": "crashes"})
    code, said, complained = dfp("run", "--apk", str(apk), "--json")
    assert code == 1
    assert "1 of 2 artifacts were not measured" in complained
    assert [row["artifact"] for row in json.loads(said)["rows"]] == ["autoencoder_onnx"]
    assert list(json.loads(said)["failures"]) == ["autoencoder_litert"]
    assert len(read_rows(home / "devices")) == 1
    assert is_clean(place)


def test_an_artifact_whose_runtime_the_app_lacks_is_left_out_and_said(phone, tmp_path, dfp):
    phone()
    file = tmp_path / "litert.apk"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("lib/arm64-v8a/libtensorflowlite_jni.so", b"")
    code, said, complained = dfp("run", "--apk", str(file), "--json")
    assert code == 0
    assert "left out, for the app lacks their runtime: autoencoder_onnx" in complained
    assert [row["artifact"] for row in json.loads(said)["rows"]] == ["autoencoder_litert"]
    code, _, complained = dfp("run", "--apk", str(file), "--runtime", "onnxruntime")
    assert code == 1
    assert "the app has no runtime onnxruntime" in complained


def test_a_warm_phone_is_waited_for(phone, apk, dfp, monkeypatch):
    monkeypatch.setattr("dfp_platform.mobile.device_run._POLL", 0.01)
    place = phone(temperatures=[391, 372, 349])
    assert dfp("run", "--apk", str(apk), "--runtime", "litert", "--patience", "20")[0] == 0
    assert calls(place).count("shell dumpsys battery") == 3


@pytest.mark.parametrize(
    ("script", "says"),
    [({"temperatures": [391]}, "battery 39.1 °C"), ({"thermal": "Thermal Status: 3"}, "thermal status 3")],
)
def test_a_phone_that_stays_warm_ends_the_wait_with_an_error(phone, apk, dfp, script, says):
    place = phone(**script)
    code, _, complained = dfp("run", "--apk", str(apk), "--patience", "0")
    assert code == 1
    assert says in complained
    assert is_clean(place)


def test_a_phone_without_a_thermometer_is_measured(phone, apk, dfp):
    phone(temperatures=[None], thermal="Can't find service: thermalservice")
    assert dfp("run", "--apk", str(apk), "--runtime", "litert")[0] == 0


def test_an_app_that_hangs_is_ended_and_the_phone_left_clean(phone, apk, dfp):
    place = phone(app={"autoencoder_litert": "hangs"})
    code, _, complained = dfp("run", "--apk", str(apk), "--runtime", "litert", "--timeout", "1")
    assert code == 1
    assert "did not end within 1 s" in complained
    assert is_clean(place)
    assert "shell am force-stop dev.dfp.lab" in calls(place)


def test_ctrl_c_leaves_the_phone_clean(phone, apk, home):
    place = phone(app={"autoencoder_litert": "hangs"})
    command = [sys.executable, "-m", "dfp_platform.cli", "device", "run", "--apk", str(apk), "--runtime", "litert"]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: (place / "hanging").exists() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, complained = process.communicate(timeout=60)
    assert process.returncode == 130, complained.decode()[-1_000:]
    assert is_clean(place)


def test_a_phone_that_goes_away_is_told_at_once_and_what_to_remove_later(phone, apk, dfp):
    """The log of a phone that is gone is not asked for: adb would wait for it for ever (seen with adb 29)."""
    place = phone(app={"autoencoder_litert": "goes away"})
    code, _, complained = dfp("run", "--apk", str(apk), "--runtime", "litert")
    assert code == 1
    assert "could not clean up on PIXEL" in complained
    assert "adb uninstall dev.dfp.lab" in complained
    assert "error: PIXEL went away" in complained
    assert not any(call.startswith("logcat") for call in calls(place))


def test_what_the_app_cannot_do_is_told_in_its_own_words(phone, apk, dfp):
    place = phone(app={"autoencoder_litert": "complains"})
    code, _, complained = dfp("run", "--apk", str(apk), "--runtime", "litert")
    assert code == 1
    assert "this build has no runtime for it" in complained
    assert is_clean(place)


def test_rows_measured_by_hand_are_pulled_and_deleted(phone, dfp, home):
    place = phone()
    assert dfp("pull")[0] == 1
    results = place / FILES / "results" / "20261126T100000Z-test"
    results.mkdir(parents=True)
    (results / "autoencoder_onnx.json").write_text(json.dumps(ROW))
    code, said, _ = dfp("pull", "--delete", "--json")
    assert code == 0
    assert [DeviceRow.model_validate(row) for row in json.loads(said)["rows"]] == read_rows(home / "devices")
    assert not (place / FILES / "results").exists()


def test_devices_are_listed_whatever_their_state(phone, dfp):
    phone(devices=[*PHONE["devices"], "R58M  unauthorized usb:1-2"])
    code, said, _ = dfp("list", "--json")
    assert code == 0
    first, second = json.loads(said)
    assert (first["kind"], first["model"], first["celsius"]) == ("phone", "Pixel 7", 30.1)
    assert (second["serial"], second["state"]) == ("R58M", "unauthorized")
    phone(devices=[])
    assert dfp("list")[2].startswith("adb sees no device")
