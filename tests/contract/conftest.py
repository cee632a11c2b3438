"""Fixtures of the contract suites: one lake of each kind."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from dfp_platform.lake import Lake

_SPEC = importlib.util.spec_from_file_location("lakes_of_the_contract", Path(__file__).with_name("lakes.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
_lakes = importlib.util.module_from_spec(_SPEC)  # by path: pytest's importlib mode puts no test folder on sys.path
_SPEC.loader.exec_module(_lakes)


@pytest.fixture(params=list(_lakes.LAKES), ids=lambda name: name.replace(" ", "-").replace(",", ""))
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """An empty lake of each kind."""
    return _lakes.LAKES[request.param](tmp_path)
