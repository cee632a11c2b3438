"""The training table as a configuration wants it: apps of one device, chosen features, apart by a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.models.configs import Configuration, DataConfig, SplitConfig
from dfp_platform.models.data import TRAINING_TABLE, TrainingData, feature_columns

if TYPE_CHECKING:
    import pyarrow as pa

HASH_PARTS = ("train", "validation", "test")
"""Values of the table's column `split`."""


class Parts(Protocol):
    """Apps of one device, apart. `TrainingData` keeps this by time."""

    @property
    def device(self) -> str:
        """``real_device`` or ``emulator``."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """Feature columns, in order."""
        ...

    @property
    def schema_hash(self) -> str:
        """Identity of the feature columns and their order."""
        ...

    @property
    def training(self) -> TrainingData:
        """What models are fitted on."""
        ...

    @property
    def calibration(self) -> TrainingData:
        """What stops a training and calibrates its threshold."""
        ...

    @property
    def test(self) -> TrainingData:
        """What judges a model; seen by nothing else."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SplitData:
    """Apps of one device that were taken apart by something else than time; see `Parts`."""

    training: TrainingData
    calibration: TrainingData
    test: TrainingData

    @property
    def device(self) -> str:
        return self.training.device

    @property
    def features(self) -> tuple[str, ...]:
        return self.training.features

    @property
    def schema_hash(self) -> str:
        return self.training.schema_hash


def parts(table: pa.Table, data: DataConfig, split: SplitConfig) -> Parts:
    """The apps of a table shaped as ``fct_training_dataset``, as a training is told to see them.

    Raises:
        InputError: as `TrainingData.from_arrow`; a name of `data.features` fits no feature column; or the column
            `split` is missing or holds something else than train, validation, test.
    """
    apps = TrainingData.from_arrow(with_features(table, data.features), device=data.device)
    if split.by == "time":
        return apps
    told = _hash_parts(table, apps)
    training, calibration, test = (apps.take(told == part) for part in HASH_PARTS)
    return SplitData(training, calibration, test)


def unseen(table: pa.Table, told: Sequence[Configuration], *, device: str) -> Parts:
    """Apps of a device by time, whose test leaves out whatever a model with one of these configurations has seen.

    A model that was split by time has seen nothing of the future; one that was split by hash has.
    """
    apps = TrainingData.from_arrow(table, device=device)
    seen: set[str] = set()
    for configuration in told:
        if configuration.split.by != "time":
            apart = parts(table, configuration.data, configuration.split)
            seen.update(apart.training.ids, apart.calibration.ids)
    if not seen:
        return apps
    kept = [app not in seen for app in apps.test.ids]
    return SplitData(apps.training, apps.calibration, apps.test.take(np.array(kept, dtype=bool)))


def with_features(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table with those feature columns only that one of `names` (a name or a glob) fits; nothing is copied.

    Raises:
        InputError: a column of the table leaks the label, or a name fits no feature column.
    """
    known = feature_columns(table.column_names)
    for name in names:
        if not any(fnmatchcase(column, name) for column in known):
            raise InputError(
                f"no feature column of {TRAINING_TABLE} is called {name}",
                hint="give names or globs of its columns, such as sys_*,perm_*",
                file=TRAINING_TABLE,
                column=name,
            )
    dropped = {column for column in known if not any(fnmatchcase(column, name) for name in names)}
    return table.drop_columns(sorted(dropped)) if dropped else table


def _hash_parts(table: pa.Table, apps: TrainingData) -> NDArray[Any]:
    """The value of the column `split` of each app, in the order of `apps`."""
    import pyarrow.compute as pc

    if "split" not in table.column_names:
        raise InputError(
            f"{TRAINING_TABLE} lacks the column split", hint="build it again", file=TRAINING_TABLE, column="split"
        )
    rows = table.select(["sha256", "split", "device"]).filter(pc.field("device") == apps.device)
    told = dict(zip(rows["sha256"].to_pylist(), rows["split"].to_pylist(), strict=True))
    unknown = sorted({str(part) for part in told.values()} - set(HASH_PARTS))
    if unknown:
        raise InputError(
            f"column split of {TRAINING_TABLE} holds {unknown[0]!r}",
            hint="it may hold " + ", ".join(HASH_PARTS),
            file=TRAINING_TABLE,
            column="split",
        )
    return np.array([told[app] for app in apps.ids], dtype=object)
