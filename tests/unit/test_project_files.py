"""Promises of the files around the code: what is declared, pinned, documented and called by CI."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dfp_platform import __version__
from dfp_platform.settings import PROJECT_ROOT

PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(line.split("==") for line in (PROJECT_ROOT / "constraints.txt").read_text().split())
MISSION = (
    *("dagster", "dagster-webserver", "dagster-dbt", "dagster-pyspark", "dagster-mlflow", "dagster-k8s", "dlt"),
    *("dbt-spark", "pyiceberg", "lakefs-sdk", "lakefs", "feast", "torch", "onnx", "executorch", "tensorflow"),
    *("redis", "pandera"),
)
HEAVY = {"executorch", "tensorflow", "pyspark", "dagster-pyspark", "dbt-spark", "dagster-k8s", "kubernetes"}


def declared(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def committed_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


EVERYTHING = declared(PROJECT["dependencies"]).union(*map(declared, PROJECT["optional-dependencies"].values()))


@pytest.mark.parametrize("package", MISSION)
def test_every_package_of_the_mission_is_declared_by_name(package: str) -> None:
    assert package in EVERYTHING


def test_the_core_needs_no_heavy_engine() -> None:
    assert declared(PROJECT["dependencies"]) & HEAVY == set()


def test_every_declared_package_is_pinned() -> None:
    assert EVERYTHING - set(PINS) == set()


def test_the_environment_has_the_pinned_versions() -> None:
    """CPU builds of torch carry a local version (2.14.1+cpu), which the pin allows."""
    installed = {}
    for name in PINS:
        try:
            installed[name] = version(name).split("+")[0]
        except PackageNotFoundError:
            continue  # belongs to an extra that is not installed here
    assert installed == {name: PINS[name] for name in installed}
    here = [line for line in PROJECT["dependencies"] if (m := Requirement(line).marker) is None or m.evaluate()]
    assert declared(here) <= set(installed)


def test_no_committed_file_names_a_package_registry() -> None:
    registry = re.compile(r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|repo1?\.maven|index-url\s*=")
    named = {
        name
        for name in committed_files()
        if (PROJECT_ROOT / name).is_file()
        and registry.search((PROJECT_ROOT / name).read_text(errors="ignore"))
        and name != "tests/unit/test_project_files.py"
    }
    assert named == set()


def test_no_lock_file_is_committed() -> None:
    assert [name for name in committed_files() if name.endswith(("uv.lock", "poetry.lock", "Pipfile.lock"))] == []


def test_the_changelog_tells_of_this_version() -> None:
    assert PROJECT["version"] == __version__
    assert f"## {__version__}" in (PROJECT_ROOT / "CHANGELOG.md").read_text()


def test_ci_ends_with_the_tests() -> None:
    """The closing line of pytest is the last that CI prints, so nothing follows `make check`, nor tests in it."""
    *_, last, ends = (PROJECT_ROOT / ".ci/run").read_text().splitlines()
    assert (last, ends) == ("make check || failed=1", "exit $failed")
    command = ["make", "--dry-run", "--no-print-directory", "check"]  # make says where it is when make runs the tests
    planned = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert "pytest" in planned.stdout.strip().splitlines()[-1]


def test_a_python_that_is_too_old_is_told_what_to_do(tmp_path) -> None:
    """A fresh checkout, with nothing on PATH but an old interpreter."""
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        (tmp_path / name).write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.2'\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["make", "-f", PROJECT_ROOT / "Makefile", f"VENV={tmp_path}/venv", "env"],
        cwd=PROJECT_ROOT,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stdout
    assert "next: install one" in done.stdout
    assert not (tmp_path / "venv").exists()
