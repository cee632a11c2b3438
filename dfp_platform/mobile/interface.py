"""What every exporter promises, and the exporters there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_platform.mobile.artifact import MobileArtifact, MobileCard
from dfp_platform.mobile.executorch import ExecuTorchExporter
from dfp_platform.mobile.litert import LiteRtExporter
from dfp_platform.mobile.onnx import OnnxExporter
from dfp_platform.models.weights import Answer


class Runtime(Protocol):
    """An exported model, loaded and ready to score on one thread, for one caller at a time (that of ONNX: for many)."""

    card: MobileCard

    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        """Scores and reconstruction errors of raw feature values, shape ``(apps, features)``.

        Raises:
            InputError: as `score`.
        """
        ...

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores, shape ``(apps,)``, of raw feature values, shape ``(apps, features)``; more is more suspicious.

        Raises:
            InputError: the matrix has another number of columns than the model has features.
        """
        ...

    def label(self, scores: NDArray[np.float32]) -> NDArray[np.int8]:
        """1 where a score is above the artifact's threshold, else 0."""
        ...


class Exporter(Protocol):
    """One way out of PyTorch. A new one is one file here and one line in `EXPORTERS`; the contract tests find it.

    Attributes:
        name: the key in `EXPORTERS`.
        runtime: what runs its artifacts, in words.
        precisions: number formats it has: ``fp32`` always; ``fp16``; ``int8``, weights of 8 bits, what flows between
            layers scaled anew for each app; ``int8_static``, both by scales that were learnt beforehand.
        extra: the extra of this project's package that brings its libraries; empty: they are always there.
        modules: what running its artifacts imports; the benchmark times that apart from loading.
    """

    name: str
    runtime: str
    precisions: tuple[str, ...]
    extra: str
    modules: tuple[str, ...]

    def export(
        self, files: Mapping[str, bytes], *, precision: str = "fp32", rows: NDArray[np.float32] | None = None
    ) -> MobileArtifact:
        """The artifact of the network with these files (see `models.weights`): raw values in, score and error out.

        Equal files and rows give equal bytes, whatever the folder, the process or the time. The artifact bears the
        model's own threshold; `exporting.export` gives a quantised one its own.

        Args:
            precision: one of `precisions`.
            rows: raw values of apps the model was fitted on, from which ``int8_static`` learns its scales.

        Raises:
            InputError: the files hold a model that this exporter cannot export, or rows are wanted and there are none.
            MissingExtraError: its libraries are not installed.
        """
        ...

    def load(self, artifact: MobileArtifact) -> Runtime:
        """The artifact, ready to score.

        Raises:
            CorruptLakeError: its bytes are no such model.
            MissingExtraError: its libraries are not installed.
        """
        ...


EXPORTERS: dict[str, Exporter] = {
    exporter.name: exporter for exporter in (OnnxExporter(), LiteRtExporter(), ExecuTorchExporter())
}
