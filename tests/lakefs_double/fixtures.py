"""A lake on a double of its own, which a test may put faults into; imported by the tests that use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import settings
from tests.lakefs_double.places import new_repository, point_to
from tests.lakefs_double.server import Double


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    found = Double(tmp_path / "double")
    point_to(found, monkeypatch, tmp_path)
    yield found
    found.stop()
    settings.cache_clear()


@pytest.fixture
def lake(double: Double) -> Lake:
    return open_lake(new_repository(), create=True)
