"""The same random histories as of the embedded lake, kept by lakeFS."""

from __future__ import annotations

import pytest
from hypothesis import settings as examples

from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import settings
from tests.integration.test_lake_history_model import History
from tests.lakefs_double.places import new_repository, use_lakefs


class LakeFSHistory(History):
    """A repository of its own for every example."""

    def __init__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.uri = new_repository()
        super().__init__()

    def opened(self, *, create: bool = False) -> Lake:
        if create:
            use_lakefs(self.patch, self.folder)
        return open_lake(self.uri, create=create)

    def teardown(self) -> None:
        super().teardown()
        self.patch.undo()
        settings.cache_clear()


TestLakeFSHistory = LakeFSHistory.TestCase
TestLakeFSHistory.settings = examples(History.TestCase.settings, max_examples=8)
