"""One row for hosts, emulators and phones: what it refuses, how it is read, compared, published and converted."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from dfp_platform.errors import InputError
from dfp_platform.mobile.mlperf import to_mlperf_mobile
from dfp_platform.mobile.phone_rows import rows_in
from dfp_platform.mobile.row import BenchmarkRow, changes, schema
from dfp_platform.settings import PROJECT_ROOT
from tests.benchmark_rows import ROW, row
from tests.device_rows import ROW as LAB_ROW

STARTED = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def test_the_schema_that_is_published_is_that_of_the_rows():
    assert (PROJECT_ROOT / "docs" / "schemas" / "benchmark_row.json").read_bytes() == schema()


def test_every_field_of_a_row_is_told_in_its_docstring_or_that_of_what_it_extends():
    told = " ".join(cls.__doc__ or "" for cls in BenchmarkRow.__mro__)
    assert [name for name in BenchmarkRow.model_fields if f"{name}:" not in told and f"`{name}`" not in told] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "toaster"},
        {"artifact_sha256": "short"},
        {"lake_commit": ""},
        {"precision": "int3"},
        {"valid": False, "reasons": ()},
        {"valid": True, "reasons": ("it was hot",)},
        {"colour": "blue"},
    ],
)
def test_a_row_that_would_mislead_is_none(wrong):
    with pytest.raises(ValidationError):
        BenchmarkRow.model_validate({**ROW, **wrong})


def test_a_rerun_tells_how_far_medians_moved_and_never_across_devices_or_protocols():
    before = [row(p50_us=10.0), row(artifact="b", p50_us=10.0, device="other"), row(artifact="c", protocol_version="0")]
    now = [row(p50_us=11.0), row(artifact="b"), row(artifact="c")]
    assert changes(now, before) == {"autoencoder_litert": 0.1}


def test_rows_of_the_android_lab_are_read_beneath_a_folder(tmp_path):
    assert rows_in(tmp_path / "nowhere") == ()
    (tmp_path / "session").mkdir()
    (tmp_path / "session" / "a.json").write_text(json.dumps(LAB_ROW))
    (found,) = rows_in(tmp_path)
    assert found.device == f"{LAB_ROW['manufacturer']} {LAB_ROW['device']}"
    assert (found.p50_us, found.seconds, found.reasons) == (LAB_ROW["p50_us"], LAB_ROW["seconds"], ())
    assert (found.core, found.energy_uj, found.peak_memory_bytes, found.floor_ratio) == (None, None, None, None)


def test_a_disturbed_row_of_the_lab_keeps_its_reasons_and_a_newer_one_takes_its_place(tmp_path):
    old = {**LAB_ROW, "valid": False, "reasons": ["it was throttled"]}
    (tmp_path / "a.json").write_text(json.dumps(old))
    assert rows_in(tmp_path)[0].reasons == ("it was throttled",)
    (tmp_path / "b.json").write_text(json.dumps({**LAB_ROW, "session": "20261127T100000Z-test"}))
    assert [row.valid for row in rows_in(tmp_path)] == [True]


def test_a_file_that_holds_no_row_is_named_with_the_field(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({**LAB_ROW, "p50_us": "fast"}))
    with pytest.raises(InputError) as caught:
        rows_in(tmp_path)
    assert (caught.value.fields["file"], caught.value.fields["column"]) == (str(tmp_path / "x.json"), "p50_us")


# The shape of ExtendedResult in MLCommons' mobile_app_open, flutter/lib/data: keys of each class.
SHAPE = {
    "": {"meta", "results", "environment_info", "build_info"},
    "meta": {"uuid", "creation_date", "upload_date", "run_mode"},
    "result": {
        "benchmark_id", "benchmark_name", "loadgen_scenario", "backend_settings", "backend_info", "performance_run",
        "accuracy_run", "min_duration", "min_samples",
    },
    "run": {
        "throughput", "accuracy", "accuracy2", "dataset", "measured_duration", "measured_samples", "start_datetime",
        "loadgen_info",
    },
    "backend_settings": {
        "accelerator_code", "accelerator_desc", "framework", "delegate", "model_path", "batch_size", "extra_settings",
    },
    "backend_info": {"filename", "vendor_name", "backend_name", "accelerator_name"},
    "android": {
        "os_version", "manufacturer", "model_code", "model_name", "board_code", "proc_cpuinfo_soc_name", "props",
    },
    "build_info": {
        "version", "build_number", "build_date", "official_release_flag", "dev_test_flag", "backend_list",
        "git_branch", "git_commit", "git_dirty_flag",
    },
}  # fmt: skip


def test_a_phones_row_has_mlperf_mobiles_shape_and_claims_no_mlperf_result():
    told = to_mlperf_mobile(row(kind="phone", device="Google Pixel 9", seconds=0.5), started=STARTED)
    (result,) = told["results"]
    run = result["performance_run"]
    parts = {
        "": told, "meta": told["meta"], "result": result, "run": run, "backend_settings": result["backend_settings"],
        "backend_info": result["backend_info"], "android": told["environment_info"]["value"]["android"],
        "build_info": told["build_info"],
    }  # fmt: skip
    assert {name: set(part) for name, part in parts.items()} == SHAPE
    assert result["loadgen_scenario"] == "SingleStream"
    assert "no MLPerf result" in result["benchmark_name"]
    assert (run["measured_samples"], run["measured_duration"], run["throughput"]) == (2_048, 0.5, {"value": 4_096.0})
    assert run["loadgen_info"] == {"validity": True, "duration": 0.5}
    assert (result["min_samples"], result["min_duration"]) == (1_024, 0.25)
    assert parts["android"]["manufacturer"] == "Google"
    assert told["build_info"]["git_commit"] == "cd" * 20
    assert json.loads(json.dumps(told)) == told


def test_equal_rows_are_equal_mlperf_documents_and_a_host_has_none():
    phone = row(kind="phone")
    assert to_mlperf_mobile(phone, started=STARTED) == to_mlperf_mobile(phone, started=STARTED)
    with pytest.raises(InputError, match="no place for a row of this computer"):
        to_mlperf_mobile(row(), started=STARTED)
    with pytest.raises(InputError, match="no zone"):
        to_mlperf_mobile(phone, started=STARTED.replace(tzinfo=None))
