"""Fixtures of the contract suites: one lake of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_platform.lake import Lake
from tests.contract.lakes import LAKES


@pytest.fixture(params=list(LAKES), ids=lambda name: name.replace(" ", "-").replace(",", ""))
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """An empty lake of each kind."""
    return LAKES[request.param](tmp_path)
