"""An empty lake in a state folder of its own, which the settings name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import settings


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """The lake; the settings are read anew before and after."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    yield open_lake(tmp_path / "lake", create=True)
    settings.cache_clear()
