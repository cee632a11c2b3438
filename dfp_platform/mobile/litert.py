"""LiteRT, which was TensorFlow Lite: one .tflite file, run by its interpreter with XNNPACK, one app a call."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.mobile.artifact import (
    LoadedArtifact,
    MobileArtifact,
    MobileCard,
    card_of,
    network_of,
    require,
    rows_to_learn_from,
    unloadable,
)
from dfp_platform.mobile.native import quiet_libraries, without_native_output
from dfp_platform.models.weights import NETWORK_WEIGHTS, Answer, model_input

if TYPE_CHECKING:
    from torch import nn

MODEL = "model.tflite"

_INT8 = {"num_bits": 8, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "INT"}
_ONE_SCALE = {**_INT8, "granularity": "TENSORWISE"}
"""A scale a matrix. With static scales, those of channels would be a tenth of the file and gain no ROC-AUC."""

_RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "fp16": (
        "float_casting",
        {
            "weight_tensor_config": {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "FLOAT"},
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
        },
    ),
    "int8": ("min_max_uniform_quantize", {"weight_tensor_config": _INT8, "compute_precision": "INTEGER"}),
    "int8_static": (
        "min_max_uniform_quantize",
        {
            "activation_tensor_config": {
                "num_bits": 8,
                "symmetric": False,
                "granularity": "TENSORWISE",
                "dtype": "INT",
            },
            "weight_tensor_config": _ONE_SCALE,
            "compute_precision": "INTEGER",
        },
    ),
}
"""What the quantiser is told of matrix products; standardisation, which sees raw counts, stays in float."""


class LiteRtRuntime(LoadedArtifact):
    """A .tflite model by an interpreter on one CPU thread."""

    def __init__(self, interpreter: Any, card: MobileCard) -> None:
        self.interpreter = interpreter
        self.card = card
        self._input = interpreter.get_input_details()[0]["index"]
        self._score, self._error = (told["index"] for told in interpreter.get_output_details())

    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        rows = model_input(matrix, self.card)
        scores, errors = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
        for at in range(len(rows)):
            self.interpreter.set_tensor(self._input, rows[at : at + 1])
            self.interpreter.invoke()
            scores[at] = self.interpreter.get_tensor(self._score)[0]
            errors[at] = self.interpreter.get_tensor(self._error)[0]
        return Answer(scores, errors)


class LiteRtExporter:
    """LiteRT's converter for PyTorch, and its quantiser."""

    name = "litert"
    runtime = "LiteRT"
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8", "int8_static")
    extra = "phone"
    modules: tuple[str, ...] = ("ai_edge_litert.interpreter",)

    def export(
        self, files: Mapping[str, bytes], *, precision: str = "fp32", rows: NDArray[np.float32] | None = None
    ) -> MobileArtifact:
        require("an export to LiteRT", self.extra, "litert_torch", "ai_edge_quantizer")
        model = network_of(files, "LiteRT")
        quantiser = () if precision == "fp32" else ("ai-edge-quantizer",)
        card = card_of(
            model.card,
            files[NETWORK_WEIGHTS],
            self.name,
            precision,
            apps_a_call=1,
            libraries=("litert-torch", "litert-converter", "torch", *quantiser),
        )
        data = _converted(model.network, features=len(card.features))
        if precision != "fp32":
            learnt = rows_to_learn_from(rows, precision) if precision == "int8_static" else None
            data = _quantised(data, precision, learnt)
        return MobileArtifact(card, MODEL, data)

    def load(self, artifact: MobileArtifact) -> LiteRtRuntime:
        require("LiteRT", self.extra, "ai_edge_litert")
        return LiteRtRuntime(interpreter(artifact), artifact.card)


def interpreter(artifact: MobileArtifact) -> Any:
    """LiteRT's interpreter of an artifact, its tensors allocated. Raises CorruptLakeError: it is no such model."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        with without_native_output():
            made = Interpreter(model_content=artifact.data, num_threads=1)
            made.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise unloadable(artifact, LiteRtExporter.runtime) from error
    return made


def _converted(network: nn.Module, *, features: int) -> bytes:
    import torch

    with quiet_libraries():
        import litert_torch

        made = litert_torch.convert(network.eval(), (torch.zeros(1, features),))
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / MODEL
            made.export(str(place))
            return place.read_bytes()


def _quantised(data: bytes, precision: str, rows: NDArray[np.float32] | None) -> bytes:
    algorithm, told = _RECIPES[precision]
    recipe = [{"regex": ".*", "operation": "FULLY_CONNECTED", "algorithm_key": algorithm, "op_config": told}]
    with quiet_libraries(), tempfile.TemporaryDirectory() as folder:
        from ai_edge_quantizer import quantizer

        place = Path(folder) / MODEL
        place.write_bytes(data)
        made = quantizer.Quantizer(str(place))
        made.load_quantization_recipe(recipe)
        seen = None if rows is None else _ranges(place, recipe, rows)
        quantised = made.quantize(seen).quantized_model
        assert quantised is not None, "the quantiser raises where it fails"
        return bytes(quantised)


def _ranges(place: Path, recipe: Any, rows: NDArray[np.float32]) -> Any:
    """Least and greatest value of each tensor over the rows.

    The quantiser's own `calibrate` averages the ranges of calls. Here a call is one app, for which the logit of a
    detector has no range at all: its scores would collapse to two values.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    manager = RecipeManager()
    manager.load_quantization_recipe(recipe)
    seen = Calibrator(str(place), num_threads=1, qsv_update_func=min_max_update)
    seen.calibrate(_as_calls(place, rows), manager)
    return seen.get_model_qsvs()


def _as_calls(place: Path, rows: NDArray[np.float32]) -> dict[str, Iterable[dict[str, Any]]]:
    """Rows as the quantiser wants them: by the name of the model's signature and of its input."""
    from ai_edge_litert.interpreter import Interpreter

    (name, signature), *_ = Interpreter(str(place)).get_signature_list().items()
    return {name: [{signature["inputs"][0]: rows[at : at + 1]} for at in range(len(rows))]}
