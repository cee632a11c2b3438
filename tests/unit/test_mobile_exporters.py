"""What every exporter promises: one file, the same bytes anywhere, and PyTorch's scores from raw values."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.errors import CorruptLakeError, InputError
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.mobile.parity import MINIMUM_ROWS, Parity, check_parity, outliers
from dfp_platform.mobile.scoring import score_table
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from dfp_platform.settings import PROJECT_ROOT
from tests.apps import tiny_table
from tests.configured import NETWORKS, tiny
from tests.exporters import of_extra

EXPORT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from dfp_platform.mobile.interface import EXPORTERS
files = {path.name: path.read_bytes() for path in Path(sys.argv[2]).iterdir()}
for name, data in EXPORTERS[sys.argv[1]].export(files).files.items():
    Path(sys.argv[3], name).write_bytes(data)
"""


@pytest.fixture(scope="module")
def table():
    return tiny_table()


@pytest.fixture(scope="module")
def data(table):
    return TrainingData.from_arrow(table)


@pytest.fixture(scope="module")
def weights(data):
    return train(data, tiny("ae_small", "training.epochs=4"), synthetic=True, progress=False).files


@pytest.fixture(scope="module", params=[of_extra(name) for name in EXPORTERS])
def exporter(request):
    return EXPORTERS[request.param]


@pytest.fixture(scope="module")
def artifact(exporter, weights):
    return exporter.export(weights)


def test_the_files_read_back(artifact):
    assert MobileArtifact.from_files(artifact.files) == artifact
    assert len(artifact.files) == 2


def test_another_process_in_another_folder_exports_the_same_bytes(exporter, artifact, weights, tmp_path):
    given, made = tmp_path / "given", tmp_path / "made"
    given.mkdir()
    made.mkdir()
    for name, content in weights.items():
        (given / name).write_bytes(content)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXPORT, exporter.name, str(given), str(made)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONHASHSEED": "3"},
        check=True,
        timeout=150,
    )
    assert {path.name: path.read_bytes() for path in made.iterdir()} == artifact.files
    assert {path.name for path in tmp_path.iterdir()} == {"given", "made"}


def test_the_bytes_name_no_path_of_this_machine(artifact):
    told = [mark for mark in (str(PROJECT_ROOT), sys.prefix, ".py") if mark.encode() in artifact.data]
    assert told == []


def test_it_scores_like_pytorch_and_flips_no_label(artifact, weights, data):
    parity = check_parity(weights, artifact, data.test.matrix, seed=3)
    assert parity.passed
    assert parity.flipped == 0
    assert parity.share_of_tolerance <= 1
    assert parity.rows >= MINIMUM_ROWS
    assert Parity.from_json(parity.to_json()) == parity
    assert check_parity(weights, artifact, data.test.matrix, seed=3) == parity


@pytest.mark.parametrize("preset", NETWORKS[1:])
def test_every_network_is_exported_with_both_answers(exporter, data, preset):
    files = train(data, tiny(preset, "training.epochs=2"), progress=False).files
    made = exporter.export(files)
    parity = check_parity(files, made, data.test.matrix, seed=3)
    assert (parity.passed, parity.flipped) == (True, 0)
    told, wanted = exporter.load(made).answer(data.test.matrix), load_model(files).answer(data.test.matrix)
    assert np.allclose(told.scores, wanted.scores, atol=1e-5)
    assert np.allclose(told.known_errors, wanted.known_errors, rtol=1e-5, atol=1e-5)


def test_parity_fails_for_a_reconstruction_error_alone(exporter, data):
    """Scores of the detector do not depend on its decoder; its drift signal does."""
    from safetensors.torch import load, save

    files = train(data, tiny("detector", "training.epochs=1"), progress=False).files
    tensors = load(files["weights.safetensors"])
    moved = {name: value + 0.1 if name.startswith("decoder") else value for name, value in tensors.items()}
    other = exporter.export(files | {"weights.safetensors": save(moved)})
    parity = check_parity(files, other, data.test.matrix, seed=3)
    assert (parity.passed, parity.flipped) == (False, 0)


def test_parity_fails_for_the_artifact_of_other_weights(artifact, data):
    other = train(data, tiny("ae_small", "training.epochs=1", "training.seed=9"), progress=False)
    parity = check_parity(other.files, artifact, data.test.matrix, seed=3)
    assert not parity.passed
    assert parity.share_of_tolerance > 1


def test_parity_fails_for_a_flipped_label_alone(artifact, weights, data):
    score = float(load_model(weights).score(data.test.matrix).max())
    moved = MobileArtifact(artifact.card.model_copy(update={"threshold": score}), artifact.model, artifact.data)
    parity = check_parity(weights, moved, data.test.matrix, seed=3)
    assert parity.flipped > 0
    assert parity.share_of_tolerance <= 1
    assert not parity.passed


def test_any_number_of_rows_scores_alike(exporter, artifact, data):
    runtime = exporter.load(artifact)
    together = runtime.score(data.test.matrix)
    assert (together.dtype, together.shape) == (np.float32, (len(data.test),))
    assert np.allclose(runtime.score(data.test.matrix[:1]), together[:1], rtol=1e-5)
    assert np.allclose(runtime.score(np.asfortranarray(data.test.matrix)), together, rtol=1e-5)
    assert runtime.score(data.matrix[:0]).shape == (0,)


def test_another_number_of_columns_is_refused(exporter, artifact, data):
    with pytest.raises(InputError, match="takes 12 features"):
        exporter.load(artifact).score(data.matrix[:, :5])


def test_the_card_says_how_to_use_it(artifact, weights, data):
    card, model = artifact.card, load_model(weights).card
    assert (card.features, card.schema_hash) == (data.features, data.schema_hash)
    assert card.threshold == model.threshold
    assert card.synthetic
    assert card.model == "autoencoder"


def test_trees_are_refused(exporter, data):
    with pytest.raises(InputError, match="only networks"):
        exporter.export(train(data, tiny("xgboost", "training.epochs=2")).files)


def test_damaged_bytes_are_called_corrupt(exporter, artifact):
    with pytest.raises(CorruptLakeError, match=r"no model that .* can load"):
        exporter.load(MobileArtifact(artifact.card, artifact.model, artifact.data[:200]))


@pytest.mark.parametrize("names", [[], ["card.json"], ["model.bin"], ["card.json", "a", "b"]])
def test_files_that_are_no_artifact_are_called_corrupt(artifact, names):
    files = {name: artifact.files.get(name, b"") for name in names}
    with pytest.raises(CorruptLakeError, match="one model file"):
        MobileArtifact.from_files(files)


def test_onnx_carries_what_a_phone_needs_to_know(weights):
    import onnx

    artifact = EXPORTERS["onnx"].export(weights)
    model = onnx.load_from_string(artifact.data)
    onnx.checker.check_model(model)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["dfp.schema_hash"] == artifact.card.schema_hash
    assert told["dfp.synthetic"] == "true"
    assert not any(initializer.external_data for initializer in model.graph.initializer)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "apps"


def test_a_landed_table_is_scored_row_by_row_in_its_own_order(artifact, weights, table, data):
    shuffled = table.take(np.random.default_rng(2).permutation(table.num_rows))
    columns = list(reversed(shuffled.column_names))
    scored = score_table(artifact.files, shuffled.select(columns))
    assert scored.schema == pa.schema(
        {"sha256": pa.string(), "score": pa.float32(), "label": pa.int8(), "reconstruction_error": pa.float32()}
    )
    assert scored["sha256"] == shuffled["sha256"]
    model = load_model(weights)
    expected = dict(zip(data.ids, model.score(data.matrix), strict=True))
    assert scored["score"].to_pylist() == pytest.approx([expected[i] for i in scored["sha256"].to_pylist()], rel=1e-4)
    assert np.array_equal(scored["label"].to_numpy(), model.label(scored["score"].to_numpy()))


def test_a_landed_table_without_a_feature_names_it(artifact, table):
    with pytest.raises(InputError) as caught:
        score_table(artifact.files, table.drop_columns(["perm_f1"]))
    assert caught.value.fields["column"] == "perm_f1"
    with pytest.raises(InputError, match="sha256"):
        score_table(artifact.files, table.drop_columns(["sha256"]))


def test_no_row_is_no_score(artifact, table):
    assert score_table(artifact.files, table.slice(0, 0)).num_rows == 0


def test_outliers_are_seeded_and_lie_beyond_the_data(data):
    found = outliers(data.matrix, rows=300, seed=4)
    assert np.array_equal(found, outliers(data.matrix, rows=300, seed=4), equal_nan=True)
    assert np.nanmax(found) > data.matrix.max()
    assert np.nanmin(found) == -1
    assert np.isnan(found).any()
    assert not np.isinf(found).any()
    assert outliers(data.matrix[:0], rows=5, seed=4).shape == (5, 12)


def test_many_threads_that_ask_one_onnx_model_each_get_their_own_answer(weights, data):
    """The serving API asks from a pool of threads; one app goes through memory that they share."""
    runtime = EXPORTERS["onnx"].load(EXPORTERS["onnx"].export(weights))
    apps = np.tile(data.test.matrix, (20, 1))
    alone = [runtime.score(app[None])[0] for app in apps]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda app: runtime.score(app[None])[0], apps))
    assert together == alone
