"""A code location with one dbt model that appends a person a run, under a dbt test that no person is there twice.

A test writes the project to a folder of its own and points the dbt resource there; who comes is the knob `person`, as
in `toy_line`, and reaches dbt by the environment.
"""

import os
import shutil
from pathlib import Path

import dagster as dg

from dfp_platform.assets.tables import dbt_tables
from dfp_platform.publishing.executor import publishing
from dfp_platform.resources import dbt
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import PROJECT_ROOT
from tests.toy_line import knob

PEOPLE = "tables/marts/people"

FILES = {
    "dbt_project.yml": """
name: dfp
version: 1.0.0
profile: dfp
flags: {send_anonymous_usage_stats: false}
models: {dfp: {+schema: marts}}
""",
    "models/_models.yml": """
version: 2
models:
  - name: people
    config: {meta: {dagster: {asset_key: [tables, marts, people]}}}
    columns:
      - name: id
        data_tests: [unique, not_null]
""",
    "models/people.sql": """
{{ config(materialized='incremental') }}
select cast({{ env_var('DFP_TEST_PERSON') }} as bigint) as id
""",
}


class OnePerson(dbt.DbtResource):
    """The resource of the platform, which tells dbt who comes."""

    def build(self, context: dg.AssetExecutionContext):
        os.environ["DFP_TEST_PERSON"] = knob("person", "1")
        yield from super().build(context)


def write_project(folder: Path) -> None:
    """The project, with the profile and the naming of schemas that the real one has."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "macros").mkdir(exist_ok=True)
    real = PROJECT_ROOT / "dbt_project"
    for name in ("profiles.yml", "macros/generate_schema_name.sql"):
        shutil.copy(real / name, folder / name)


def defs() -> dg.Definitions:
    """The code location."""
    lake = LakeResource()
    return dg.Definitions(
        assets=[dbt_tables()],
        resources={"lake": lake, "dbt": OnePerson(lake=lake)},
        executor=publishing(dg.in_process_executor),
    )
