"""The host benchmark whole, in quick mode on tiny artifacts: fresh processes, floor, quality, and what changed."""

from __future__ import annotations

import numpy as np
import pytest

from dfp_platform.errors import PermanentError
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.exporting import calibration_of, export
from dfp_platform.mobile.fresh import Questions, cold_start
from dfp_platform.mobile.host import HostBenchmark, Measured, benchmark_host
from dfp_platform.mobile.protocol import QUICK
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from tests.apps import tiny_table
from tests.configured import tiny
from tests.exporters import KINDS

MEASURED = {"one": [("onnx", "fp32")], "all": KINDS}
"""What is measured: one artifact every day, all of them by `make mobile`."""


@pytest.fixture(scope="module", params=["one", pytest.param("all", marks=pytest.mark.slow)])
def model(request):
    data = TrainingData.from_arrow(tiny_table(features=48))
    weights = train(data, tiny("ae_small", "training.epochs=2", "model.hidden=32"), synthetic=True, progress=False)
    calibration = calibration_of(data, false_positive_rate=0.01)
    made = [
        export(weights.files, exporter=name, precision=precision, calibration=calibration)
        for name, precision in MEASURED[request.param]
    ]
    return Measured(weights.files, tuple(made), data.test.matrix, data.test.labels)


@pytest.fixture(scope="module")
def told(model):
    return benchmark_host([model], lake_commit="c1", mode=QUICK, seed=3)


def test_every_artifact_has_a_whole_row_and_its_quality(model, told):
    names = [artifact.card.name for artifact in model.artifacts]
    assert [row.artifact for row in told.rows] == [each.artifact for each in told.quality] == names
    for row, artifact, each in zip(told.rows, model.artifacts, told.quality, strict=True):
        assert row.artifact_sha256 == each.artifact_sha256 == artifact.sha256
        assert (row.kind, row.lake_commit, row.mode, row.threads) == ("host", "c1", "quick", 1)
        assert row.queries >= QUICK.queries
        assert row.seconds >= QUICK.seconds
        assert 0 < row.p50_us <= row.p90_us <= row.p99_us <= row.p999_us <= row.max_us
        assert row.floor_ratio > 0
        assert min(row.cold_load_ms, row.first_us, row.import_ms, row.throughput_apps_s) > 0
        assert row.peak_memory_bytes > row.baseline_memory_bytes > 20e6
        assert each.parity.passed
        assert 0.5 < each.roc_auc <= 1
    assert (told.changes, told.synthetic) == ({}, True)


def test_the_report_reads_back_and_the_next_one_tells_how_far_it_differs(told):
    assert HostBenchmark.from_json(told.to_json()) == told
    assert HostBenchmark.rows_in(told.to_json()) == told.rows
    assert HostBenchmark.rows_in(b"{}") == HostBenchmark.rows_in(None) == ()


def test_a_process_that_fails_is_an_error_with_its_last_words(model):
    whole = model.artifacts[0]
    broken = MobileArtifact(whole.card, whole.model, whole.data[:100])
    with pytest.raises(PermanentError, match="no model that"):
        cold_start(broken, Questions(np.zeros((1, 48), np.float32), whole.card.features))
