"""ONNX: one file with weights, standardisation and score, run by ONNX Runtime."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import CorruptLakeError, InputError
from dfp_platform.mobile.artifact import MobileArtifact, MobileCard
from dfp_platform.models.card import ModelCard
from dfp_platform.models.training import versions
from dfp_platform.models.weights import NETWORK_WEIGHTS, Answer, NetworkScorer, load_model

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    from torch import nn

MODEL = "model.onnx"
INPUT = "features"
OUTPUT = "score"
ERROR_OUTPUT = "reconstruction_error"
OPSET = 18


class OnnxRuntime:
    """An ONNX model by ONNX Runtime on one CPU thread."""

    def __init__(self, session: onnxruntime.InferenceSession, card: MobileCard) -> None:
        self.session = session
        self.card = card

    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        scores, errors = self._run([OUTPUT, ERROR_OUTPUT], matrix)
        return Answer(scores, errors)

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._run([OUTPUT], matrix)[0]

    def _run(self, outputs: list[str], matrix: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.card.features):
            raise InputError(
                f"{self.card.name} takes {len(self.card.features)} features, not an array of shape {matrix.shape}",
                hint="build the matrix from the card's feature names",
            )
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
        return [np.asarray(told, dtype=np.float32) for told in self.session.run(outputs, {INPUT: rows})]

    def label(self, scores: NDArray[np.float32]) -> NDArray[np.int8]:
        return (scores > np.float32(self.card.threshold)).astype(np.int8)


class OnnxExporter:
    """PyTorch's own exporter, its result stripped of whatever tells where and when it was made."""

    name = "onnx"
    runtime = "ONNX Runtime"

    def export(self, files: Mapping[str, bytes]) -> MobileArtifact:
        model = load_model(files)
        if not isinstance(model, NetworkScorer):
            raise InputError(
                f"model {model.card.name} is of kind {model.card.kind}; only networks are exported to ONNX",
                hint="name models/autoencoder",
            )
        graph = _graph(model.network, features=len(model.card.features))
        card = _card(model.card, weights=files[NETWORK_WEIGHTS])
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
            raise CorruptLakeError(
                f"{artifact.model} of {artifact.card.name} is no model that ONNX Runtime can load",
                hint="read it at the commit that wrote it, or export it again",
                path=artifact.model,
            ) from error
        return OnnxRuntime(session, artifact.card)


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
        "dfp.threshold": repr(card.threshold),
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


def _card(model: ModelCard, *, weights: bytes) -> MobileCard:
    return MobileCard(
        name=f"{model.name}_onnx",
        exporter="onnx",
        precision="fp32",
        model=model.name,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        device=model.device,
        features=model.features,
        schema_hash=model.schema_hash,
        input=INPUT,
        output=OUTPUT,
        error_output=ERROR_OUTPUT,
        threshold=model.threshold,
        libraries=versions("onnx", "onnxscript", "torch"),
        synthetic=model.synthetic,
        origin=model.origin,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's words to its own developers: deprecations inside torch.export, onnxscript's progress."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
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
