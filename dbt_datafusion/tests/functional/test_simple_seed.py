"""dbt-tests-adapter's folder `simple_seed`."""

from __future__ import annotations

from typing import Any

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
    pass


class TestSeedWithEmptyDelimiter(seed.BaseSeedWithEmptyDelimiter):
    pass


class TestSeedWithUniqueDelimiter(seed.BaseSeedWithUniqueDelimiter):
    pass


class TestSeedWithWrongDelimiter(seed.BaseSeedWithWrongDelimiter):
    pass


class TestSimpleSeedEnabledViaConfig(seed.BaseSimpleSeedEnabledViaConfig):
    pass


class TestSimpleSeedWithBOM(seed.BaseSimpleSeedWithBOM):
    pass


class TestEmptySeed(seed.BaseTestEmptySeed):
    pass


class TestSimpleSeedColumnOverride(seed_type_override.BaseSimpleSeedColumnOverride):
    pass
