"""Which lakeFS server tests talk to: the double, one a process, or the real one that `DFP_TEST_LAKEFS` names."""

from __future__ import annotations

import atexit
import os
import tempfile
import uuid
from functools import cache
from pathlib import Path

import pytest

from dfp_platform.settings import settings
from tests.lakefs_double.server import Double

REAL = "DFP_TEST_LAKEFS"
"""Endpoint of a real server; its keys are in `LAKECTL_CREDENTIALS_…`, its bucket in `LAKEFS_STORAGE_BUCKET`."""


@cache
def double() -> Double:
    """The double of this process; it ends with it."""
    folder = tempfile.TemporaryDirectory(prefix="dfp-lakefs-double-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Double(Path(folder.name))


def point_to(server: Double, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Name a double where lakeFS's clients look, and a state folder of the test's own."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LAKEFS_STORAGE_BUCKET", "tests")
    _settle(monkeypatch, home)


def use_lakefs(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Have this test talk to the real server, if one is named, else to the double."""
    if endpoint := os.environ.get(REAL):
        monkeypatch.setenv("LAKECTL_SERVER_ENDPOINT_URL", endpoint)
        if not os.environ.get("LAKEFS_STORAGE_BUCKET"):
            monkeypatch.setenv("LAKEFS_STORAGE_BUCKET", "dfp-tests")
        _settle(monkeypatch, home)
    else:
        point_to(double(), monkeypatch, home)


def new_repository() -> str:
    """A name nobody has used, as a lake's address."""
    return f"lakefs://dfp-test-{uuid.uuid4().hex[:16]}"


def _settle(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("LAKECTL_CONFIG_FILE", str(home / "no-lakectl.yaml"))
    monkeypatch.setenv("DFP_HOME", str(home / "state"))
    settings.cache_clear()
