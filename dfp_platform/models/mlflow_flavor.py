"""A trained model as an MLflow model directory, and the loader that MLflow calls: weights and card, never a pickle.

``mlflow.pyfunc.load_model(uri).predict(frame)`` works wherever this package is installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.card import ModelCard
from dfp_platform.models.weights import Scorer, load_model, read_card

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

DATA = "data"
"""Folder of the model's files inside the directory."""

EXAMPLE = "input_example.json"


class PyfuncModel:
    """A model as MLflow's `python_function` flavour wants it."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Score, label and reconstruction error of each row.

        Args:
            model_input: raw values by feature name; a column that is missing, or NaN, is unknown.
            params: MLflow hands them on; there are none.
        Returns:
            ``score`` (float32, within 0 and 1), ``label`` (int8, 1 raises an alarm), ``reconstruction_error``
            (float32; NaN where the model has none), under the index of the input.
        """
        import pandas as pd

        names = list(self.scorer.card.features)
        answer = self.scorer.answer(model_input.reindex(columns=names).to_numpy(dtype=np.float32, na_value=np.nan))
        unknown = np.full(len(model_input), np.nan, dtype=np.float32)
        return pd.DataFrame(
            {
                "score": answer.scores,
                "label": self.scorer.label(answer.scores),
                "reconstruction_error": unknown if answer.errors is None else answer.errors,
            },
            index=model_input.index,
        )


def _load_pyfunc(path: str) -> PyfuncModel:
    """What MLflow calls with the folder of the model's files. Raises CorruptLakeError: they are no model."""
    files = {file.name: file.read_bytes() for file in Path(path).iterdir() if file.is_file()}
    return PyfuncModel(load_model(files))


def write_model(folder: Path, files: Mapping[str, bytes], example: NDArray[np.float32] | None = None) -> None:
    """Make `folder` an MLflow model directory.

    Args:
        folder: is there, and empty.
        files: the model's files, as `weights.load_model` takes them.
        example: raw feature values of one app, shape ``(features,)``, for the input example.
    Raises:
        CorruptLakeError: there is no card among the files.
    """
    from mlflow import pyfunc
    from mlflow.models import Model

    card = read_card(files)
    (folder / DATA).mkdir()
    for name, data in files.items():
        (folder / DATA / name).write_bytes(data)
    model = Model(signature=signature(card), metadata={"model": card.name, "schema_hash": card.schema_hash})
    if example is not None:
        (folder / EXAMPLE).write_text(_example_json(card, example))
        model.saved_input_example_info = {"artifact_path": EXAMPLE, "type": "dataframe", "pandas_orient": "split"}
    pyfunc.add_to_model(model, loader_module=__name__, data=DATA)
    model.save(str(folder / "MLmodel"))


def signature(card: ModelCard) -> ModelSignature:
    """What goes in and comes out. Features may be left out: what is not told is unknown."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.double, name, required=False) for name in card.features]),
        outputs=Schema(
            [
                ColSpec(DataType.float, "score"),
                ColSpec(DataType.integer, "label"),
                ColSpec(DataType.float, "reconstruction_error"),
            ]
        ),
    )


def _example_json(card: ModelCard, example: NDArray[np.float32]) -> str:
    row = [None if np.isnan(value) else float(value) for value in example]
    return json.dumps({"columns": list(card.features), "data": [row]})
