"""The latency protocol: everyone answers the same queries in turn, and a disturbed row says so."""

from __future__ import annotations

import gc
import itertools
import time

import numpy as np
import pytest

from dfp_platform.errors import InputError
from dfp_platform.mobile import benchmark
from dfp_platform.mobile.benchmark import HostLatency, Subject, artifact_subject, measure_latency, model_subject
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.data import TrainingData
from dfp_platform.models.parts import with_features
from dfp_platform.models.training import train
from tests.apps import tiny_table
from tests.configured import tiny

APPS = np.arange(12, dtype=np.float32).reshape(4, 3)


class Recorder:
    """Answers at once, or slowly from some query on, and remembers what it was asked."""

    def __init__(self, *, slow_from: int | None = None) -> None:
        self.asked: list[np.ndarray] = []
        self.collecting: list[bool] = []
        self.slow_from = slow_from

    def score(self, matrix):
        self.asked.append(matrix)
        self.collecting.append(gc.isenabled())
        pause = 0.002 if self.slow_from is not None and len(self.asked) > self.slow_from else 0.0002
        until = time.perf_counter() + pause
        while time.perf_counter() < until:
            pass
        return np.zeros(len(matrix), np.float32)


def subject(name: str, recorder: Recorder) -> Subject:
    return Subject(name, "made", "fp32", 10, lambda: recorder)


def test_every_subject_answers_the_same_apps_one_at_a_time():
    first, second = Recorder(), Recorder()
    measure_latency([subject("a", first), subject("b", second)], APPS, queries=20, warm_up=3, batch=8)
    singles = [[call[0, 0] for call in recorder.asked if len(call) == 1] for recorder in (first, second)]
    assert singles[0] == singles[1]
    assert singles[0][:23] == [APPS[i % 4, 0] for i in [*range(3), *range(20)]]
    assert {len(call) for call in first.asked} == {1, 8}


def test_percentiles_are_ordered_and_count_the_measured_queries_only():
    (row,) = measure_latency([subject("a", Recorder())], APPS, queries=40, warm_up=5, batch=8).rows
    assert row.queries == 40
    assert 200 <= row.p50_us <= row.p90_us <= row.p99_us <= row.p999_us <= row.max_us
    assert row.throughput_apps_s > 0
    assert row.threads == 1


def test_a_disturbance_in_one_round_marks_the_row_and_keeps_it():
    (row,) = measure_latency([subject("a", Recorder(slow_from=20))], APPS, queries=40, warm_up=0, batch=8).rows
    assert not row.valid
    assert row.noise > 1


def test_queries_whose_core_was_taken_away_mark_the_row(monkeypatch):
    switches = itertools.count(step=7)
    monkeypatch.setattr(benchmark, "_preemptions", lambda: next(switches))
    (row,) = measure_latency([subject("a", Recorder())], APPS, queries=40, warm_up=0, batch=8).rows
    assert row.preemptions == 4 * 7
    assert not row.valid


def test_garbage_is_not_collected_while_the_clock_runs():
    recorder = Recorder()
    measure_latency([subject("a", recorder)], APPS, queries=8, warm_up=2, batch=8)
    assert not any(recorder.collecting[:10])
    assert gc.isenabled()


@pytest.mark.parametrize(("apps", "queries"), [(APPS[:0], 100), (APPS, 3)])
def test_a_measurement_of_nothing_is_refused(apps, queries):
    with pytest.raises(InputError, match="measure nothing"):
        measure_latency([], apps, queries=queries)


def test_pytorch_onnx_runtime_and_xgboost_are_measured_side_by_side():
    data = TrainingData.from_arrow(tiny_table())
    weights = train(data, tiny("ae_small", "training.epochs=1"), progress=False).files
    trees = train(data, tiny("xgboost", "training.epochs=3")).files
    artifact = EXPORTERS["onnx"].export(weights)
    subjects = [model_subject(weights), artifact_subject(artifact), model_subject(trees)]
    report = measure_latency(subjects, data.test.matrix, queries=64, warm_up=8, batch=64)
    assert [(row.runtime, row.model) for row in report.rows] == [
        ("PyTorch", "autoencoder"),
        ("ONNX Runtime", "autoencoder"),
        ("XGBoost", "xgboost"),
    ]
    assert [row.size_bytes for row in report.rows] == [
        len(weights["weights.safetensors"]),
        len(artifact.data),
        len(trees["model.ubj"]),
    ]
    assert all(row.load_ms > 0 for row in report.rows)
    assert report.machine.cores >= 1
    assert report.machine.cpu
    assert HostLatency.from_json(report.to_json()) == report


def test_a_model_of_some_features_is_asked_about_these():
    data = TrainingData.from_arrow(tiny_table())
    some = TrainingData.from_arrow(with_features(tiny_table(), ("perm_*", "app_f2")))
    trees = train(some, tiny("xgboost", "training.epochs=3")).files
    subject = model_subject(trees, known=data.features)
    assert np.array_equal(subject.rows(data.matrix), some.matrix)
    assert measure_latency([subject], data.test.matrix, queries=8, warm_up=1, batch=4).rows[0].model == "xgboost"
