"""A training that is killed between two epochs goes on, and ends with the bytes of one that was not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfp_platform.models import checkpoints
from dfp_platform.models.checkpoints import Checkpoint, checkpoint_of
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import TrainedModel, train
from dfp_platform.settings import PROJECT_ROOT
from tests.apps import tiny_table
from tests.configured import tiny

PRESETS = ("ae_small", "vae", "detector")
CHOICES = ("training.epochs=30", "training.patience=2", "training.learning_rate=0.02")
"""So that patience ends a training some epochs after the kill: what early stopping counted has to survive too."""

KILLED_AFTER = 3
KILLED = f"""
import os, signal, sys, time
from pathlib import Path
from dfp_platform.models import checkpoints
from dfp_platform.models.lightning_training import SaveCheckpoint
from tests.integration.test_models_resuming import PRESETS, trained

checkpoints.SECONDS_BETWEEN = 0
home, save, [told, tell] = Path(sys.argv[1]), SaveCheckpoint.on_train_epoch_end, os.pipe()

def save_and_wait(self, trainer, pl_module):
    save(self, trainer, pl_module)
    if trainer.current_epoch == {KILLED_AFTER - 1}:
        os.write(tell, b"saved")
        time.sleep(600)

SaveCheckpoint.on_train_epoch_end = save_and_wait
for preset in PRESETS:
    training = os.fork()
    if training == 0:
        trained(preset, home / preset)
        os._exit(1)
    assert os.read(told, 5) == b"saved"
    os.kill(training, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(training, 0)[1]) == -signal.SIGKILL
"""
"""Starts the training of each preset in a process of its own and kills it when its third epoch is kept."""


def trained(preset: str, home: Path | None, *choices: str) -> TrainedModel:
    data = TrainingData.from_arrow(tiny_table())
    return train(data, tiny(preset, *CHOICES, *choices), progress=False, checkpoints=home)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of trainings that were killed, a folder a preset."""
    home = tmp_path_factory.mktemp("killed")
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(home)],
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        check=True,
        timeout=300,
    )
    return home


@pytest.mark.timeout(400)  # another process imports torch and Lightning: minutes on a busy machine
@pytest.mark.parametrize("preset", PRESETS)
def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(
    preset: str, killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfp_platform.models.lightning_training import Fitting

    wanted, epochs, step = trained(preset, None), [], Fitting.training_step

    def counted(task: Fitting, *batch: object) -> None:
        epochs.append(task.current_epoch)
        step(task, *batch)

    monkeypatch.setattr(Fitting, "training_step", counted)
    assert len(list((killed / preset).glob("*.ckpt"))) == 1
    resumed = trained(preset, killed / preset)
    assert resumed.history == wanted.history
    assert resumed.files == wanted.files
    assert KILLED_AFTER < len(wanted.history) < 30, "patience ended it, after the kill"
    assert epochs == list(range(KILLED_AFTER, len(wanted.history))), "what was done is not done again"
    assert list((killed / preset).iterdir()) == [], "nothing is left of a training that ended"


def test_another_training_does_not_go_on_from_it(tmp_path: Path) -> None:
    data, told = TrainingData.from_arrow(tiny_table()), tiny("ae_small")
    less = data.take(slice(10, None))
    files = {
        checkpoint_of(tmp_path, data, told, {"torch": "1"}).file,
        checkpoint_of(tmp_path, data, tiny("ae_small", "training.seed=8"), {"torch": "1"}).file,
        checkpoint_of(tmp_path, less, told, {"torch": "1"}).file,
        checkpoint_of(tmp_path, data, told, {"torch": "2"}).file,
    }
    assert len(files) == 4
    assert checkpoint_of(tmp_path, data, told, {"torch": "1"}).file in files


def test_a_short_training_writes_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpoint, "writing", None)
    trained("ae_small", tmp_path, "training.epochs=3")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_whole_or_the_one_before(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "training.ckpt")
    assert kept.found() is None
    with kept.writing() as file:
        file.write_bytes(b"first")

    def interrupted() -> None:
        with kept.writing() as unfinished:
            unfinished.write_bytes(b"sec")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    found = kept.found()
    assert found is not None
    assert found.read_bytes() == b"first"
    kept.remove()
    assert kept.found() is None


def test_a_checkpoint_is_due_after_some_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoint(tmp_path / "training.ckpt")
    assert not kept.due()
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)
    assert kept.due()


def test_a_checkpoint_that_nobody_went_on_from_for_a_month_is_removed(tmp_path: Path) -> None:
    for name, age in (("old", 31), ("new", 29)):
        (tmp_path / name).touch()
        then = time.time() - age * 24 * 3600
        os.utime(tmp_path / name, (then, then))
    checkpoint_of(tmp_path, TrainingData.from_arrow(tiny_table(50)), tiny("ae_small"), {})
    assert [file.name for file in tmp_path.iterdir()] == ["new"]
