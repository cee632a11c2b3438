"""Fitting a network with Lightning. Importing this module imports torch and Lightning."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor
from tqdm import tqdm

from dfp_platform.errors import CalibrationError
from dfp_platform.models.checkpoints import Checkpoint
from dfp_platform.models.configs import Configuration, TrainingConfig
from dfp_platform.models.lightning_data import AppsDataModule, Batches, seed_of_epoch
from dfp_platform.models.networks import NETWORKS, Network
from dfp_platform.models.parts import Parts
from dfp_platform.models.threads import one_thread

CALIBRATION_LOSS = "calibration_loss"
_MIN_DELTA = 1e-4  # a gain below this is noise of the order of apps, not learning


class Fitting(pl.LightningModule):
    """The task: lower a network's loss. Whatever chance decides in an epoch follows from the seed and its number.

    A step of Lightning is a whole epoch here: its hooks around each batch would take a third of the time of nets this
    small. What it does for an epoch (calibration, early stopping, checkpoints, interrupts) is left to it.
    """

    def __init__(self, network: Network, training: TrainingConfig) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.seed = training.seed
        self.learning_rate = training.learning_rate
        self.training_loss = float("nan")

    def training_step(self, batches: Batches, index: int) -> None:
        """One pass over the training apps; leaves the mean loss over them in `training_loss`."""
        torch.manual_seed(seed_of_epoch(self.seed, self.current_epoch))
        batches.epoch = self.current_epoch
        optimiser = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimiser, torch.optim.Optimizer)
        losses, sizes = [], []
        for batch in batches:
            optimiser.zero_grad()
            loss = self.network.loss(batch, self.current_epoch)
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
            sizes.append(len(batch[0]))
        self.training_loss = float(np.average(torch.stack(losses).cpu().numpy(), weights=sizes))

    def validation_step(self, batch: tuple[Tensor, ...], index: int) -> None:
        loss = self.network.calibration_loss(batch)
        self.log(CALIBRATION_LOSS, loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.network.parameters(), lr=self.learning_rate, fused=True)


class BestWeights(Callback):
    """Keeps the losses of every epoch, and in memory the weights of the best one; both go into checkpoints."""

    def __init__(self, task: Fitting) -> None:
        self.task = task
        self.history: list[tuple[float, float]] = []
        self.best_epoch = -1
        self._weights: dict[str, Tensor] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        calibration_loss = float(trainer.callback_metrics[CALIBRATION_LOSS])
        self.history.append((self.task.training_loss, calibration_loss))
        if self.best_epoch < 0 or self.history[-1][1] < self.history[self.best_epoch][1]:
            self.best_epoch = len(self.history) - 1
            self._weights = {name: value.clone() for name, value in self.task.network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best_epoch": self.best_epoch, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = [(float(training), float(calibration)) for training, calibration in state_dict["history"]]
        self.best_epoch, self._weights = state_dict["best_epoch"], state_dict["weights"]

    def restore(self) -> None:
        """Put the best epoch's weights back into the network."""
        self.task.network.load_state_dict(self._weights)


class SaveCheckpoint(Callback):
    """Writes what a later process needs to go on, between epochs and not more often than the checkpoint wants.

    An epoch that ends the training is not kept: resumed from it, Lightning would train one epoch more.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.should_stop and self.checkpoint.due():
            with self.checkpoint.writing() as unfinished:
                trainer.save_checkpoint(unfinished)


class EpochProgress(Callback):
    """One bar over epochs on stderr (stdout belongs to the program's answer), rare lines where nobody watches."""

    def __init__(self, name: str) -> None:
        self.name = name

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        interval = 0.2 if sys.stderr.isatty() else 10.0
        self.bar = tqdm(
            total=trainer.max_epochs,
            initial=trainer.current_epoch,
            desc=self.name,
            unit="epoch",
            mininterval=interval,
            file=sys.stderr,
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics[CALIBRATION_LOSS])
        self.bar.set_postfix_str(f"calibration loss {loss:.4f}", refresh=False)
        self.bar.update()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if hasattr(self, "bar"):
            self.bar.close()


def fit_network(
    apps: Parts, configuration: Configuration, *, checkpoint: Checkpoint | None = None, progress: bool = True
) -> tuple[Network, list[tuple[float, float]]]:
    """A network fitted on the training apps, bit-identical for equal inputs, library versions and kind of CPU.

    Args:
        apps: apart by the configured split; the test is not looked at.
        configuration: of a network.
        checkpoint: where a training that was killed goes on, and leaves what a later one needs; None: nowhere.
        progress: whether to show a bar.

    Returns:
        The network, on the CPU, with the weights of its best epoch, and per epoch the training and calibration loss.

    Raises:
        CalibrationError: no app to stop by, too few to fit on, or the loss is no number.
        ConfigurationError: a GPU is asked for and there is none.
    """
    training, model = configuration.training, configuration.model
    with _reproducible(training.seed):
        network = NETWORKS[model.kind](len(apps.features), model)
        module = AppsDataModule(apps, network, training, device=accelerator(training.accelerator))
        task = Fitting(network, training)
        keeper = BestWeights(task)
        callbacks: list[Callback] = [keeper, *([EpochProgress(configuration.name)] if progress else [])]
        with _interruptible():
            _fit(task, module, training, callbacks, checkpoint)
    if not all(np.isfinite(keeper.history[keeper.best_epoch])):
        raise CalibrationError("the training diverged: its loss is no number", hint="lower the learning rate")
    keeper.restore()
    return network.cpu().eval(), keeper.history


def accelerator(wanted: str) -> str:
    """``cuda`` or ``cpu``. Raises ConfigurationError: `wanted` is ``gpu``, and there is none."""
    from dfp_platform.errors import ConfigurationError

    found = torch.cuda.is_available()
    if wanted == "gpu" and not found:
        raise ConfigurationError(
            "training.accelerator=gpu, but PyTorch sees no GPU here",
            hint="training.accelerator=auto takes one if there is one",
            setting="training.accelerator",
        )
    return "cuda" if found and wanted != "cpu" else "cpu"


def _fit(
    task: Fitting,
    module: AppsDataModule,
    training: TrainingConfig,
    callbacks: list[Callback],
    checkpoint: Checkpoint | None,
) -> None:
    stop = EarlyStopping(CALIBRATION_LOSS, patience=training.patience, min_delta=_MIN_DELTA, check_finite=True)
    trainer = pl.Trainer(
        accelerator=accelerator(training.accelerator),
        devices=1,
        max_epochs=training.epochs,
        deterministic=True,
        callbacks=[*callbacks, stop, *([SaveCheckpoint(checkpoint)] if checkpoint else [])],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
    found = checkpoint.found() if checkpoint else None
    trainer.fit(task, module, ckpt_path=found, weights_only=True)


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
        with (
            torch.random.fork_rng(devices=range(torch.cuda.device_count())),
            one_thread(),
            warnings.catch_warnings(),
        ):
            # a slice of a few batches is normal here; nothing is logged per step
            warnings.filterwarnings("ignore", message=".*number of training batches.*")
            # an accelerator may lie idle where the configuration says so
            warnings.filterwarnings("ignore", message=".*available but not used.*")
            # Lightning 2.6 asks torch 2.14 in a way that is going away
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            torch.manual_seed(seed)
            yield
    finally:
        log.setLevel(level)
        torch.use_deterministic_algorithms(deterministic)
