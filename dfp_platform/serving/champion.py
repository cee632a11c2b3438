"""The published model that scores apps, and files of raw apps scored by it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.errors import InputError, NotFoundError

if TYPE_CHECKING:
    import pyarrow as pa

    from dfp_platform.lake import Lake

CHAMPION = "mobile/autoencoder_onnx"
"""The exported model that scores."""


def champion(lake: Lake, ref: str) -> dict[str, bytes]:
    """The champion's files at a ref. Raises NotFoundError: none is published there."""
    commit = lake.resolve(ref)
    files = lake.files(commit, CHAMPION)
    if not files:
        raise NotFoundError(
            f"no model is published at {ref} ({commit[:12]})",
            hint="run `make demo` first, or name another ref",
            path=CHAMPION,
            ref=ref,
        )
    return files


def score_file(model: Mapping[str, bytes], file: Path) -> pa.Table:
    """Scores of the raw apps in a file: a KronoDroid CSV, or a zip that holds one; read block by block.

    Returns:
        ``sha256``, ``score`` (within 0 and 1, more is more suspicious), ``label`` (1 raises an alarm),
        ``reconstruction_error``, in the file's order.
    Raises:
        InputError: no such file, or rows that break the contract.
    """
    import pyarrow as pa

    from dfp_platform.ingest import landed_rows
    from dfp_platform.mobile.scoring import score_table

    if not file.is_file():
        raise InputError(f"{file} is not a file", hint="give the path of a KronoDroid CSV", file=str(file))
    return pa.concat_tables(score_table(model, rows) for rows in landed_rows(file))
