"""The training table as tensors: one float32 matrix in time order, and its slices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.schemas import FEATURE_PREFIXES, LEAKING_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

TRAINING_TABLE = "tables/marts/fct_training_dataset"
SPLIT_INDEX = "tables/marts/split_index"
TRAINING_SHARE = 0.8
"""Oldest share of the past that models are fitted on; the rest of the past calibrates their thresholds."""

_REQUIRED = ("sha256", "package", "device", "malware", "mal_family", "highest_date", "time_rank", "time_split")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Apps of one device, oldest first. All arrays have one entry an app; slices are views on the same memory.

    Attributes:
        device: ``real_device`` or ``emulator``.
        features: feature columns in the table's order.
        matrix: float32, C-contiguous, shape ``(apps, features)``; raw counts, flags and bytes as landed;
            NaN where a value is unknown.
        labels: int8, 1 is malware.
        ids: sha256 hex digests.
        packages: package names, not unique.
        families: malware family, empty where none is known.
        dates: days (``datetime64[D]``).
        time_rank: int64, position in the device's time order.
        future: whether the app belongs to the time-ordered test.
    """

    device: str
    features: tuple[str, ...]
    matrix: NDArray[np.float32]
    labels: NDArray[np.int8]
    ids: NDArray[Any]
    packages: NDArray[Any]
    families: NDArray[Any]
    dates: NDArray[np.datetime64]
    time_rank: NDArray[np.int64]
    future: NDArray[np.bool_]

    @classmethod
    def from_arrow(cls, table: pa.Table, *, device: str = "real_device") -> TrainingData:
        """The apps of `device` in a table shaped as ``fct_training_dataset``, each `placed` in time.

        Raises:
            InputError: a column is missing, leaks the label, is no number or infinite; a label is neither 0 nor 1; an
                id occurs twice; a future app is older than a past one; or no app is of that device.
        """
        import pyarrow.compute as pc

        _require_columns(table)
        rows = table.filter(pc.field("device") == device).sort_by("time_rank")
        if not rows.num_rows:
            raise InputError(
                f"no app of device {device!r} in {TRAINING_TABLE}",
                hint="name a device the table holds: " + ", ".join(map(str, table["device"].unique().to_pylist())),
                file=TRAINING_TABLE,
                column="device",
            )
        features = feature_columns(rows.column_names)
        return cls(
            device=device,
            features=features,
            matrix=feature_matrix(rows, features),
            labels=_labels(rows),
            ids=_unique_ids(rows),
            packages=_texts(rows, "package"),
            families=_texts(rows, "mal_family"),
            dates=rows["highest_date"].to_numpy().astype("datetime64[D]"),
            time_rank=rows["time_rank"].to_numpy().astype(np.int64),
            future=_future(rows),
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def schema_hash(self) -> str:
        """Identity of the feature columns and their order, see `feature_schema_hash`."""
        return feature_schema_hash(self.features)

    @property
    def training(self) -> TrainingData:
        """Oldest 80 % of the past: what models are fitted on."""
        return self.take(slice(0, self._training_end))

    @property
    def calibration(self) -> TrainingData:
        """The later 20 % of the past: early stopping and thresholds."""
        return self.take(slice(self._training_end, self._past_end))

    @property
    def test(self) -> TrainingData:
        """The future: seen by nothing but the evaluation."""
        return self.take(slice(self._past_end, len(self)))

    @property
    def benign(self) -> TrainingData:
        """The apps labelled benign (a copy)."""
        return self.take(self.labels == 0)

    def take(self, rows: slice | NDArray[Any]) -> TrainingData:
        """The apps that `rows` (a slice, a mask or positions) selects, in their order."""
        return TrainingData(
            device=self.device,
            features=self.features,
            matrix=self.matrix[rows],
            labels=self.labels[rows],
            ids=self.ids[rows],
            packages=self.packages[rows],
            families=self.families[rows],
            dates=self.dates[rows],
            time_rank=self.time_rank[rows],
            future=self.future[rows],
        )

    def columns(self, features: Sequence[str]) -> NDArray[np.float32]:
        """The matrix with these features only, in their order; the same memory if they are all.

        Raises:
            InputError: one of them is not there.
        """
        if tuple(features) == self.features:
            return self.matrix
        missing = sorted(set(features) - set(self.features))
        if missing:
            raise InputError(
                f"the model was trained on other feature columns: {missing[0]} is not among those of {TRAINING_TABLE}",
                hint="train it again on this table",
                file=TRAINING_TABLE,
                column=missing[0],
            )
        place = {name: position for position, name in enumerate(self.features)}
        return np.ascontiguousarray(self.matrix[:, [place[name] for name in features]])

    @property
    def _past_end(self) -> int:
        return int(np.count_nonzero(~self.future))

    @property
    def _training_end(self) -> int:
        return int(self._past_end * TRAINING_SHARE)


def placed(dataset: pa.Table, places: pa.Table) -> pa.Table:
    """The training table with each app's place in time.

    Args:
        dataset: as ``fct_training_dataset``.
        places: as ``split_index``: ``sha256``, ``device``, ``time_rank``, ``time_split``.
    Raises:
        InputError: an app has no place.
    """
    import pyarrow as pa

    app, place = ["sha256", "device"], ["time_rank", "time_split"]
    rows = dataset.select(app).append_column("row", pa.array(range(dataset.num_rows), pa.int64()))
    found = rows.join(places.select(app + place), app, join_type="left outer").sort_by("row")
    if found["time_rank"].null_count:
        lost = found["sha256"].filter(found["time_rank"].is_null())[0]
        raise InputError(
            f"app {lost} has no place in {SPLIT_INDEX}",
            hint="build both tables from the same rows: dfp run --select tables",
            file=SPLIT_INDEX,
            column="sha256",
        )
    for name in place:
        dataset = dataset.append_column(name, found[name])
    return dataset


def feature_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The feature columns among `names`, in their order.

    Raises:
        InputError: there is none, or a column leaks the label, with or without a feature prefix.
    """
    for name in names:
        bare = next((name.removeprefix(p) for p in FEATURE_PREFIXES if name.startswith(p)), name)
        if bare.lower() in LEAKING_COLUMNS:
            raise InputError(
                f"column {name!r} of {TRAINING_TABLE} tells the label or is known only after the fact",
                hint="drop it from the model of the training table",
                file=TRAINING_TABLE,
                column=name,
            )
    features = tuple(name for name in names if name.startswith(FEATURE_PREFIXES))
    if not features:
        raise InputError(
            f"{TRAINING_TABLE} has no feature column",
            hint="feature columns start with " + ", ".join(FEATURE_PREFIXES),
            file=TRAINING_TABLE,
        )
    return features


def feature_schema_hash(features: Sequence[str]) -> str:
    """Sha256 hex digest of the ordered feature names: two matrices with equal hashes have the same columns."""
    return hashlib.sha256(json.dumps(list(features)).encode()).hexdigest()


def feature_matrix(table: pa.Table, features: Sequence[str]) -> NDArray[np.float32]:
    """The named columns of `table` as float32, C-contiguous, shape ``(rows, features)``; NaN where a value is null.

    Raises:
        InputError: a column is missing, is no number, or holds an infinity; names the first such row.
    """
    import pyarrow as pa

    matrix = np.empty((table.num_rows, len(features)), dtype=np.float32)
    for position, name in enumerate(features):
        if name not in table.column_names:
            raise InputError(
                f"feature column {name!r} is missing", hint="give all columns the model was trained on", column=name
            )
        column = table[name]
        if not (
            pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)
        ):
            raise InputError(
                f"feature column {name!r} is of type {column.type}, not a number", hint="cast it upstream", column=name
            )
        matrix[:, position] = column.cast(pa.float32(), safe=False).to_numpy()
    _refuse_infinity(matrix, features)
    return matrix


def _refuse_infinity(matrix: NDArray[np.float32], features: Sequence[str]) -> None:
    infinite = np.isinf(matrix)
    if infinite.any():
        row, column = map(int, np.argwhere(infinite)[0])
        raise InputError(
            f"feature column {features[column]!r} is infinite in row {row + 1}",
            hint="mend the value upstream; an unknown value is null",
            row=row + 1,
            column=features[column],
        )


def _require_columns(table: pa.Table) -> None:
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise InputError(
            f"{TRAINING_TABLE} lacks the column(s) {', '.join(missing)}",
            hint="build the training table again",
            file=TRAINING_TABLE,
            column=missing[0],
        )


def _labels(rows: pa.Table) -> NDArray[np.int8]:
    raw = rows["malware"].to_numpy()
    wrong = np.flatnonzero((raw != 0) & (raw != 1))
    if wrong.size:
        raise InputError(
            f"label {raw[wrong[0]]} of app {rows['sha256'][int(wrong[0])]} is neither 0 nor 1",
            hint="mend the column malware upstream",
            file=TRAINING_TABLE,
            row=int(wrong[0]) + 1,
            column="malware",
        )
    return raw.astype(np.int8)


def _unique_ids(rows: pa.Table) -> NDArray[Any]:
    ids = _texts(rows, "sha256")
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != len(ids):
        raise InputError(
            f"app {unique[counts > 1][0]} occurs more than once for one device",
            hint="deduplicate upstream: a repeated app would be in training and test",
            file=TRAINING_TABLE,
            column="sha256",
        )
    return ids


def _texts(rows: pa.Table, name: str) -> NDArray[Any]:
    return np.array([text or "" for text in rows[name].to_pylist()], dtype=object)


def _future(rows: pa.Table) -> NDArray[np.bool_]:
    future = np.array([split == "future" for split in rows["time_split"].to_pylist()], dtype=np.bool_)
    if np.any(future[:-1] & ~future[1:]):
        raise InputError(
            f"a past app follows a future one in {TRAINING_TABLE}",
            hint="time_split has to cut the time_rank of a device once",
            file=TRAINING_TABLE,
            column="time_split",
        )
    return future
