"""A row of the benchmark in the shape of MLPerf Mobile's result, as its app writes and its viewer reads it.

Source: the classes `ExtendedResult` and what it holds in MLCommons' repository mobile_app_open, flutter/lib/data. The
shape fits; the benchmark does not: it is none of MLPerf's, so nothing made here is an MLPerf result.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from dfp_platform.errors import InputError
from dfp_platform.mobile.protocol import MODES, PROTOCOL_VERSION
from dfp_platform.mobile.row import HOST, BenchmarkRow

BENCHMARK = "dfp_malware"
_NOT_MLPERF = f"dfp benchmark protocol {PROTOCOL_VERSION}, no MLPerf result"


def to_mlperf_mobile(row: BenchmarkRow, *, started: datetime) -> dict[str, Any]:
    """An `ExtendedResult` of one result, ready for JSON. Durations are seconds, as there. It has no accuracy run.

    Args:
        row: of a phone or an emulator.
        started: when the measurement began, with its time zone.

    Raises:
        InputError: a host's row (MLPerf Mobile knows phones and Windows), or a time without a zone.
    """
    if row.kind == HOST:
        raise InputError("MLPerf Mobile has no place for a row of this computer", hint="convert rows of phones")
    if started.tzinfo is None:
        raise InputError("the time of the measurement has no zone", hint="give it in UTC", column="started")
    return {
        "meta": {
            "uuid": str(uuid5(NAMESPACE_URL, row.to_json().decode())),
            "creation_date": started.isoformat(),
            "upload_date": None,
            "run_mode": None,
        },
        "results": [
            {
                "benchmark_id": f"{BENCHMARK}_{row.model}_{row.precision}",
                "benchmark_name": f"Malware, {row.model} in {row.precision} ({_NOT_MLPERF})",
                "loadgen_scenario": "SingleStream",
                "backend_settings": _settings(row),
                "backend_info": {
                    "filename": row.exporter,
                    "vendor_name": "dfp",
                    "backend_name": row.runtime,
                    "accelerator_name": "CPU",
                },
                "performance_run": _run(row, started),
                "accuracy_run": None,
                "min_duration": MODES[row.mode].seconds,
                "min_samples": MODES[row.mode].queries,
            }
        ],
        "environment_info": {
            "platform": "android",
            "value": {"android": _android(row), "ios": None, "windows": None},
        },
        "build_info": {
            "version": PROTOCOL_VERSION,
            "build_number": row.artifact_sha256[:12],
            "build_date": started.isoformat(),
            "official_release_flag": False,
            "dev_test_flag": True,
            "backend_list": [row.exporter],
            "git_branch": "",
            "git_commit": row.lake_commit,
            "git_dirty_flag": False,
        },
    }


def _settings(row: BenchmarkRow) -> dict[str, Any]:
    shown = {"threads": str(row.threads), "artifact_sha256": row.artifact_sha256, "protocol": row.protocol_version}
    return {
        "accelerator_code": "cpu",
        "accelerator_desc": "CPU",
        "framework": row.runtime,
        "delegate": row.delegate or "none",
        "model_path": f"mobile/{row.artifact}",
        "batch_size": 1,
        "extra_settings": [
            {"id": name, "name": name, "value": value, "value_name": value} for name, value in shown.items()
        ],
    }


def _run(row: BenchmarkRow, started: datetime) -> dict[str, Any]:
    """The performance run: what single queries give one after another."""
    return {
        "throughput": {"value": row.queries / row.seconds},
        "accuracy": None,
        "accuracy2": None,
        "dataset": {"name": "KronoDroid", "type": "KRONODROID", "data_path": "", "groundtruth_path": ""},
        "measured_duration": row.seconds,
        "measured_samples": row.queries,
        "start_datetime": started.isoformat(),
        "loadgen_info": {"validity": row.valid, "duration": row.seconds},
    }


def _android(row: BenchmarkRow) -> dict[str, Any]:
    maker, _, model = row.device.partition(" ")
    return {
        "os_version": row.os_build,
        "manufacturer": maker,
        "model_code": model or None,
        "model_name": model or None,
        "board_code": None,
        "proc_cpuinfo_soc_name": row.soc,
        "props": [{"type": "socName", "name": "ro.soc.model", "value": row.soc}],
    }
