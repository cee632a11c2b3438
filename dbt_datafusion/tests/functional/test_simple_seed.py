"""dbt-tests-adapter's folder `simple_seed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dbt.tests.adapter.simple_seed import fixtures, seeds
from dbt.tests.adapter.simple_seed import test_seed as seed
from dbt.tests.adapter.simple_seed import test_seed_type_override as seed_type_override
from dbt.tests.util import run_dbt


class TestBasicSeedTests(seed.BaseBasicSeedTests):
    def test_simple_seed_full_refresh_flag(self, project: Any) -> None:
        """Postgres drops what reads a seed with the seed. Here a seed is replaced, so the model stays."""
        self._build_relations_for_test(project)
        again = run_dbt(["seed", "--full-refresh"])
        self._check_relation_end_state(run_result=again, project=project, exists=True)


class TestSeedConfigFullRefreshOff(seed.BaseSeedConfigFullRefreshOff):
    pass


class TestSeedConfigFullRefreshOn(seed.BaseSeedConfigFullRefreshOn):
    def test_simple_seed_full_refresh_config(self, project: Any) -> None:
        """Postgres drops what reads a seed with the seed. Here a seed is replaced, so the model stays."""
        self._build_relations_for_test(project)
        self._check_relation_end_state(run_result=run_dbt(["seed"]), project=project, exists=True)


class TestSeedCustomSchema(seed.BaseSeedCustomSchema):
    pass


class TestSeedParsing(seed.BaseSeedParsing):
    pass


class TestSeedSpecificFormats(seed.BaseSeedSpecificFormats):
    @pytest.fixture(scope="class")
    def test_data_dir(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The base class makes this folder and removes it again."""
        return tmp_path_factory.mktemp("data") / "big"


class TestSeedWithEmptyDelimiter(seed.BaseSeedWithEmptyDelimiter):
    pass


class TestSeedWithUniqueDelimiter(seed.BaseSeedWithUniqueDelimiter):
    pass


class TestSimpleSeedEnabledViaConfig(seed.BaseSimpleSeedEnabledViaConfig):
    pass


class TestSimpleSeedWithBOM(seed.BaseSimpleSeedWithBOM):
    @pytest.fixture(scope="class", autouse=True)
    def setUp(self, project: Any) -> None:
        """The base class copies a file that its package lacks: its other seed behind a byte order mark."""
        project.run_sql(seeds.seeds__expected_sql)
        (project.project_root / Path("seeds") / "seed_bom.csv").write_text(seeds.seed__actual_csv, encoding="utf-8-sig")


class TestEmptySeed(seed.BaseTestEmptySeed):
    pass


class TestSimpleSeedColumnOverride(seed_type_override.BaseSimpleSeedColumnOverride):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        """The base class's names of types are Postgres's."""
        schema = fixtures.properties__schema_yml.replace("type: text", "type: varchar")
        schema = schema.replace("type: integer", "type: bigint")
        return {"schema.yml": schema.replace("type: timestamp without time zone", "type: timestamp")}
