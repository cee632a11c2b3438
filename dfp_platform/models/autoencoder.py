"""The network. Importing this module imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dfp_platform.models.configs import AutoencoderConfig
from dfp_platform.models.standardisation import Standardisation


class Autoencoder(nn.Module):
    """Raw feature values in, one reconstruction error an app out; the standardisation is part of the network.

    Args:
        features: columns of the input.
        config: widths and the bound of standardised values.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.limit = config.clip
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.encoder = nn.Sequential(
            nn.Linear(features, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(config.latent, config.hidden), nn.ReLU(), nn.Linear(config.hidden, features)
        )

    def adopt(self, standardisation: Standardisation) -> None:
        """Take a fitted standardisation into the network's buffers."""
        self.mean.copy_(torch.from_numpy(standardisation.mean))
        self.scale.copy_(torch.from_numpy(standardisation.scale))

    def standardise(self, raw: Tensor) -> Tensor:
        """Raw counts and flags, shape ``(apps, features)``, as numbers within ± `limit`; NaN becomes 0, the average."""
        known = ((torch.log1p(raw.clamp(min=0)) - self.mean) / self.scale).clamp(-self.limit, self.limit)
        return torch.where(torch.isnan(raw), 0.0, known)

    def errors(self, standardised: Tensor) -> Tensor:
        """Mean squared reconstruction error per app, shape ``(apps,)``, of standardised features (no unit)."""
        difference = self.decoder(self.encoder(standardised)) - standardised
        return (difference * difference).mean(dim=1)

    def forward(self, raw: Tensor) -> Tensor:
        """Scores, shape ``(apps,)``, of raw values, shape ``(apps, features)``. More is more unlike benign apps."""
        return self.errors(self.standardise(raw))
