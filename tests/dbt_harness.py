"""A dbt project in a folder of its own, on pyiceberg's own catalog in a SQLite file or on ours."""

from __future__ import annotations

import json
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog, load_catalog

PROFILE = """
adapter_test:
  target: here
  outputs:
    here:
      type: datafusion
      schema: main
      threads: 4
      memory_limit: 512 MiB
      spill_folder: {folder}/spill
      catalog_name: here
      catalog: {catalog}
"""

CATALOGS = {
    "sqlite": {"type": "sql", "uri": "sqlite:///{folder}/catalog.db", "warehouse": "file://{folder}/warehouse"},
    "lake": {"py-catalog-impl": "dfp_platform.catalog.LakeCatalog", "lake": "{folder}/lake"},
}
"""Properties of each catalog that the adapter is tested on."""

PROJECT = """
name: adapter_test
version: 1.0.0
profile: adapter_test
flags: {send_anonymous_usage_stats: false}
models: {adapter_test: {+materialized: table}}
"""


@dataclass
class Project:
    """A dbt project in a folder of its own."""

    folder: Path
    properties: dict[str, str]

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def dbt(self, *arguments: str, passes: bool = True) -> Mapping[str, Any]:
        """Run a dbt command in this process; return the result of each node by name."""
        from dbt.cli.main import dbtRunner

        places = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dbt's own, of its own dependencies
            outcome = dbtRunner().invoke([*arguments, *places, "--quiet", "--log-level-file", "none"])
        assert outcome.success is passes, outcome.exception or [
            (result.node.name, result.message) for result in outcome.result if result.status in ("error", "fail")
        ]
        return {result.node.name: result for result in getattr(outcome.result, "results", ())}

    @cached_property
    def catalog(self) -> Catalog:
        return load_catalog("here", **self.properties)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.catalog.load_table(table).scan().to_arrow().to_pylist()


def made_project(folder: Path, catalog: str) -> Iterator[Project]:
    properties = {key: value.format(folder=folder) for key, value in CATALOGS[catalog].items()}
    if catalog == "lake":
        from dfp_platform.lake import open_lake

        open_lake(properties["lake"], create=True)
    made = Project(folder, properties)
    profile = PROFILE.format(folder=folder, catalog=json.dumps(properties))
    made.write({"profiles.yml": profile, "dbt_project.yml": PROJECT})
    yield made
    made.catalog.close()
