"""The networks. Importing this module imports torch.

Every network takes raw feature values and answers two numbers an app: a score within 0 and 1, more is more suspicious,
and the reconstruction error, which grows with an app's distance from those of the training. The standardisation is part
of the network, so that every export takes raw values too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from dfp_platform.models.configs import DetectorConfig, NetworkConfig, VaeConfig
from dfp_platform.models.standardisation import Standardisation


class Network(nn.Module):
    """What all networks share: standardisation, encoder, decoder, and the two answers.

    Args:
        features: columns of the input.
        config: widths and the bound of standardised values.
    """

    mean: Tensor
    scale: Tensor
    usual_error: Tensor
    sees_labels = False
    """Whether it is fitted on all apps with their labels; else on benign apps alone."""

    def __init__(self, features: int, config: NetworkConfig) -> None:
        super().__init__()
        self.limit = config.clip
        self.scale_floor = config.scale_floor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("usual_error", torch.ones(()))
        self.encoder = layers([features, *config.hidden, config.latent])
        self.decoder = layers([config.latent, *reversed(config.hidden), features])

    def adopt(self, standardisation: Standardisation) -> None:
        """Take a fitted standardisation into the network's buffers."""
        self.mean.copy_(torch.from_numpy(standardisation.mean))
        self.scale.copy_(torch.from_numpy(standardisation.scale))

    def standardise(self, raw: Tensor) -> Tensor:
        """Raw counts and flags, shape ``(apps, features)``, as numbers within ± `limit`; NaN becomes 0, the average."""
        known = ((torch.log1p(raw.clamp(min=0)) - self.mean) / self.scale).clamp(-self.limit, self.limit)
        return torch.where(torch.isnan(raw), 0.0, known)

    def code(self, standardised: Tensor) -> Tensor:
        """What the bottleneck holds of standardised features, shape ``(apps, latent)``; the same every time."""
        return self.encoder(standardised)

    def errors(self, standardised: Tensor) -> Tensor:
        """Mean squared reconstruction error per app, shape ``(apps,)``, of standardised features (no unit)."""
        return squared_errors(self.decoder(self.code(standardised)), standardised)

    def loss(self, batch: Sequence[Tensor], epoch: int) -> Tensor:
        """What the training lowers: standardised features, and labels (float, 0 or 1) where `sees_labels`."""
        return self.errors(batch[0]).mean()

    def calibration_loss(self, batch: Sequence[Tensor]) -> Tensor:
        """What stops the training; free of chance, and the same measure in every epoch."""
        return self.loss(batch, epoch=0)

    def scores(self, code: Tensor, errors: Tensor) -> Tensor:
        """Within 0 and 1: 0.5 where the error is the largest that is usual, see `usual_error`."""
        return errors / (errors + self.usual_error)

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and reconstruction errors, each of shape ``(apps,)``, of raw values, shape ``(apps, features)``."""
        standardised = self.standardise(raw)
        code = self.code(standardised)
        errors = squared_errors(self.decoder(code), standardised)
        return self.scores(code, errors), errors


class Autoencoder(Network):
    """Reproduces benign apps; what it reproduces badly is unlike them."""


class Vae(Network):
    """A variational autoencoder: codes are drawn from a normal distribution per app in training, its mean in use.

    Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014); the growing weight of the divergence: Bowman et
    al., Generating Sentences from a Continuous Space (2016).
    """

    def __init__(self, features: int, config: VaeConfig) -> None:
        super().__init__(features, config)
        self.kl_weight = config.kl_weight
        self.kl_warm_up = config.kl_warm_up
        self.latent = config.latent
        self.encoder = layers([features, *config.hidden, 2 * config.latent])

    def code(self, standardised: Tensor) -> Tensor:
        return self.encoder(standardised)[:, : self.latent]

    def loss(self, batch: Sequence[Tensor], epoch: int) -> Tensor:
        mean, log_variance = self.encoder(batch[0]).split(self.latent, dim=1)
        code = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
        error = squared_errors(self.decoder(code), batch[0]).mean()
        return error + self.weight_of_divergence(epoch) * divergence(mean, log_variance).mean()

    def calibration_loss(self, batch: Sequence[Tensor]) -> Tensor:
        mean, log_variance = self.encoder(batch[0]).split(self.latent, dim=1)
        error = squared_errors(self.decoder(mean), batch[0]).mean()
        return error + self.kl_weight * divergence(mean, log_variance).mean()

    def weight_of_divergence(self, epoch: int) -> float:
        """Grows from 0 in epoch 0 to `kl_weight` in epoch `kl_warm_up`."""
        return self.kl_weight * (min(1.0, epoch / self.kl_warm_up) if self.kl_warm_up else 1.0)


class Detector(Network):
    """Tells malware from benign apps by a head on the encoder; the reconstruction error is its drift signal."""

    sees_labels = True

    def __init__(self, features: int, config: DetectorConfig) -> None:
        super().__init__(features, config)
        self.reconstruction_weight = config.reconstruction_weight
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(config.latent, 1))

    def loss(self, batch: Sequence[Tensor], epoch: int) -> Tensor:
        standardised, labels = batch
        code = self.code(standardised)
        told = nn.functional.binary_cross_entropy_with_logits(self.head(code).squeeze(1), labels)
        return told + self.reconstruction_weight * squared_errors(self.decoder(code), standardised).mean()

    def scores(self, code: Tensor, errors: Tensor) -> Tensor:
        """The probability of malware, as the head tells it."""
        return torch.sigmoid(self.head(code).squeeze(1))


NETWORKS: dict[str, Any] = {"autoencoder": Autoencoder, "vae": Vae, "detector": Detector}
"""By kind of model, as `configs.MODELS`."""


def layers(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths, with a rectifier between two."""
    made = [layer for before, after in pairwise(widths) for layer in (nn.Linear(before, after), nn.ReLU())]
    return nn.Sequential(*made[:-1])


def squared_errors(reconstructed: Tensor, standardised: Tensor) -> Tensor:
    """Mean over features, shape ``(apps,)``."""
    difference = reconstructed - standardised
    return (difference * difference).mean(dim=1)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of each app's normal code from a standard one, shape ``(apps,)``, in nats."""
    return 0.5 * (mean * mean + log_variance.exp() - 1 - log_variance).sum(dim=1)
