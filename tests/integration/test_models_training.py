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
from dfp_platform.models.configs import AutoencoderConfig, ReferenceConfig
from dfp_platform.models.data import TrainingData
from dfp_platform.models.evaluation import evaluate
from dfp_platform.models.reference import train_reference
from dfp_platform.models.training import train_autoencoder
from dfp_platform.models.weights import load_model
from dfp_platform.settings import PROJECT_ROOT
from tests.apps import REAL_ROWS, real_table, sample_table, tiny_table

SMALL = AutoencoderConfig(hidden=16, latent=3, epochs=6, batch=32)
FEW = ReferenceConfig(rounds=10, max_depth=3)
TRAININGS = {
    "autoencoder": lambda data, **options: train_autoencoder(data, config=SMALL, progress=False, **options),
    "xgboost": lambda data, **options: train_reference(data, config=FEW, **options),
}
ELSEWHERE = """
import json
from dfp_platform.models.data import TrainingData
from tests.apps import tiny_table
from tests.integration.test_models_training import TRAININGS, digests
data = TrainingData.from_arrow(tiny_table())
print(json.dumps({kind: digests(train(data).files) for kind, train in TRAININGS.items()}))
"""


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


@pytest.fixture(scope="module")
def data():
    return TrainingData.from_arrow(tiny_table())


@pytest.fixture(scope="module", params=TRAININGS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def trained(data, kind):
    return TRAININGS[kind](data)


def with_arrays(data: TrainingData, **arrays) -> TrainingData:
    return TrainingData(**{name: getattr(data, name) for name in data.__slots__} | arrays)


def test_another_process_in_another_folder_trains_the_same_bytes_and_leaves_no_file(data, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONHASHSEED": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=150,
    )
    here = {kind: digests(train(data).files) for kind, train in TRAININGS.items()}
    assert json.loads(answer.stdout) == here
    assert list(tmp_path.iterdir()) == []


def test_a_second_training_in_the_same_process_gives_the_same_bytes(data, kind, trained):
    np.random.default_rng(1)  # whatever else draws numbers in between
    assert TRAININGS[kind](data).files == trained.files


def test_the_test_apps_are_not_looked_at(data, kind, trained):
    matrix = data.matrix.copy()
    matrix[data.future] = 0
    assert TRAININGS[kind](with_arrays(data, matrix=matrix)).files == trained.files


def test_the_files_load_and_score_as_the_card_says(data, kind, trained):
    model = load_model(trained.files)
    assert model.card == trained.card
    scores = model.score(data.test.matrix)
    assert (scores.shape, scores.dtype) == ((len(data.test),), np.float32)
    assert np.array_equal(model.label(scores), scores > trained.card.threshold)
    benign = model.label(model.score(data.calibration.benign.matrix))
    assert benign.mean() <= 0.02


def test_it_tells_made_malware_from_made_benign_apps(data, kind, trained):
    overall = evaluate({kind: load_model(trained.files)}, data, seed=1).models[0].overall
    assert overall.roc_auc > 0.9


def test_one_row_scores_as_it_does_among_others(data, kind, trained):
    model = load_model(trained.files)
    together = model.score(data.test.matrix)
    alone = np.concatenate([model.score(row[None, :]) for row in data.test.matrix[:20]])
    assert np.allclose(alone, together[:20], rtol=1e-5, atol=1e-6)


def test_an_unknown_value_is_scored_and_no_row_is_no_score(data, kind, trained):
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


def test_the_card_reads_back_and_names_what_was_fitted_on(data, kind, trained):
    card = trained.card
    assert ModelCard.from_json(trained.files["card.json"]) == card
    assert card.features == data.features
    assert card.schema_hash == data.schema_hash
    fitted = data.training if kind == "xgboost" else data.training.benign
    assert card.slices["training"].apps == len(fitted)
    assert card.slices["training"].malware == fitted.labels.sum()
    assert card.slices["calibration"].malware == 0
    assert card.slices["test"].first_rank == 840
    assert card.slices["training"].last_date < card.slices["test"].first_date
    assert card.threshold == float(np.float32(card.threshold))


def test_the_card_carries_what_only_the_caller_knows(data, kind):
    origin = Origin(repository="lake", content="abc", split_version="v1")
    card = load_model(TRAININGS[kind](data, origin=origin, synthetic=True).files).card
    assert (card.origin, card.synthetic) == (origin, True)


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_damaged_files_are_called_corrupt(kind, trained, damage):
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


def test_too_few_later_benign_apps_are_refused_before_training(kind):
    with pytest.raises(CalibrationError, match="too few to calibrate"):
        TRAININGS[kind](TrainingData.from_arrow(tiny_table(200)))


def test_the_autoencoder_does_not_see_malware(data):
    matrix = data.matrix.copy()
    matrix[data.labels == 1] = 7
    seen, blind = (TRAININGS["autoencoder"](part) for part in (data, with_arrays(data, matrix=matrix)))
    assert seen.files == blind.files


def test_the_seed_decides_the_weights(data):
    other = SMALL.model_copy(update={"seed": 8})
    first, second = (train_autoencoder(data, config=c, progress=False).files for c in (SMALL, other))
    assert first["weights.safetensors"] != second["weights.safetensors"]


def test_the_training_stops_early_and_keeps_its_best_epoch(data):
    patient = AutoencoderConfig(hidden=16, latent=3, epochs=200, batch=32, patience=3, learning_rate=0.02)
    trained = train_autoencoder(data, config=patient, progress=False)
    losses = [calibration for _, calibration in trained.history]
    assert len(losses) < 200
    assert trained.card.figures["epochs"] == len(losses)
    assert trained.card.figures["calibration_loss"] == min(losses)
    scores = load_model(trained.files).score(data.calibration.benign.matrix)
    assert scores.mean() == pytest.approx(min(losses), rel=1e-4)


def test_a_training_that_diverges_says_so(data):
    with pytest.raises(CalibrationError, match="diverged"):
        train_autoencoder(data, config=SMALL.model_copy(update={"learning_rate": 1e30}), progress=False)


def test_an_interrupted_training_stays_interrupted_and_the_next_one_can_be_too(data, monkeypatch):
    from dfp_platform.models.lightning_training import BestWeights

    def interrupt(*_):
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(BestWeights, "on_train_epoch_end", interrupt)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_autoencoder(data, config=SMALL, progress=False)
        assert signal.getsignal(signal.SIGINT) == before


def test_the_process_is_left_as_it_was(data, monkeypatch, tmp_path):
    import torch

    monkeypatch.chdir(tmp_path)
    environment = dict(os.environ)
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    threads = torch.get_num_threads()
    TRAININGS["autoencoder"](data)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert dict(os.environ) == environment
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_to_stderr_and_leaves_stdout_to_the_answer(data, capsys):
    train_autoencoder(data, config=SMALL)
    heard = capsys.readouterr()
    assert heard.out == ""
    assert "6/6" in heard.err
    assert "calibration loss" in heard.err


def test_apps_of_one_label_are_no_reference(data):
    with pytest.raises(CalibrationError, match="same label"):
        train_reference(with_arrays(data, labels=np.zeros_like(data.labels)), config=FEW)


def test_the_seeded_sample_trains_both_models_with_their_defaults():
    data = TrainingData.from_arrow(sample_table(2_500))
    models = {
        "autoencoder": load_model(train_autoencoder(data, synthetic=True, progress=False).files),
        "xgboost": load_model(train_reference(data, synthetic=True).files),
    }
    evaluation = evaluate(models, data, seed=7)
    assert evaluation.synthetic
    assert all(model.overall.roc_auc > 0.6 for model in evaluation.models)


@pytest.mark.skipif(not REAL_ROWS.exists(), reason="the real rows are shared beside the repository, not in it")
def test_on_real_apps_the_scores_are_those_measured_before():
    data = TrainingData.from_arrow(real_table())
    models = {
        "autoencoder": load_model(train_autoencoder(data, progress=False).files),
        "xgboost": load_model(train_reference(data).files),
    }
    autoencoder, reference = evaluate(models, data, seed=7).models
    assert 0.87 < autoencoder.overall.roc_auc < 0.94
    assert 0.52 < autoencoder.overall.average_precision < 0.65
    assert reference.overall.roc_auc > 0.985
    assert reference.overall.average_precision > 0.95
    assert autoencoder.unseen_packages.roc_auc < autoencoder.overall.roc_auc
