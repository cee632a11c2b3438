"""TensorFlow's own interpreter says of our .tflite files what LiteRT's does (`make mobile`)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dfp_platform.mobile.exporting import calibration_of, export
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from tests.apps import tiny_table
from tests.configured import tiny


@pytest.fixture(scope="module")
def data():
    return TrainingData.from_arrow(tiny_table())


@pytest.fixture(scope="module")
def weights(data):
    return train(data, tiny("detector", "training.epochs=3"), progress=False).files


@pytest.mark.parametrize("precision", EXPORTERS["litert"].precisions)
def test_tensorflows_interpreter_answers_as_litert_does(data, weights, precision):
    calibration = calibration_of(data, false_positive_rate=0.01)
    artifact = export(weights, exporter="litert", precision=precision, calibration=calibration)
    wanted = EXPORTERS["litert"].load(artifact).answer(data.test.matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow names its successor
        import tensorflow

        interpreter = tensorflow.lite.Interpreter(model_content=artifact.data, num_threads=1)
        interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    score, error = (told["index"] for told in interpreter.get_output_details())
    for row, wanted_score, wanted_error in zip(data.test.matrix, wanted.scores, wanted.known_errors, strict=True):
        interpreter.set_tensor(given, row[None])
        interpreter.invoke()
        # 8 bits round at borders: two builds of the kernels may part by one step
        tolerance = 1e-5 if precision in ("fp32", "fp16") else 0.02
        assert interpreter.get_tensor(score)[0] == pytest.approx(wanted_score, rel=tolerance, abs=tolerance)
        assert np.isclose(interpreter.get_tensor(error)[0], wanted_error, rtol=tolerance, atol=tolerance)
