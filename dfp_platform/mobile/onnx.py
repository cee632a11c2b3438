"""ONNX: one file with weights, standardisation and score, run by ONNX Runtime."""

from __future__ import annotations

import logging
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    rows_to_learn_from,
    unloadable,
)
from dfp_platform.models.weights import NETWORK_WEIGHTS, Answer, model_input

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    from torch import nn

MODEL = "model.onnx"
INPUT = "features"
OUTPUT = "score"
ERROR_OUTPUT = "reconstruction_error"
OPSET = 18


class OnnxRuntime(LoadedArtifact):
    """An ONNX model by ONNX Runtime on one CPU thread.

    One app goes through memory that the session knows already. In dynamic 8 bits all do, one after another: the runtime
    finds one scale a call, so that scores of an app would depend on those beside it.
    """

    def __init__(self, session: onnxruntime.InferenceSession, card: MobileCard) -> None:
        self.session = session
        self.card = card
        self._row = np.zeros((1, len(card.features)), dtype=np.float32)
        self._told = np.zeros((2, 1), dtype=np.float32)
        self._asking = threading.Lock()  # one app at a time through that memory; the serving API asks from many threads
        self._bound = session.io_binding()
        self._bound.bind_cpu_input(INPUT, self._row)
        for name, told in zip((OUTPUT, ERROR_OUTPUT), self._told, strict=True):
            self._bound.bind_output(name, "cpu", 0, np.float32, [1], told.ctypes.data)

    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        rows = model_input(matrix, self.card)
        if self.card.apps_a_call == 1 or len(rows) == 1:
            told = np.empty((2, len(rows)), dtype=np.float32)
            for at in range(len(rows)):
                with self._asking:
                    self._row[:] = rows[at]
                    self.session.run_with_iobinding(self._bound)
                    told[:, at] = self._told[:, 0]
            return Answer(*told)
        scores, errors = self.session.run([OUTPUT, ERROR_OUTPUT], {INPUT: rows})
        return Answer(np.asarray(scores, dtype=np.float32), np.asarray(errors, dtype=np.float32))


class OnnxExporter:
    """PyTorch's own exporter and ONNX Runtime's quantiser, stripped of whatever tells where and when it was made."""

    name = "onnx"
    runtime = "ONNX Runtime"
    precisions: tuple[str, ...] = ("fp32", "int8", "int8_static")
    extra = ""
    modules: tuple[str, ...] = ("onnxruntime",)

    def export(
        self, files: Mapping[str, bytes], *, precision: str = "fp32", rows: NDArray[np.float32] | None = None
    ) -> MobileArtifact:
        model = network_of(files, "ONNX")
        card = card_of(
            model.card,
            files[NETWORK_WEIGHTS],
            self.name,
            precision,
            names=(INPUT, OUTPUT, ERROR_OUTPUT),
            apps_a_call=1 if precision == "int8" else None,
            libraries=("onnx", "onnxscript", "torch", *(("onnxruntime",) if precision != "fp32" else ())),
        )
        graph = _graph(model.network, features=len(card.features))
        if precision != "fp32":
            graph = _quantised(graph, rows_to_learn_from(rows, precision) if precision == "int8_static" else None)
        return MobileArtifact(card, MODEL, _canonical_bytes(graph, card))

    def load(self, artifact: MobileArtifact) -> OnnxRuntime:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(artifact.data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no public base
            raise unloadable(artifact, self.runtime) from error
        return OnnxRuntime(session, artifact.card)


def _quantised(graph: onnx.ModelProto, rows: NDArray[np.float32] | None) -> onnx.ModelProto:
    """The model with 8-bit matrix products: by scales learnt from rows, or, without any, found anew for each app."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )

    class Rows(CalibrationDataReader):
        def __init__(self, matrix: NDArray[np.float32]) -> None:
            self._rows = iter([{INPUT: matrix[at : at + 1]} for at in range(len(matrix))])

        def get_next(self) -> Any:
            return next(self._rows, None)  # None ends them

    kinds = ["MatMul", "Gemm"]
    del graph.graph.value_info[:]  # shapes are inferred again: those of torch's exporter contradict the quantiser's
    with tempfile.TemporaryDirectory() as folder, _quiet():
        before, after = Path(folder) / MODEL, Path(folder) / "quantised.onnx"
        before.write_bytes(graph.SerializeToString())
        if rows is None:
            quantize_dynamic(before, after, weight_type=QuantType.QInt8, op_types_to_quantize=kinds)
        else:
            quantize_static(
                before,
                after,
                Rows(rows),
                quant_format=QuantFormat.QDQ,
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt8,
                op_types_to_quantize=kinds,
            )
        return onnx.load_model(after)


def _graph(network: nn.Module, *, features: int) -> onnx.ModelProto:
    """The network as an ONNX model whose first dimension is free, its weights inside."""
    import torch

    with _quiet():
        program = torch.onnx.export(
            network.eval(),
            (torch.zeros(2, features),),
            input_names=[INPUT],
            output_names=[OUTPUT, ERROR_OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("apps", min=1)},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None, "only the exporter before dynamo returns nothing"
    return program.model_proto


def _canonical_bytes(model: onnx.ModelProto, card: MobileCard) -> bytes:
    """The model's bytes without paths, stack traces and versions of the writer, with the card's essentials inside."""
    for holder in _with_metadata(model):
        del holder.metadata_props[:]
        holder.ClearField("doc_string")
    model.producer_version = model.producer_version.partition("+")[0]  # the same torch for another accelerator
    essentials = {
        "dfp.model": card.model,
        "dfp.schema_hash": card.schema_hash,
        "dfp.weights_sha256": card.weights_sha256,
        "dfp.synthetic": str(card.synthetic).lower(),
    }
    for key, value in sorted(essentials.items()):
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString(deterministic=True)


def _with_metadata(model: onnx.ModelProto) -> Iterator[Any]:
    yield model
    yield model.graph
    for kind in ("node", "initializer", "input", "output", "value_info"):
        yield from getattr(model.graph, kind)
    yield from model.functions


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's words to its own developers: deprecations inside torch.export, onnxscript's progress."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
