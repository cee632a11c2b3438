"""Fixtures of the contract suites: one lake of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.lake import Lake
from dfp_platform.settings import settings
from tests.contract.lakes import LAKES
from tests.lakefs_double.places import use_lakefs


@pytest.fixture(params=list(LAKES), ids=lambda name: name.replace(" ", "-").replace(",", ""))
def lake(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """An empty lake of each kind."""
    if request.param.startswith("lakefs"):
        use_lakefs(monkeypatch, tmp_path)
    yield LAKES[request.param](tmp_path)
    settings.cache_clear()
