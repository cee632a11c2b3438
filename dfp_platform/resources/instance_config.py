"""What `dagster.yaml` says, wherever its records are kept."""

import os
from pathlib import Path
from typing import Any

import yaml


def instance_config(root: Path, storage: Path) -> dict[str, Any]:
    """The content of `dagster.yaml` in `root`, with its folders, which are relative there, beneath `storage`."""
    described: dict[str, Any] = yaml.safe_load((root / "dagster.yaml").read_text())
    places = {"local_artifact_storage": storage, "compute_logs": storage / "storage"}
    moved = {kind: {**described[kind], "config": {"base_dir": str(place)}} for kind, place in places.items()}
    return {**described, **moved, "storage": {"sqlite": {"base_dir": str(storage)}}}


def shared_home() -> Path | None:
    """The folder of an instance whose records many machines share; None on a laptop.

    That is Dagster's own ``DAGSTER_HOME``, if the `dagster.yaml` in it names a database. One that names files is not
    asked: it may belong to another project of this laptop.
    """
    named = os.environ.get("DAGSTER_HOME")
    described = Path(named) / "dagster.yaml" if named else None
    if described is None or not described.is_file():
        return None
    storage = (yaml.safe_load(described.read_text()) or {}).get("storage") or {"sqlite": {}}
    return None if "sqlite" in storage else described.parent
