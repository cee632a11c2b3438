"""An exported model: its files and its card."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import ConfigurationError, CorruptLakeError, InputError
from dfp_platform.models.card import ModelCard, Origin
from dfp_platform.models.records import Record
from dfp_platform.models.training import versions
from dfp_platform.models.weights import Answer, NetworkScorer, labels, load_model

CARD = "card.json"


class MobileCard(Record):
    """What an exported model is, what it was made from and how to use it.

    Attributes:
        name: the noun of its lake path, ``autoencoder_onnx``.
        exporter: key in `interface.EXPORTERS`.
        precision: number format, see `interface.Exporter`: ``fp32``, ``fp16``, ``int8``, ``int8_static``.
        model: name of the model it was made from.
        weights_sha256: digest of that model's weights file.
        device: device whose apps the model was trained on.
        features: columns of the input, in order: raw values as landed, float32; NaN where unknown.
        schema_hash: identity of those columns, see `models.data.feature_schema_hash`.
        input: name of the input, shape ``(apps, features)``; empty: it is the only one.
        output: name of the output that holds scores, shape ``(apps,)``, within 0 and 1; more is more suspicious.
            Empty: it is the first one.
        error_output: name of the output that holds reconstruction errors, shape ``(apps,)``. Empty: the second one.
        apps_a_call: how many apps one call takes, or may take without changing each other's scores; None: any number.
        threshold: an app with a higher score raises an alarm; exactly a float32. That of a quantised model is its own.
        libraries: versions that took part in the export; other versions may give other bytes.
        synthetic: whether the model was trained on generated apps.
        origin: the training table of the model.
    """

    name: str
    exporter: str
    precision: str
    model: str
    weights_sha256: str
    device: str
    features: tuple[str, ...]
    schema_hash: str
    input: str
    output: str
    error_output: str
    apps_a_call: int | None = None
    threshold: float
    libraries: dict[str, str]
    synthetic: bool = False
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class MobileArtifact:
    """An exported model.

    Attributes:
        card: its card.
        model: name of its one model file, ``model.onnx``.
        data: the bytes of that file.
    """

    card: MobileCard
    model: str
    data: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """Name → bytes, equal for equal models; read back by `from_files`."""
        return {self.model: self.data, CARD: self.card.to_json()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> MobileArtifact:
        """The artifact whose `files` these are.

        Raises:
            CorruptLakeError: they are not one card and one model file.
        """
        models = sorted(set(files) - {CARD})
        if CARD not in files or len(models) != 1:
            raise CorruptLakeError(
                f"an exported model is {CARD} and one model file, not: {', '.join(sorted(files)) or 'nothing'}",
                hint="read all files beneath the artifact's path at one commit",
                path=CARD,
            )
        return cls(MobileCard.from_json(files[CARD]), models[0], files[models[0]])

    @property
    def sha256(self) -> str:
        """Digest of the model file, hex."""
        return hashlib.sha256(self.data).hexdigest()


def artifact_name(model: str, exporter: str, precision: str = "fp32") -> str:
    """The noun of an artifact's lake path: ``autoencoder_onnx``, ``autoencoder_litert_int8``."""
    return f"{model}_{exporter}" if precision == "fp32" else f"{model}_{exporter}_{precision}"


def network_of(files: Mapping[str, bytes], exporter: str) -> NetworkScorer:
    """The network with these files. Raises InputError: the model is none, so it has no way to phones."""
    model = load_model(files)
    if not isinstance(model, NetworkScorer):
        raise InputError(
            f"model {model.card.name} is of kind {model.card.kind}; only networks are exported to {exporter}",
            hint="name models/autoencoder",
        )
    return model


def card_of(
    model: ModelCard,
    weights: bytes,
    exporter: str,
    precision: str,
    *,
    names: tuple[str, str, str] = ("", "", ""),
    apps_a_call: int | None = None,
    libraries: tuple[str, ...],
) -> MobileCard:
    """The card of an artifact.

    Args:
        model: the card of the network it is made from.
        weights: that network's file of weights.
        names: of the input, the scores and the errors.
        libraries: distributions whose versions take part.
    """
    return MobileCard(
        name=artifact_name(model.name, exporter, precision),
        exporter=exporter,
        precision=precision,
        model=model.name,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        device=model.device,
        features=model.features,
        schema_hash=model.schema_hash,
        input=names[0],
        output=names[1],
        error_output=names[2],
        apps_a_call=apps_a_call,
        threshold=model.threshold,
        libraries=versions(*libraries),
        synthetic=model.synthetic,
        origin=model.origin,
    )


class LoadedArtifact(ABC):
    """An artifact that is ready to score on one thread: what all runtimes share, see `interface.Runtime`."""

    card: MobileCard

    @abstractmethod
    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        """Scores and reconstruction errors of raw feature values, shape ``(apps, features)``."""

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores, shape ``(apps,)``; more is more suspicious."""
        return self.answer(matrix).scores

    def label(self, scores: NDArray[np.float32]) -> NDArray[np.int8]:
        """1 where a score is above the artifact's threshold, else 0."""
        return labels(scores, self.card)


def rows_to_learn_from(rows: NDArray[np.float32] | None, precision: str) -> NDArray[np.float32]:
    """The rows that a static quantisation needs. Raises InputError: there are none."""
    if rows is None or not len(rows):
        raise InputError(f"{precision} learns its scales from apps, and there are none", hint="give training rows")
    return np.ascontiguousarray(rows, dtype=np.float32)


def require(exporter: str, extra: str, *modules: str) -> None:
    """Raise ConfigurationError: an exporter's libraries are not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ConfigurationError(
            f"{exporter} needs {', '.join(missing)}, which is not installed",
            hint=f"install the extra {extra}: make {extra}",
            setting=extra,
        )


def unloadable(artifact: MobileArtifact, runtime: str) -> CorruptLakeError:
    """What is raised where a runtime cannot read an artifact."""
    return CorruptLakeError(
        f"{artifact.model} of {artifact.card.name} is no model that {runtime} can load",
        hint="read it at the commit that wrote it, or export it again",
        path=artifact.model,
    )
