"""Marks every test by the folder it lies in, so that `pytest -m unit` needs no decorator."""

from __future__ import annotations

from pathlib import Path

import pytest

KINDS = ("unit", "contract", "integration", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        kind = next((part for part in Path(item.path).parts[::-1] if part in KINDS), "integration")
        item.add_marker(kind)
