"""The latency protocol: everyone answers the same queries in turn, and a disturbed row says so."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from dfp_platform.errors import InputError
from dfp_platform.mobile import machine
from dfp_platform.mobile.benchmark import HostLatency, Subject, artifact_subject, measure_latency, model_subject
from dfp_platform.mobile.floor import BareProducts, products_of
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.mobile.protocol import Mode
from dfp_platform.models.data import TrainingData
from dfp_platform.models.parts import with_features
from dfp_platform.models.training import train
from tests.apps import tiny_table
from tests.configured import tiny

APPS = np.arange(12, dtype=np.float32).reshape(4, 3)
FEW = Mode("few", queries=40, warm_up=5, batch=8)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch):
    """Whatever else this machine does, no core is taken away."""
    monkeypatch.setattr(machine, "preemptions", lambda: 0)


class Clock:
    """Time that passes only where someone works; nanoseconds."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Recorder:
    """Takes so many microseconds an answer, others from some answer on, and remembers what it was asked."""

    def __init__(self, clock: Clock, micros: float = 200, *, slow_from: int | None = None) -> None:
        self.asked: list[np.ndarray] = []
        self.collecting: list[bool] = []
        self.clock, self.micros, self.slow_from = clock, micros, slow_from

    def score(self, matrix):
        self.asked.append(matrix)
        self.collecting.append(gc.isenabled())
        slow = self.slow_from is not None and len(self.asked) > self.slow_from
        self.clock.now += int(self.micros * (10 if slow else 1) * 1_000)
        return np.zeros(len(matrix), np.float32)


def subject(name: str, recorder: Recorder) -> Subject:
    return Subject(name, "made", "fp32", 10, lambda: recorder)


def measured(*recorders: Recorder, mode: Mode = FEW):
    named = [subject(f"r{place}", each) for place, each in enumerate(recorders)]
    return measure_latency(named, APPS, mode=mode, clock=recorders[0].clock)


def test_every_subject_answers_the_same_apps_one_at_a_time():
    clock = Clock()
    first, second = Recorder(clock), Recorder(clock)
    measured(first, second, mode=Mode("few", queries=20, warm_up=3, batch=8))
    singles = [[call[0, 0] for call in recorder.asked if len(call) == 1] for recorder in (first, second)]
    assert singles[0] == singles[1]
    assert singles[0][:23] == [APPS[i % 4, 0] for i in [*range(3), *range(20)]]
    assert {len(call) for call in first.asked} == {1, 8}


def test_percentiles_count_the_measured_queries_only():
    (row,) = measured(Recorder(Clock(), 150)).rows
    assert (row.queries, row.p50_us, row.p999_us, row.max_us, row.threads) == (40, 150, 150, 150, 1)
    assert row.throughput_apps_s == pytest.approx(8 / 150e-6, rel=1e-3)
    assert row.load_ms == 0.15
    assert (row.noise, row.reasons, row.valid) == (0, ("only 40 queries",), False)


def test_a_subject_is_asked_until_the_time_is_over():
    clock = Clock()
    quick, slow = Recorder(clock, 10), Recorder(clock, 1_000)
    told = measured(quick, slow, mode=Mode("timed", queries=1_024, seconds=0.1, warm_up=0, batch=8))
    assert [row.queries for row in told.rows] == [10_240, 1_024]
    assert all(row.valid for row in told.rows)
    assert (told.mode, told.rounds) == ("timed", 4)


def test_a_disturbance_in_one_round_marks_the_row_says_why_and_keeps_it():
    (row,) = measured(Recorder(Clock(), slow_from=1_200), mode=Mode("m", queries=2_048, warm_up=0)).rows
    assert (row.valid, row.reasons) == (False, ("rounds differ by 900%",))
    assert (row.noise, row.p50_us) == (9, 200)


def test_queries_whose_core_was_taken_away_mark_the_row(monkeypatch):
    taken = iter(range(0, 7_000, 7))
    monkeypatch.setattr(machine, "preemptions", lambda: next(taken))
    (row,) = measured(Recorder(Clock()), mode=Mode("m", queries=1_024, warm_up=0)).rows
    assert row.preemptions == 4 * 7
    assert (row.valid, row.reasons) == (False, ("the core was taken away in 28 of 1024 queries",))


def test_energy_is_a_figure_where_the_counter_is_readable_and_else_none(monkeypatch):
    assert measured(Recorder(Clock())).rows[0].energy_uj is None or machine.energy_uj() is not None
    spent = iter(range(0, 100_000, 500))
    monkeypatch.setattr(machine, "energy_uj", lambda: float(next(spent)))
    assert measured(Recorder(Clock())).rows[0].energy_uj == 4 * 500 / 40
    backwards = iter(range(100_000, 0, -500))
    monkeypatch.setattr(machine, "energy_uj", lambda: float(next(backwards)))
    assert measured(Recorder(Clock())).rows[0].energy_uj is None


def test_the_floor_is_measured_in_the_same_turns_and_told_beside_the_figure(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(BareProducts, "score", lambda self, matrix: setattr(clock, "now", clock.now + 50_000))
    held = Subject("r", "made", "fp32", 10, lambda: Recorder(clock, 150), shapes=((3, 2), (2, 3)))
    bare = Subject("s", "made", "fp32", 10, lambda: Recorder(clock, 150))
    told = measure_latency([held, bare], APPS, mode=FEW, clock=clock).rows
    assert [(row.floor_p50_us, row.floor_ratio) for row in told] == [(50, 3), (None, None)]


def test_garbage_is_not_collected_while_the_clock_runs():
    recorder = Recorder(Clock())
    measured(recorder)
    assert not any(recorder.collecting)
    assert gc.isenabled()


def test_it_runs_on_one_core_and_gives_the_others_back():
    before = machine.os.sched_getaffinity(0)
    with machine.one_core() as core:
        assert machine.os.sched_getaffinity(0) == {core}
    assert machine.os.sched_getaffinity(0) == before


@pytest.mark.parametrize(("apps", "queries"), [(APPS[:0], 100), (APPS, 3)])
def test_a_measurement_of_nothing_is_refused(apps, queries):
    with pytest.raises(InputError, match="measure nothing"):
        measure_latency([], apps, mode=Mode("m", queries=queries))


def test_the_floor_of_a_network_is_every_product_of_one_answer():
    data = TrainingData.from_arrow(tiny_table())
    files = train(data, tiny("detector", "training.epochs=1"), progress=False).files
    assert sorted(products_of(files)) == sorted([(12, 16), (16, 3), (3, 1), (3, 16), (16, 12)])


def test_pytorch_onnx_runtime_and_xgboost_are_measured_side_by_side():
    data = TrainingData.from_arrow(tiny_table())
    weights = train(data, tiny("ae_small", "training.epochs=1"), progress=False).files
    trees = train(data, tiny("xgboost", "training.epochs=3")).files
    artifact = EXPORTERS["onnx"].export(weights)
    subjects = [model_subject(weights), artifact_subject(artifact), model_subject(trees)]
    report = measure_latency(subjects, data.test.matrix, mode=Mode("m", queries=64, warm_up=8, batch=64))
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
    assert (
        measure_latency([subject], data.test.matrix, mode=Mode("m", queries=8, warm_up=1, batch=4)).rows[0].model
        == "xgboost"
    )
