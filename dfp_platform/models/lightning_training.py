"""Fitting the autoencoder with Lightning. Importing this module imports torch and Lightning."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset
from tqdm import tqdm

from dfp_platform.errors import CalibrationError
from dfp_platform.models.autoencoder import Autoencoder
from dfp_platform.models.configs import AutoencoderConfig
from dfp_platform.models.standardisation import Standardisation
from dfp_platform.models.threads import one_thread

CALIBRATION_LOSS = "calibration_loss"
_EVALUATION_BATCH = 4_096
_MIN_DELTA = 1e-4  # a gain below this is noise of the order of apps, not learning


class BenignApps(pl.LightningDataModule):
    """Benign apps, standardised once: the training slice in a seeded order, the calibration slice as it lies.

    Whole batches are cut out of one tensor; a loader that collects app by app takes ten times as long.
    """

    def __init__(self, training: Tensor, calibration: Tensor, *, batch: int, seed: int) -> None:
        super().__init__()
        self.training = TensorDataset(training)
        self.calibration = TensorDataset(calibration)
        self.batch = batch
        self.generator = torch.Generator().manual_seed(seed)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        order = RandomSampler(self.training, generator=self.generator)
        return DataLoader(self.training, sampler=BatchSampler(order, self.batch, drop_last=False), batch_size=None)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        order = SequentialSampler(self.calibration)
        return DataLoader(
            self.calibration, sampler=BatchSampler(order, _EVALUATION_BATCH, drop_last=False), batch_size=None
        )


class Reconstruction(pl.LightningModule):
    """The task: reconstruct benign apps; loss is the mean squared error over apps and standardised features."""

    def __init__(self, network: Autoencoder, *, learning_rate: float) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate
        self._losses: list[tuple[Tensor, int]] = []

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        loss = self.network.errors(batch[0]).mean()
        self._losses.append((loss.detach(), len(batch[0])))  # Lightning's log would take a fifth of the step
        return loss

    def take_training_loss(self) -> float:
        """Mean training loss over the apps since the last call."""
        total = sum(float(loss) * apps for loss, apps in self._losses)
        apps = sum(apps for _, apps in self._losses)
        self._losses.clear()
        return total / apps

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        loss = self.network.errors(batch[0]).mean()
        self.log(CALIBRATION_LOSS, loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.network.parameters(), lr=self.learning_rate, fused=True)


class BestWeights(Callback):
    """Keeps the losses of every epoch, and in memory the weights of the best one: a checkpoint without a file."""

    def __init__(self, task: Reconstruction) -> None:
        self.task = task
        self.history: list[tuple[float, float]] = []
        self.best_epoch = -1
        self._weights: dict[str, Tensor] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        calibration_loss = float(trainer.callback_metrics[CALIBRATION_LOSS])
        self.history.append((self.task.take_training_loss(), calibration_loss))
        if self.best_epoch < 0 or self.history[-1][1] < self.history[self.best_epoch][1]:
            self.best_epoch = len(self.history) - 1
            self._weights = {name: value.clone() for name, value in self.task.network.state_dict().items()}

    def restore(self) -> None:
        """Put the best epoch's weights back into the network."""
        self.task.network.load_state_dict(self._weights)


class EpochProgress(Callback):
    """One bar over epochs on stderr (stdout belongs to the program's answer), rare lines where nobody watches."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        interval = 0.2 if sys.stderr.isatty() else 10.0
        self.bar = tqdm(
            total=trainer.max_epochs, desc="autoencoder", unit="epoch", mininterval=interval, file=sys.stderr
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics[CALIBRATION_LOSS])
        self.bar.set_postfix_str(f"calibration loss {loss:.4f}", refresh=False)
        self.bar.update()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if hasattr(self, "bar"):
            self.bar.close()


def fit_autoencoder(
    training: NDArray[np.float32],
    calibration: NDArray[np.float32],
    *,
    config: AutoencoderConfig,
    progress: bool = True,
) -> tuple[Autoencoder, list[tuple[float, float]]]:
    """An autoencoder fitted on benign apps, bit-identical for equal inputs, library versions and kind of CPU.

    Args:
        training: raw values of benign training apps, shape ``(apps, features)``.
        calibration: raw values of later benign apps, for early stopping.
        config: widths and schedule.
        progress: whether to show a bar.

    Returns:
        The network with the weights of its best epoch, and per epoch the training and the calibration loss.

    Raises:
        CalibrationError: no later benign app to stop by, too few to fit on, or the loss is no number.
    """
    if not len(calibration):
        raise CalibrationError("no benign app in the calibration slice to stop the training by", hint="take more rows")
    standardisation = Standardisation.fit(training, floor=config.scale_floor, limit=config.clip)
    with _reproducible(config.seed):
        network = Autoencoder(training.shape[1], config)
        network.adopt(standardisation)
        with torch.no_grad():
            slices = [network.standardise(torch.from_numpy(rows)) for rows in (training, calibration)]
        apps = BenignApps(*slices, batch=config.batch, seed=config.seed)
        task = Reconstruction(network, learning_rate=config.learning_rate)
        keeper = BestWeights(task)
        with _interruptible():
            _trainer(config, [keeper, EpochProgress()] if progress else [keeper]).fit(task, apps)
    if not all(np.isfinite(keeper.history[keeper.best_epoch])):
        raise CalibrationError("the training diverged: its loss is no number", hint="lower the learning rate")
    keeper.restore()
    return network.eval(), keeper.history


def _trainer(config: AutoencoderConfig, callbacks: list[Callback]) -> pl.Trainer:
    stop = EarlyStopping(CALIBRATION_LOSS, patience=config.patience, min_delta=_MIN_DELTA, check_finite=True)
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=config.epochs,
        deterministic=True,
        callbacks=[*callbacks, stop],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt: Lightning would ignore every later one and leave by SystemExit."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise leaving.__context__ from None


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seeded, deterministic, single-threaded and quiet inside; the process is as before afterwards.

    Lightning's `seed_everything` would leave its seed in this process and in the environment of its children.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with torch.random.fork_rng(devices=[]), one_thread(), warnings.catch_warnings():
            # the whole slice is one tensor in memory: worker processes would only copy it
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            # a slice of a few batches is normal here; nothing is logged per step
            warnings.filterwarnings("ignore", message=".*number of training batches.*")
            # an accelerator may lie idle: bit-identical weights are worth more than speed for a net this small
            warnings.filterwarnings("ignore", message=".*available but not used.*")
            # Lightning 2.6 asks torch 2.14 in a way that is going away
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            torch.manual_seed(seed)
            yield
    finally:
        log.setLevel(level)
        torch.use_deterministic_algorithms(deterministic)
