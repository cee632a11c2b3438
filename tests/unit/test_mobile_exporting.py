"""Quantised artifacts: smaller, close to their original, with thresholds of their own, and the same bytes again."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dfp_platform.errors import InputError
from dfp_platform.mobile import exporting
from dfp_platform.mobile.artifact import artifact_name
from dfp_platform.mobile.exporting import LEARNT_ROWS, calibration_of, export
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.mobile.parity import check_parity
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from tests.apps import tiny_table
from tests.configured import tiny
from tests.exporters import KINDS, of_extra

QUANTISED = [of_extra(name, precision) for name, precision in KINDS if precision.startswith("int8")]
SMALLER = [of_extra(name, precision) for name, precision in KINDS if precision != "fp32"]


@pytest.fixture(scope="module")
def data():
    return TrainingData.from_arrow(tiny_table(features=48))


@pytest.fixture(scope="module")
def weights(data):
    told = tiny("ae_small", "training.epochs=4", "model.hidden=96", "model.latent=8")
    return train(data, told, synthetic=True, progress=False).files


@pytest.fixture(scope="module")
def made(weights, data):
    """Artifacts by exporter and precision, each made once."""
    known = {}

    def of(name, precision):
        if (name, precision) not in known:
            calibration = calibration_of(data, false_positive_rate=0.01)
            known[name, precision] = export(weights, exporter=name, precision=precision, calibration=calibration)
        return known[name, precision]

    return of


@pytest.mark.parametrize(("name", "precision"), QUANTISED)
def test_eight_bits_are_smaller_rank_nearly_alike_and_have_a_threshold_of_their_own(
    made, weights, data, name, precision
):
    artifact, whole = made(name, precision), made(name, "fp32")
    assert len(artifact.data) < 0.75 * len(whole.data)
    assert (artifact.card.precision, artifact.card.name) == (precision, artifact_name("autoencoder", name, precision))
    runtime, original = EXPORTERS[name].load(artifact), load_model(weights)
    scores = runtime.score(data.test.matrix)
    wanted = roc_auc_score(data.test.labels, original.score(data.test.matrix))
    assert roc_auc_score(data.test.labels, scores) == pytest.approx(wanted, abs=0.02)
    benign = data.calibration.benign.matrix
    assert runtime.label(runtime.score(benign)).mean() <= 0.01 + 1 / len(benign)
    assert artifact.card.threshold != original.card.threshold


@pytest.mark.parametrize(("name", "precision"), QUANTISED)
def test_their_parity_reports_what_changed_and_holds_them_to_less(made, weights, data, name, precision):
    parity = check_parity(weights, made(name, precision), data.test.matrix, labels=data.test.labels, seed=3)
    assert parity.passed
    assert parity.rows >= 10_000
    assert abs(parity.roc_auc_change) < 0.02
    assert parity.share_of_tolerance > 1


@pytest.mark.parametrize(("name", "precision"), SMALLER)
def test_the_same_network_and_rows_give_the_same_bytes(made, weights, data, name, precision):
    first = made(name, precision)
    calibration = calibration_of(data, false_positive_rate=0.01)
    assert export(weights, exporter=name, precision=precision, calibration=calibration).files == first.files


@pytest.mark.slow
def test_half_precision_is_half_as_large_and_nearly_exact(made, weights, data):
    artifact = made("litert", "fp16")
    assert len(artifact.data) < 0.75 * len(made("litert", "fp32").data)
    assert artifact.card.threshold == load_model(weights).card.threshold
    scores = EXPORTERS["litert"].load(artifact).score(data.test.matrix)
    assert np.abs(scores - load_model(weights).score(data.test.matrix)).max() < 5e-3


def test_what_an_exporter_has_not_and_missing_rows_are_refused(weights):
    with pytest.raises(InputError, match="has no artifacts of precision int4") as caught:
        export(weights, exporter="onnx", precision="int4")
    assert "fp32, int8, int8_static" in caught.value.hint
    with pytest.raises(InputError, match="needs apps to be calibrated by"):
        export(weights, exporter="onnx", precision="int8")
    with pytest.raises(InputError, match="learns its scales from apps"):
        EXPORTERS["onnx"].export(weights, precision="int8_static", rows=np.empty((0, 48), np.float32))


def test_scales_are_learnt_from_training_apps_of_all_its_time_and_thresholds_from_later_ones(data, monkeypatch):
    monkeypatch.setattr(exporting, "LEARNT_ROWS", 7)
    found = calibration_of(data, false_positive_rate=0.01)
    assert (found.training == data.training.matrix[np.linspace(0, len(data.training) - 1, 7).round().astype(int)]).all()
    assert (found.benign == data.calibration.benign.matrix).all()
    assert LEARNT_ROWS == 512


@pytest.mark.parametrize("name", [of_extra(name) for name in EXPORTERS])
def test_static_scales_span_all_training_apps_so_that_a_detector_keeps_its_scores(data, name):
    """Averaged over calls of one app, the range of a logit is nothing: LiteRT's detector knew two scores."""
    files = train(data, tiny("detector", "training.epochs=8"), progress=False).files
    calibration = calibration_of(data, false_positive_rate=0.01)
    artifact = export(files, exporter=name, precision="int8_static", calibration=calibration)
    scores, wanted = (each.score(data.test.matrix) for each in (EXPORTERS[name].load(artifact), load_model(files)))
    assert len(np.unique(scores)) > 30
    assert np.abs(scores - wanted).mean() < 0.05


@pytest.mark.parametrize(("name", "precision"), QUANTISED)
def test_a_score_does_not_depend_on_the_apps_beside_it(made, data, name, precision):
    """ONNX Runtime finds one dynamic scale a call: an outlier beside it changed an app's score."""
    runtime = EXPORTERS[name].load(made(name, precision))
    apps = np.concatenate([data.test.matrix[:8], np.full_like(data.test.matrix[:1], 1e9)])
    alone = [runtime.score(app[None])[0] for app in apps]
    assert np.allclose(runtime.score(apps), alone, rtol=1e-6, atol=1e-7)
