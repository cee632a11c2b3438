"""The asset and the check of docs/extending.md as a code location, so that a run can make them."""

from pathlib import Path
from types import ModuleType

import dagster as dg

from dfp_platform.publishing.executor import publishing
from dfp_platform.resources.io_managers import io_managers
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "extending.md"


def block(chapter: str, kind: str = "python") -> str:
    """The first block of code of a chapter."""
    text = PAGE.read_text().split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    return text.split(f"```{kind}\n")[1].split("\n```")[0] + "\n"


def written(*chapters: str) -> ModuleType:
    """A module of the code of these chapters, as if it were one file of the package."""
    module = ModuleType("documented")
    source = "\n\n".join(block(chapter) for chapter in chapters)
    exec(compile(source, f"{Path(PAGE).name}: {', '.join(chapters)}", "exec"), vars(module))
    return module


def defs() -> dg.Definitions:
    """The code location; what the page's asset reads was made by nobody here."""
    lake, page = LakeResource(), written("An asset", "A check")
    read = dg.AssetSpec(["tables", "marts", "fct_training_dataset"]).with_io_manager_key("iceberg")
    return dg.Definitions(
        assets=[page.apps_by_year, read],
        asset_checks=[page.every_year_has_malware],
        resources={"lake": lake, **io_managers(lake)},
        executor=publishing(dg.in_process_executor),
    )
