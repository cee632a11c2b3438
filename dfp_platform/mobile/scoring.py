"""Scores of landed apps by an exported model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dfp_platform.errors import InputError
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.data import feature_matrix

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 8_192


def score_table(files: Mapping[str, bytes], table: pa.Table) -> pa.Table:
    """Score, label and reconstruction error of every row.

    Args:
        files: of an exported model, see `artifact.MobileArtifact`.
        table: landed rows: ``sha256`` and the model's feature columns, in any order; other columns are not looked at.

    Returns:
        ``sha256`` (string), ``score`` (float32 within 0 and 1, more is more suspicious), ``label`` (int8, 1 raises an
        alarm), ``reconstruction_error`` (float32, how far the app is from those of the training), in the order of
        `table`.

    Raises:
        InputError: a column is missing or holds no numbers.
    """
    import pyarrow as pa

    if "sha256" not in table.column_names:
        raise InputError("column 'sha256' is missing", hint="scores are told apart by it", column="sha256")
    artifact = MobileArtifact.from_files(files)
    runtime = EXPORTERS[artifact.card.exporter].load(artifact)
    scores, errors = (np.empty(table.num_rows, dtype=np.float32) for _ in range(2))
    for at in range(0, table.num_rows, _BATCH):
        rows = feature_matrix(table.slice(at, _BATCH), artifact.card.features)
        told = runtime.answer(rows)
        scores[at : at + _BATCH], errors[at : at + _BATCH] = told.scores, told.known_errors
    return pa.table(
        {
            "sha256": table["sha256"].cast(pa.string()),
            "score": pa.array(scores),
            "label": pa.array(runtime.label(scores)),
            "reconstruction_error": pa.array(errors),
        }
    )
