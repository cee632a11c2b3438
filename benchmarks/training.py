"""Throughput of our trainer against a bare PyTorch loop on the same tensors, and the time of a whole training.

Both train the same network with the same batches, optimiser and calibration pass each epoch, on one thread, in turns;
the best of the rounds counts, as a disturbance only ever slows down. `--whole ae_large` then trains that preset on as
many generated rows as `--rows` says, through all epochs of its budget, and says how long that took on the clock.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from dfp_platform.models.configs import Configuration
from dfp_platform.models.data import TrainingData
from dfp_platform.models.lightning_data import AppsDataModule
from dfp_platform.models.lightning_training import fit_network
from dfp_platform.models.networks import NETWORKS
from dfp_platform.models.parts import SplitData
from dfp_platform.models.presets import parsed, resolve
from dfp_platform.models.threads import one_thread

SHARE, MINUTES = 0.9, 10.0
"""What the project promises: of a bare loop's throughput, and for 78,137 rows of the large autoencoder."""


def made_apps(rows: int, *, features: int = 474, seed: int = 1) -> SplitData:
    """Generated apps, 56 % to train, 14 % to calibrate, 30 % to test: counts around a plane of sixteen factors."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(16, features)).astype(np.float32)
    logs = random.normal(size=(rows, 16)).astype(np.float32) @ mixing * 0.3 + 2
    matrix = np.expm1(np.clip(logs, 0, 12)).round().astype(np.float32)
    labels = (random.random(rows) < 0.53).astype(np.int8)
    texts = np.array([str(row) for row in range(rows)], dtype=object)
    apps = TrainingData(
        device="real_device",
        features=tuple(f"sys_{column}" for column in range(features)),
        matrix=matrix,
        labels=labels,
        ids=texts,
        packages=texts,
        families=texts,
        dates=np.full(rows, np.datetime64("2019-01-01"), dtype="datetime64[D]"),
        time_rank=np.arange(rows),
        future=np.arange(rows) >= rows * 0.7,
    )
    return SplitData(apps.training, apps.calibration, apps.test)


def bare_loop(apps: SplitData, configuration: Configuration) -> None:
    """The training as a page of PyTorch: no trainer, no callbacks, no checkpoint."""
    training, model = configuration.training, configuration.model.model_dump()
    with one_thread():
        torch.manual_seed(training.seed)
        network = NETWORKS[model["kind"]](len(apps.features), configuration.model)
        module = AppsDataModule(apps, network, training)
        optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate, fused=True)
        for epoch in range(training.epochs):
            network.train()
            module.training.epoch = epoch
            for batch in module.training:
                optimiser.zero_grad()
                network.loss(batch, epoch).backward()
                optimiser.step()
            network.eval()
            with torch.no_grad():
                for batch in module.calibration:
                    network.calibration_loss(batch)


def seconds(train: Callable[[], object], *, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of one training; of CPU, as both train on one thread and other work of the machine is none of theirs."""
    begin = clock()
    train()
    return clock() - begin


def throughput(preset: str, *, rows: int, epochs: int, rounds: int) -> float:
    """Print and return our throughput as a share of the bare loop's."""
    apps = made_apps(rows)
    chosen = parsed([f"model={preset}", f"training.epochs={epochs}", f"training.patience={epochs}"])
    configuration = resolve({**chosen, "training.accelerator": "cpu"})
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        bare.append(seconds(lambda: bare_loop(apps, configuration)))
        ours.append(seconds(lambda: fit_network(apps, configuration, progress=False)))
    fitted = len(
        apps.training if NETWORKS[configuration.model.model_dump()["kind"]].sees_labels else apps.training.benign
    )
    share = min(bare) / min(ours)
    print(
        f"{preset}: {fitted * epochs / min(ours):,.0f} apps/s, bare loop {fitted * epochs / min(bare):,.0f}: "
        f"{share:.3f} of it (best of {rounds}, {fitted:,} apps x {epochs} epochs)"
    )
    return share


def main() -> int:
    """Measure; return 1 if a promise is broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=78_137)
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--models", default="ae_small,ae_large,vae,detector")
    options.add_argument("--whole", help="a preset to train by its whole budget")
    chosen = options.parse_args()
    broken = []
    for preset in filter(None, chosen.models.split(",")):
        if throughput(preset, rows=chosen.rows, epochs=chosen.epochs, rounds=chosen.rounds) < SHARE:
            broken.append(f"{preset} is slower than {SHARE:g} of a bare loop")
    if chosen.whole:
        apps, budget = made_apps(chosen.rows), resolve({"model": chosen.whole}).training.epochs
        configuration = resolve({"model": chosen.whole, "training.patience": budget})
        took = seconds(lambda: fit_network(apps, configuration), clock=time.perf_counter)
        print(f"{chosen.whole} on {chosen.rows:,} rows, {budget} epochs: {took:.0f} s")
        if took > MINUTES * 60:
            broken.append(f"{chosen.whole} took longer than {MINUTES:g} minutes")
    print("\n".join(broken) or "every promise holds")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
