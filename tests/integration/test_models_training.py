"""Trainings: bit-identical, blind to the test and to malware, quiet, and honest about real apps."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from dfp_platform.errors import CalibrationError, CorruptLakeError, InputError
from dfp_platform.models.card import ModelCard, Origin
from dfp_platform.models.data import TrainingData
from dfp_platform.models.evaluation import evaluate
from dfp_platform.models.presets import resolve
from dfp_platform.models.training import TrainedModel, train
from dfp_platform.models.weights import load_model
from dfp_platform.settings import PROJECT_ROOT
from tests.apps import REAL_ROWS, real_table, sample_table, tiny_table
from tests.configured import NETWORKS, tiny

PRESETS = (*NETWORKS, "xgboost")
ELSEWHERE = """
import json
from dfp_platform.models.data import TrainingData
from tests.apps import tiny_table
from tests.integration.test_models_training import PRESETS, digests, trained_by
data = TrainingData.from_arrow(tiny_table())
print(json.dumps({preset: digests(trained_by(preset, data).files) for preset in PRESETS}))
"""


def trained_by(preset: str, data: TrainingData, *choices: str, **options) -> TrainedModel:
    return train(data, tiny(preset, *choices), progress=False, **options)


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


@pytest.fixture(scope="module")
def data():
    return TrainingData.from_arrow(tiny_table())


@pytest.fixture(scope="module", params=PRESETS)
def preset(request):
    return request.param


@pytest.fixture(scope="module")
def trained(data, preset):
    return trained_by(preset, data)


def with_arrays(data: TrainingData, **arrays) -> TrainingData:
    return TrainingData(**{name: getattr(data, name) for name in data.__slots__} | arrays)


@pytest.mark.timeout(400)  # two processes import torch and Lightning: minutes on a busy machine
def test_another_process_in_another_folder_trains_the_same_bytes_and_leaves_no_file(data, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONHASHSEED": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    here = {preset: digests(trained_by(preset, data).files) for preset in PRESETS}
    assert json.loads(answer.stdout) == here
    assert list(tmp_path.iterdir()) == []


def test_a_second_training_in_the_same_process_gives_the_same_bytes(data, preset, trained):
    np.random.default_rng(1)  # whatever else draws numbers in between
    assert trained_by(preset, data).files == trained.files


def test_the_test_apps_are_not_looked_at(data, preset, trained):
    matrix = data.matrix.copy()
    matrix[data.future] = 0
    assert trained_by(preset, with_arrays(data, matrix=matrix)).files == trained.files


def test_the_files_load_and_score_as_the_card_says(data, preset, trained):
    model = load_model(trained.files)
    assert model.card == trained.card
    scores = model.score(data.test.matrix)
    assert (scores.shape, scores.dtype) == ((len(data.test),), np.float32)
    assert np.array_equal(model.label(scores), scores > trained.card.threshold)
    benign = model.label(model.score(data.calibration.benign.matrix))
    assert benign.mean() <= 0.02


def test_scores_lie_within_0_and_1_and_errors_tell_how_far_an_app_is(data, preset, trained):
    told = load_model(trained.files).answer(data.test.matrix)
    assert (told.scores.min() >= 0, told.scores.max() <= 1) == (True, True)
    if preset == "xgboost":
        assert told.errors is None
        return
    far = np.where(np.arange(len(data.features)) % 2, 0, 1e6).astype(np.float32)[None, :]
    assert load_model(trained.files).answer(far).known_errors[0] > np.median(told.known_errors)
    assert trained.card.figures["usual_error"] > 0
    if preset != "detector":
        assert np.array_equal(np.argsort(told.scores, kind="stable"), np.argsort(told.known_errors, kind="stable"))
        assert trained.card.threshold == pytest.approx(0.5, abs=0.02)


def test_it_tells_made_malware_from_made_benign_apps(data, preset, trained):
    overall = evaluate({preset: [load_model(trained.files)]}, data, seed=1).models[0].overall
    assert overall.roc_auc > 0.9


def test_one_row_scores_as_it_does_among_others(data, preset, trained):
    model = load_model(trained.files)
    together = model.score(data.test.matrix)
    alone = np.concatenate([model.score(row[None, :]) for row in data.test.matrix[:20]])
    assert np.allclose(alone, together[:20], rtol=1e-5, atol=1e-6)


def test_an_unknown_value_is_scored_and_no_row_is_no_score(data, preset, trained):
    model = load_model(trained.files)
    unknown = data.test.matrix[:5].copy()
    unknown[:, 0] = np.nan
    assert np.isfinite(model.score(unknown)).all()
    assert model.score(data.matrix[:0]).shape == (0,)


def test_a_matrix_of_another_width_is_refused(data, trained):
    with pytest.raises(InputError, match="takes 12 features"):
        load_model(trained.files).score(data.matrix[:, 1:])


def test_a_column_major_matrix_scores_the_same(data, trained):
    model = load_model(trained.files)
    assert np.array_equal(model.score(np.asfortranarray(data.test.matrix)), model.score(data.test.matrix))


def test_the_card_reads_back_and_names_what_was_fitted_on(data, preset, trained):
    card = trained.card
    assert ModelCard.from_json(trained.files["card.json"]) == card
    assert card.features == data.features
    assert card.schema_hash == data.schema_hash
    fitted = data.training if preset in ("xgboost", "detector") else data.training.benign
    assert card.slices["training"].apps == len(fitted)
    assert card.slices["training"].malware == fitted.labels.sum()
    assert card.slices["calibration"].malware == 0
    assert card.slices["test"].first_rank == 840
    assert card.slices["training"].last_date < card.slices["test"].first_date
    assert card.threshold == float(np.float32(card.threshold))


def test_the_card_carries_what_only_the_caller_knows(data, preset):
    origin = Origin(repository="lake", content="abc", split_version="v1")
    card = load_model(trained_by(preset, data, origin=origin, synthetic=True).files).card
    assert (card.origin, card.synthetic) == (origin, True)


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_damaged_files_are_called_corrupt(trained, damage):
    (weights,) = set(trained.files) - {"card.json"}
    files = dict(trained.files)
    if damage == "missing":
        del files[weights]
    else:
        files[weights] = files[weights][:100] if damage == "cut" else b"not a model"
    with pytest.raises(CorruptLakeError):
        load_model(files)


def test_files_without_a_card_are_called_corrupt(trained):
    with pytest.raises(CorruptLakeError, match=r"card\.json is missing"):
        load_model({name: data for name, data in trained.files.items() if name != "card.json"})


def test_too_few_later_benign_apps_are_refused_before_training(preset):
    with pytest.raises(CalibrationError, match="too few to calibrate"):
        trained_by(preset, TrainingData.from_arrow(tiny_table(200)))


@pytest.mark.parametrize("preset", ["ae_small", "vae"])
def test_an_autoencoder_does_not_see_malware(data, preset):
    matrix = data.matrix.copy()
    matrix[data.labels == 1] = 7
    seen, blind = (trained_by(preset, part) for part in (data, with_arrays(data, matrix=matrix)))
    assert seen.files == blind.files


def test_the_seed_decides_the_weights(data):
    first, second = (trained_by("ae_small", data, f"training.seed={seed}").files for seed in (7, 8))
    assert first["weights.safetensors"] != second["weights.safetensors"]


def test_the_training_stops_early_and_keeps_its_best_epoch(data):
    patient = ("training.epochs=200", "training.patience=3", "training.learning_rate=0.02")
    trained = trained_by("ae_small", data, *patient)
    losses = [calibration for _, calibration in trained.history]
    assert len(losses) < 200
    assert trained.card.figures["epochs"] == len(losses)
    assert trained.card.figures["calibration_loss"] == min(losses)
    errors = load_model(trained.files).answer(data.calibration.benign.matrix).known_errors
    assert errors.mean() == pytest.approx(min(losses), rel=1e-4)


def test_a_training_that_diverges_says_so(data):
    with pytest.raises(CalibrationError, match="diverged"):
        trained_by("ae_small", data, "training.learning_rate=1e30")


def test_an_interrupted_training_stays_interrupted_and_the_next_one_can_be_too(data, monkeypatch):
    from dfp_platform.models.lightning_training import BestWeights

    def interrupt(*_):
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(BestWeights, "on_train_epoch_end", interrupt)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained_by("ae_small", data)
        assert signal.getsignal(signal.SIGINT) == before


def test_the_process_is_left_as_it_was(data, monkeypatch, tmp_path):
    import torch

    monkeypatch.chdir(tmp_path)
    environment = dict(os.environ)
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    threads = torch.get_num_threads()
    trained_by("vae", data)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert dict(os.environ) == environment
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_to_stderr_and_leaves_stdout_to_the_answer(data, capsys):
    train(data, tiny("ae_small"))
    heard = capsys.readouterr()
    assert heard.out == ""
    assert "6/6" in heard.err
    assert "calibration loss" in heard.err


@pytest.mark.parametrize("preset", ["xgboost", "detector"])
def test_labels_of_which_there_is_one_cannot_be_learnt(data, preset):
    with pytest.raises(CalibrationError, match="same label"):
        trained_by(preset, with_arrays(data, labels=np.zeros_like(data.labels)))


def test_the_seeded_sample_trains_both_models_with_their_defaults():
    data = TrainingData.from_arrow(sample_table(2_500))
    models = {
        preset: [load_model(train(data, resolve({"model": preset}), synthetic=True, progress=False).files)]
        for preset in ("ae_small", "xgboost")
    }
    evaluation = evaluate(models, data, seed=7)
    assert evaluation.synthetic
    assert all(model.overall.roc_auc > 0.6 for model in evaluation.models)


@pytest.mark.skipif(not REAL_ROWS.exists(), reason="the real rows are shared beside the repository, not in it")
def test_on_real_apps_the_scores_are_those_measured_before():
    data = TrainingData.from_arrow(real_table())
    models = {
        preset: [load_model(train(data, resolve({"model": preset}), progress=False).files)]
        for preset in ("ae_small", "xgboost")
    }
    autoencoder, reference = evaluate(models, data, seed=7).models
    assert 0.87 < autoencoder.overall.roc_auc < 0.94
    assert 0.52 < autoencoder.overall.average_precision < 0.65
    assert reference.overall.roc_auc > 0.985
    assert reference.overall.average_precision > 0.95
    assert autoencoder.unseen_packages.roc_auc < autoencoder.overall.roc_auc
