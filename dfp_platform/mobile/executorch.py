"""ExecuTorch: one .pte file whose matrix products XNNPACK computes, one app a call."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
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
from dfp_platform.mobile.native import quiet_libraries
from dfp_platform.models.threads import one_thread
from dfp_platform.models.weights import NETWORK_WEIGHTS, Answer, model_input

if TYPE_CHECKING:
    from torch import nn

MODEL = "model.pte"


class ExecuTorchRuntime(LoadedArtifact):
    """A .pte program by ExecuTorch's runtime on one CPU thread.

    Every app goes in through the same tensor, and what comes out is read where the program has planned it: making and
    copying tensors would take as long as the products of a network this small.
    """

    def __init__(self, program: Any, card: MobileCard) -> None:
        import torch

        self.card = card
        self._program = program  # its method reads from it
        self._method = program.load_method("forward")
        given = torch.zeros(1, len(card.features))
        self._inputs, self._row = [given], given.numpy()[0]
        self._told: list[NDArray[np.float32]] = []

    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        rows = model_input(matrix, self.card)
        scores, errors = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
        for at, row in enumerate(rows):
            self._row[:] = row
            self._method.set_inputs(self._inputs)
            self._method.execute()
            if not self._told:  # they lie nowhere before the first answer, and stay where they are after it
                self._told = [output.numpy() for output in self._method.get_outputs(clone_outputs=False)]
            score, error = self._told
            scores[at], errors[at] = score[0], error[0]
        return Answer(scores, errors)


class ExecuTorchExporter:
    """torch.export, PT2E's quantisation, and XNNPACK's partitioner."""

    name = "executorch"
    runtime = "ExecuTorch"
    precisions: tuple[str, ...] = ("fp32", "int8", "int8_static")
    extra = "phone"
    modules: tuple[str, ...] = ("torch", "executorch.extension.pybindings._C")

    def export(
        self, files: Mapping[str, bytes], *, precision: str = "fp32", rows: NDArray[np.float32] | None = None
    ) -> MobileArtifact:
        require("an export to ExecuTorch", self.extra, "executorch", "torchao")
        model = network_of(files, "ExecuTorch")
        quantiser = () if precision == "fp32" else ("torchao",)
        card = card_of(
            model.card,
            files[NETWORK_WEIGHTS],
            self.name,
            precision,
            apps_a_call=1,
            libraries=("executorch", "torch", *quantiser),
        )
        learnt = rows_to_learn_from(rows, precision) if precision == "int8_static" else None
        with quiet_libraries(), one_thread():
            return MobileArtifact(card, MODEL, _program(model.network, len(card.features), precision, learnt))

    def load(self, artifact: MobileArtifact) -> ExecuTorchRuntime:
        require("ExecuTorch", self.extra, "executorch")
        with quiet_libraries():
            # torch, whose libraries the other is linked against; executorch.runtime would import the exporter, for 5 s
            *_, runtime = [import_module(module) for module in self.modules]
            if runtime._threadpool_get_thread_count() != 1:
                runtime._unsafe_reset_threadpool(1)
            try:
                checked = runtime.Verification.InternalConsistency
                program = runtime._load_program_from_buffer(artifact.data, program_verification=checked)
                return ExecuTorchRuntime(program, artifact.card)
            except RuntimeError as error:
                raise unloadable(artifact, self.runtime) from error


def _program(network: nn.Module, features: int, precision: str, rows: NDArray[np.float32] | None) -> bytes:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    sample = (torch.zeros(1, features),)
    exported = torch.export.export(network.eval(), sample)
    if precision != "fp32":
        exported = torch.export.export(_quantised(exported.module(), sample, rows), sample)
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    return bytes(lowered.to_executorch().buffer)


def _quantised(module: Any, sample: tuple[Any, ...], rows: NDArray[np.float32] | None) -> Any:
    """The module with 8-bit matrix products: by scales learnt from rows, or, without any, found anew for each app."""
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    told = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=rows is None)
    prepared = prepare_pt2e(module, XNNPACKQuantizer().set_global(told))
    for row in sample[0] if rows is None else torch.from_numpy(rows):
        prepared(row[None])
    return convert_pt2e(prepared)
