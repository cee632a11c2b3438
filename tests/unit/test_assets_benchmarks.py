"""The asset that waits for phones: without a row it is skipped and the page is made, with rows both are."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from dfp_platform.assets import benchmarks
from dfp_platform.assets.choices import BENCHMARKS, LINE, PHONE_NETWORKS, artifacts_of, beyond_the_line
from dfp_platform.errors import InputError
from dfp_platform.lake import open_lake
from dfp_platform.mobile.host import HostBenchmark
from dfp_platform.mobile.machine import Machine
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings
from tests.benchmark_rows import row
from tests.device_rows import ROW as LAB_ROW

HOST = HostBenchmark(
    machine=Machine(cpu="c", cores=2, system="Linux", python="3.11"),
    lake_commit="c1",
    protocol_version="1",
    mode="quick",
    rows=(row(),),
    quality=(),
    changes={},
    synthetic=False,
)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeResource:
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    place = tmp_path / "lake"
    open_lake(str(place), create=True).commit(
        "main", {"reports/host_benchmark/report.json": HOST.to_json()}, message="m"
    )
    yield LakeResource(address=str(place))
    settings.cache_clear()


def made(lake: LakeResource) -> dict[str, dict[str, bytes]]:
    told = benchmarks.phones(context=dg.build_asset_context(), lake=lake)
    return {output.output_name: output.value for output in told}


def test_without_a_phone_the_rows_are_skipped_and_the_page_says_so(lake: LakeResource) -> None:
    outputs = made(lake)
    assert set(outputs) == {"page"}
    assert b"No phone has been measured yet" in outputs["page"]["index.html"]
    assert [each["kind"] for each in json.loads(outputs["page"]["report.json"])["rows"]] == ["host"]


def test_rows_that_were_pulled_are_read_and_shown_apart(lake: LakeResource, tmp_path: Path) -> None:
    (tmp_path / "devices" / "s1").mkdir(parents=True)
    (tmp_path / "devices" / "s1" / "a.json").write_text(json.dumps(LAB_ROW))
    outputs = made(lake)
    assert [each["device"] for each in json.loads(outputs["device_benchmark"]["report.json"])] == ["Made up Phone"]
    assert [each["kind"] for each in json.loads(outputs["page"]["report.json"])["rows"]] == ["phone", "host"]
    assert b"Made up Phone" in outputs["page"]["index.html"]


def test_a_file_that_is_no_row_is_refused_by_name(lake: LakeResource, tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "broken.json").write_text('{"kind": "phone"}')
    with pytest.raises(InputError, match=r"broken\.json holds no row of the Android lab"):
        made(lake)


def test_each_artifact_of_the_phone_networks_is_an_asset_and_others_have_onnx() -> None:
    assert len(artifacts_of("autoencoder")) == len(artifacts_of("detector_real_device")) == 10
    assert list(artifacts_of("vae_emulator")) == ["mobile/vae_emulator_onnx"]
    assert artifacts_of("xgboost") == {}
    assert "mobile/detector_real_device_litert_int8_static" in artifacts_of("detector_real_device")
    assert set(PHONE_NETWORKS) & set(LINE) == {"autoencoder"}


def test_the_main_line_makes_one_of_them_and_no_benchmark_of_phones() -> None:
    beyond = beyond_the_line()
    assert set(BENCHMARKS) <= beyond
    assert set(artifacts_of("autoencoder")) - beyond == {"mobile/autoencoder_onnx"}
