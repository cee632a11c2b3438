"""`dbt_project` on a lake of its own, driven as dbt drives it by hand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from dfp_platform.catalog import open_catalog, register_files
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.schemas import MAIN

PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
RUN = "run-1"


def first_load(device: str) -> str:
    """The id of the load that `Warehouse.land` registers."""
    return f"0001-{device}"


@dataclass
class Warehouse:
    """A lake with landed apps on `main` and a branch that dbt builds on."""

    folder: Path
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lake: Lake = open_lake(str(self.folder / "lake"), create=True)

    def land(self, apps: Mapping[str, pl.DataFrame]) -> None:
        """Register the first load of each device without field ids, as ingest does, and fork the branch."""
        for device, rows in apps.items():
            path = self.folder / f"{device}.parquet"
            rows.with_columns(load_id=pl.lit(first_load(device))).write_parquet(path)
            register_files(open_catalog(self.lake, MAIN), ("raw", f"kronodroid_{device}"), [str(path)])
        self.lake.create_branch(RUN)

    def append(self, device: str, rows: pl.DataFrame, *, load: str, ref: str = RUN) -> None:
        """One more load of a device."""
        path = self.folder / f"{device}-{load}.parquet"
        rows.with_columns(load_id=pl.lit(load)).write_parquet(path)
        self.replace(device, [*self.files(f"raw.kronodroid_{device}", ref), str(path)], ref=ref)

    def replace(self, device: str, files: Sequence[str], *, ref: str = RUN) -> None:
        """Make the raw table out of these files and no other."""
        register_files(open_catalog(self.lake, ref), ("raw", f"kronodroid_{device}"), files)

    def files(self, name: str, ref: str = RUN) -> list[str]:
        """The data files of a table."""
        table = open_catalog(self.lake, ref).load_table(name)
        return [task.file.file_path for task in table.scan().plan_files()]

    def dbt(self, *arguments: str, ref: str = RUN, passes: bool = True) -> dict[str, str]:
        """Run a dbt command with the profile of the project; return the status of each node."""
        from dbt.cli.main import dbtRunner

        places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        outputs = ["--target-path", str(self.folder / "target"), "--quiet", "--log-level-file", "none"]
        self.events.clear()
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
            warnings.simplefilter("ignore")  # dbt's own, of its own dependencies
            environment.setenv("DFP_LAKE", self.lake.uri)
            environment.setenv("DFP_REF", ref)
            runner = dbtRunner(callbacks=[lambda event: self.events.append(event.info.name)])
            outcome = runner.invoke([*arguments, *places, *outputs])
        results = getattr(outcome.result, "results", ())
        statuses = {result.node.name: str(result.status) for result in results}
        failures = [(result.node.name, result.message) for result in results if str(result.status) in ("error", "fail")]
        assert outcome.success is passes, outcome.exception or failures
        return {name: status for name, status in statuses.items() if status != "no-op"}  # exposures: nothing to build

    def table(self, name: str, ref: str = RUN) -> pl.DataFrame:
        return pl.from_arrow(open_catalog(self.lake, ref).load_table(name).scan().to_arrow())  # type: ignore[return-value]

    def tables(self, ref: str = RUN) -> set[str]:
        paths = [found.path for found in self.lake.list(ref, "tables/")]
        return {path.removeprefix("tables/") for path in paths if not path.endswith("=namespace")}
