"""The sensor on lakeFS: what `test_retraining` asks of the folder, asked of a repository."""

from __future__ import annotations

import pytest

from tests.integration.test_lakefs_publishing import toy
from tests.integration.test_retraining import (
    test_a_commit_of_anyone_that_changes_an_input_is_trained_from_and_published,
    ticking,
)

pytestmark = pytest.mark.slow  # make conformance-lakefs

__all__ = ["test_a_commit_of_anyone_that_changes_an_input_is_trained_from_and_published", "ticking", "toy"]
