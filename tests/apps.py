"""Apps for tests of models and artifacts, as the training table: a tiny made one, the seeded sample, the real rows."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from dfp_platform.ingest.columns import BY_PUBLISHED
from dfp_platform.ingest.sample import batches
from dfp_platform.schemas import FEATURE_PREFIXES
from dfp_platform.settings import PROJECT_ROOT

REAL_ROWS = PROJECT_ROOT.parent / "shared" / "kronodroid" / "real_device_2019.csv"
PAST = 0.7


def tiny_table(
    apps: int = 1_200, *, features: int = 12, seed: int = 1, malware: float = 0.25, a_day: int = 10
) -> pa.Table:
    """Made apps: benign ones lie near a plane of three factors, malware off it. `a_day` a day from 2019-01-01."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(3, features))
    bad = random.random(apps) < malware
    logs = random.normal(size=(apps, 3)) @ mixing * 0.5 + 4
    logs[bad] += random.normal(scale=2.5, size=(int(bad.sum()), features))
    counts = np.expm1(np.clip(logs, 0, 12)).astype(np.int64)
    past = int(apps * PAST)
    prefixes = [FEATURE_PREFIXES[position % 3] for position in range(features)]
    return pa.table(
        {
            "sha256": [hashlib.sha256(f"{seed}/{row}".encode()).hexdigest() for row in range(apps)],
            "package": [f"org.made.app{row % (apps // 2)}" for row in range(apps)],
            "device": ["real_device"] * apps,
            "malware": pa.array(bad.astype(np.int32)),
            "mal_family": [("Agent", "Malap", None)[row % 3] if bad[row] else None for row in range(apps)],
            "highest_date": [date(2019, 1, 1) + timedelta(days=row // a_day) for row in range(apps)],
            "split": ["train"] * apps,
            "time_rank": pa.array(range(apps), pa.int64()),
            "time_split": ["past"] * past + ["future"] * (apps - past),
            **{f"{prefix}f{position}": counts[:, position] for position, prefix in enumerate(prefixes)},
        }
    )


def sample_table(rows: int, *, seed: int = 7, device: str = "real_device") -> pa.Table:
    """The seeded sample as the training table."""
    return training_table(pa.concat_tables(batch.to_arrow() for batch in batches(device, rows=rows, seed=seed)), device)


def real_table() -> pa.Table:
    """The 1,622 real apps as the training table."""
    return training_table(landed_real_rows(), "real_device")


def landed_real_rows(path: Path = REAL_ROWS) -> pa.Table:
    """The real apps under their landed names."""
    published = pa_csv.read_csv(path, parse_options=pa_csv.ParseOptions(newlines_in_values=True))
    landed = published.rename_columns([BY_PUBLISHED[name].landed for name in published.column_names])
    place = landed.column_names.index("package")
    return landed.set_column(place, "package", pc.utf8_trim_whitespace(landed["package"]))


def training_table(landed: pa.Table, device: str) -> pa.Table:
    """Landed rows, cut at 70 % of their time order, with the columns of `fct_training_dataset`."""
    order = pc.sort_indices(landed, sort_keys=[("highest_date", "ascending"), ("sha256", "ascending")])
    rows = landed.take(order)
    past = int(rows.num_rows * PAST)
    head = {name: rows[name] for name in ("sha256", "package", "malware", "mal_family", "highest_date")}
    return pa.table(
        {
            **head,
            "device": [device] * rows.num_rows,
            "split": ["train"] * rows.num_rows,
            "time_rank": pa.array(range(rows.num_rows), pa.int64()),
            "time_split": ["past"] * past + ["future"] * (rows.num_rows - past),
            **{name: rows[name] for name in rows.column_names if name.startswith(FEATURE_PREFIXES)},
        }
    )
