"""A trained model ↔ its files: weights and card, deterministic bytes, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import CorruptLakeError, InputError
from dfp_platform.models.card import ModelCard
from dfp_platform.models.threads import one_thread

if TYPE_CHECKING:
    import xgboost

    from dfp_platform.models.networks import Network

CARD = "card.json"
NETWORK_WEIGHTS = "weights.safetensors"
REFERENCE_WEIGHTS = "model.ubj"

_BATCH = 8_192  # apps scored at once: bounds memory, not results


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a model says of apps; arrays of shape ``(apps,)``.

    Attributes:
        scores: within 0 and 1; more is more suspicious.
        errors: reconstruction error, mean squared over standardised features: how far an app is from those of the
            training. None: the model has none (trees).
    """

    scores: NDArray[np.float32]
    errors: NDArray[np.float32] | None

    @property
    def known_errors(self) -> NDArray[np.float32]:
        """The errors of a model that has some."""
        assert self.errors is not None
        return self.errors


class Scorer(Protocol):
    """A loaded model, whichever kind it is."""

    card: ModelCard

    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        """Scores and reconstruction errors of raw feature values, shape ``(apps, features)``.

        Raises:
            InputError: the matrix has another number of columns than the model has features.
        """
        ...

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores, shape ``(apps,)``, of raw feature values, shape ``(apps, features)``; more is more suspicious.

        Raises:
            InputError: the matrix has another number of columns than the model has features.
        """
        ...

    def label(self, scores: NDArray[np.float32]) -> NDArray[np.int8]:
        """1 where a score is above the model's calibrated threshold, else 0."""
        ...


class NetworkScorer:
    """A network by PyTorch on one thread."""

    def __init__(self, network: Network, card: ModelCard) -> None:
        self.network = network.eval()
        self.card = card

    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        import torch

        rows = model_input(matrix, self.card)
        with torch.inference_mode(), one_thread():
            parts = [self.network(torch.from_numpy(rows[at : at + _BATCH])) for at in range(0, len(rows), _BATCH)]
        if not parts:
            return Answer(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32))
        scores, errors = (torch.cat(told).numpy() for told in zip(*parts, strict=True))
        return Answer(scores, errors)

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.answer(matrix).scores

    def label(self, scores: NDArray[np.float32]) -> NDArray[np.int8]:
        return labels(scores, self.card)


class ReferenceScorer:
    """Gradient-boosted trees by XGBoost; the score is its probability of malware."""

    def __init__(self, booster: xgboost.Booster, card: ModelCard) -> None:
        self.booster = booster
        self.card = card

    def answer(self, matrix: NDArray[np.float32]) -> Answer:
        return Answer(self.score(matrix), None)

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = model_input(matrix, self.card)
        return np.asarray(self.booster.inplace_predict(rows), dtype=np.float32).reshape(len(rows))

    def label(self, scores: NDArray[np.float32]) -> NDArray[np.int8]:
        return labels(scores, self.card)


class Taking(Protocol):
    """What is asked with rows of features and answers scores: the card of a model, or of an artifact of it."""

    @property
    def name(self) -> str: ...

    @property
    def features(self) -> tuple[str, ...]: ...

    @property
    def threshold(self) -> float: ...


def model_input(matrix: NDArray[np.float32], card: Taking) -> NDArray[np.float32]:
    """`matrix` as float32 rows, C-contiguous (copied only if it is not yet).

    Raises:
        InputError: it has another number of columns than the model has features.
    """
    if matrix.ndim != 2 or matrix.shape[1] != len(card.features):
        raise InputError(
            f"{card.name} takes {len(card.features)} features, not an array of shape {matrix.shape}",
            hint="build the matrix from the card's feature names",
        )
    return np.ascontiguousarray(matrix, dtype=np.float32)


def labels(scores: NDArray[np.float32], card: Taking) -> NDArray[np.int8]:
    """1 where a score is above the card's threshold, else 0; shape as `scores`."""
    return (scores > np.float32(card.threshold)).astype(np.int8)


def network_files(network: Network, card: ModelCard) -> dict[str, bytes]:
    """The files of a trained network: equal weights and cards give equal bytes."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().contiguous() for name, tensor in sorted(network.state_dict().items())}
    return {NETWORK_WEIGHTS: save(tensors), CARD: card.to_json()}


def reference_files(booster: xgboost.Booster, card: ModelCard) -> dict[str, bytes]:
    """The files of the trained reference model, trees as UBJSON."""
    return {REFERENCE_WEIGHTS: bytes(booster.save_raw(raw_format="ubj")), CARD: card.to_json()}


def read_card(files: Mapping[str, bytes]) -> ModelCard:
    """The card among a model's files.

    Raises:
        CorruptLakeError: there is none, or it is not readable.
    """
    return ModelCard.from_json(_file(files, CARD))


def load_model(files: Mapping[str, bytes]) -> Scorer:
    """The model whose files these are, ready to score.

    Raises:
        CorruptLakeError: a file is missing or is not what its name says.
    """
    card = read_card(files)
    return LOADERS[card.kind](files, card)


def load_network(files: Mapping[str, bytes], card: ModelCard) -> NetworkScorer:
    """The network with the weights in `files`, see `load_model`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    from dfp_platform.models.networks import NETWORKS

    network = NETWORKS[card.kind](len(card.features), card.configuration.model)
    try:
        network.load_state_dict(load(_file(files, NETWORK_WEIGHTS)))
    except (SafetensorError, RuntimeError) as error:
        raise _corrupt(NETWORK_WEIGHTS, card) from error
    return NetworkScorer(network, card)


def load_reference(files: Mapping[str, bytes], card: ModelCard) -> ReferenceScorer:
    """The trees in `files`, see `load_model`."""
    import xgboost

    booster = xgboost.Booster(params={"nthread": 1})
    try:
        booster.load_model(bytearray(_file(files, REFERENCE_WEIGHTS)))
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise _corrupt(REFERENCE_WEIGHTS, card) from error
    return ReferenceScorer(booster, card)


LOADERS: dict[str, Any] = {
    "autoencoder": load_network,
    "vae": load_network,
    "detector": load_network,
    "xgboost": load_reference,
}
"""By kind of model, as `configs.MODELS`."""


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise CorruptLakeError(
            f"a model's file {name} is missing; there are: {', '.join(sorted(files)) or 'none'}",
            hint="read all files beneath the model's path at one commit",
            path=name,
        )
    return files[name]


def _corrupt(name: str, card: ModelCard) -> CorruptLakeError:
    return CorruptLakeError(
        f"{name} does not hold the weights that the card of {card.name} describes",
        hint="read the model at the commit that wrote it, or train it again",
        path=name,
    )
