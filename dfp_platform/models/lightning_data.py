"""Apps as Lightning takes them. Importing this module imports torch and Lightning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

import lightning.pytorch as pl
import torch
from torch import Tensor

from dfp_platform.models.configs import Configuration, TrainingConfig
from dfp_platform.models.networks import NETWORKS, Network
from dfp_platform.models.parts import Parts, parts
from dfp_platform.models.standardisation import Standardisation

if TYPE_CHECKING:
    import pyarrow as pa

    from dfp_platform.models.data import TrainingData

_EVALUATION_BATCH = 4_096


class Batches:
    """Whole batches cut out of tensors; a loader that collects app by app takes ten times as long.

    The order of an epoch is drawn from the seed and the epoch's number alone, so that a training that is resumed sees
    the batches it would have seen.

    Args:
        tensors: one entry an app along the first dimension of each.
        batch: apps a batch; the last one of an epoch may be smaller.
        seed: of the order; None: as they lie.

    Attributes:
        epoch: whose order comes next.
    """

    def __init__(self, tensors: Sequence[Tensor], *, batch: int, seed: int | None = None) -> None:
        self.tensors = tuple(tensors)
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if self.seed is None:
            yield from zip(*(tensor.split(self.batch) for tensor in self.tensors), strict=True)
            return
        generator = torch.Generator().manual_seed(seed_of_epoch(self.seed, self.epoch))
        order = torch.randperm(len(self.tensors[0]), generator=generator).to(self.tensors[0].device)
        for chosen in order.split(self.batch):
            yield tuple(tensor[chosen] for tensor in self.tensors)


class WholeEpochs:
    """Hands Lightning all batches of an epoch as one; why, see `lightning_training.Fitting`."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batches]:
        yield self.batches


class AppsDataModule(pl.LightningDataModule):
    """The apps a network is fitted on and those that stop the training, standardised once, in memory.

    The standardisation is fitted on the training apps only, the benign ones (others would tell the label), and is put
    into the network, with whose weights it is stored.

    Args:
        apps: apart by a split, raw.
        network: its `sees_labels` says whether malware takes part, and its buffers take the standardisation.
        training: batch and seed.
        device: where the tensors lie, moved there once.
    Raises:
        CalibrationError: too few benign apps to standardise by.
    """

    def __init__(
        self, apps: Parts, network: Network, training: TrainingConfig, *, device: str | torch.device = "cpu"
    ) -> None:
        super().__init__()
        benign = apps.training.benign.matrix
        network.adopt(Standardisation.fit(benign, floor=network.scale_floor, limit=network.limit))
        self.training = Batches(_tensors(network, apps.training, device), batch=training.batch, seed=training.seed)
        self.calibration = Batches(_tensors(network, apps.calibration, device), batch=_EVALUATION_BATCH)

    @classmethod
    def from_arrow(cls, table: pa.Table, configuration: Configuration) -> tuple[Self, Network]:
        """The apps of the lake's training table as a configuration wants them, and the new network they are for.

        Raises:
            InputError: see `parts.parts`.
        """
        model = configuration.model
        apps = parts(table, configuration.data, configuration.split)
        network = NETWORKS[model.kind](len(apps.features), model)
        return cls(apps, network, configuration.training), network

    def train_dataloader(self) -> WholeEpochs:
        return WholeEpochs(self.training)

    def val_dataloader(self) -> Batches:
        return self.calibration


def seed_of_epoch(seed: int, epoch: int) -> int:
    """A seed for everything that chance decides in one epoch."""
    return (seed * 1_000_003 + epoch) % 2**63


def _tensors(network: Network, apps: TrainingData, device: str | torch.device) -> tuple[Tensor, ...]:
    fitted = apps if network.sees_labels else apps.benign
    with torch.no_grad():
        standardised = network.standardise(torch.from_numpy(fitted.matrix)).to(device)
    if not network.sees_labels:
        return (standardised,)
    return standardised, torch.from_numpy(fitted.labels).to(device, torch.float32)
