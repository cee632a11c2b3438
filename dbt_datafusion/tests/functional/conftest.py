"""dbt-tests-adapter against a catalog of its own in a SQLite file, one for each class of tests."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dbt.tests.fixtures.project import *  # noqa: F403  # its fixtures; `pytest_plugins` is for the root's conftest only

HERE = Path(__file__).parent
LISTED = tomllib.loads((HERE / "not_applicable.toml").read_text())

WARNINGS = (
    # dbt, its suite and their dependencies use what is going away, and leave files and pools to the collector
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The suite takes minutes: `make conformance-dbt` runs it, `make test` does not. Single tests may not apply."""
    for item in items:
        if Path(item.path).parent != HERE:
            continue
        item.add_marker("slow")
        for warning in WARNINGS:
            item.add_marker(pytest.mark.filterwarnings(warning))
        for base in getattr(item, "cls", None).__mro__ if getattr(item, "cls", None) else ():
            name = f"{base.__module__.removeprefix('dbt.tests.adapter.')}.{base.__name__}::{item.name}"
            if name in LISTED["tests"]:
                item.add_marker(pytest.mark.skip(LISTED["reasons"][LISTED["tests"][name]]))


@pytest.fixture(scope="class")
def lake_profile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An output of a profile, on a catalog that nothing else uses."""
    folder = tmp_path_factory.mktemp("lake")
    catalog = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}
    return {
        "type": "datafusion",
        "threads": 4,
        "memory_limit": "512 MiB",
        "spill_folder": str(folder / "spill"),
        "catalog": catalog,
    }


@pytest.fixture(scope="class")
def dbt_profile_target(lake_profile: dict[str, Any]) -> dict[str, Any]:
    return lake_profile


@pytest.fixture(scope="class")
def profile_user() -> None:
    """Tables have no owner here."""


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """dbt's logs go to a folder of the test's own, not into the checkout."""
    folder = str(tmp_path_factory.mktemp("logs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_LOG_PATH", folder)
        yield folder
