"""A lake with a tiny training table and its registry, for tests of features, and keepers over each store."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np
import pyarrow as pa

from dfp_platform import features
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.lake import Lake

ROWS, NAMES = 60, ("sys_read", "sys_reboot", "perm_reboot", "app_file_size")
TABLE = ("marts", "fct_training_dataset")


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def raw_values(rows: int) -> np.ndarray:
    """Values that float32 has to round, a null (NaN) and one large count."""
    values = np.random.default_rng(7).integers(0, 90_000_000, (rows, len(NAMES))).astype(np.float64)
    values[:, 1] /= 3
    values[3, 1] = np.nan
    return values


def training_table(rows: int = ROWS, *, shift: float = 0.0) -> pa.Table:
    """`rows` apps of the real device, and the first ten of them again, with other values, on the emulator."""
    values = np.concatenate([raw_values(rows), raw_values(rows)[:10] + 1]) + shift
    apps = [*range(rows), *range(10)]
    columns: dict[str, pa.Array] = {
        "sha256": pa.array([digest(app) for app in apps]),
        "device": pa.array(["real_device"] * rows + ["emulator"] * 10),
        "malware": pa.array([app % 2 for app in apps]),
        "highest_date": pa.array([datetime.date(2018, 1, 1) + datetime.timedelta(days=app) for app in apps]),
    }
    for name, column in zip(NAMES, values.T, strict=True):
        whole = name != "sys_reboot"
        columns[name] = pa.array(column.astype(np.int64)) if whole else pa.array(column, from_pandas=True)
    return pa.table(columns)


def store_table(lake: Lake, branch: str, table: pa.Table) -> None:
    overwrite(open_catalog(lake, branch), TABLE, table)


def apply_registry(lake: Lake, branch: str) -> bytes:
    registry = features.apply(lake, branch)
    lake.commit(branch, {features.REGISTRY: registry}, message="apply")
    return registry
