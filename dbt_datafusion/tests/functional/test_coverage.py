"""Nothing of dbt-tests-adapter is left out in silence."""

from __future__ import annotations

import importlib
import inspect
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dbt.tests.adapter
import pytest

HERE = Path(__file__).parent
[SUITE] = map(Path, dbt.tests.adapter.__path__)
LISTED = tomllib.loads((HERE / "not_applicable.toml").read_text())

SHARED = {
    "caching.test_caching.BaseCachingTest",
    "utils.base_array_utils.BaseArrayUtils",
    "utils.base_utils.BaseUtils",
    "utils.data_types.base_data_type_macro.BaseDataTypeMacro",
    "utils.test_current_timestamp.BaseCurrentTimestamp",
}
"""Bases of the other classes, with a test and nothing to run it on; a subclass of a subclass counts for them."""


def suite_classes() -> Iterator[tuple[str, type]]:
    """Every class that has tests and is meant to be subclassed, by its module and name."""
    for path in sorted(SUITE.rglob("*.py")):
        name = ".".join(path.relative_to(SUITE).with_suffix("").parts)
        module = importlib.import_module(f"dbt.tests.adapter.{name}".removesuffix(".__init__"))
        for key, kind in vars(module).items():
            if not inspect.isclass(kind) or kind.__module__ != module.__name__:
                continue
            own = any(test.startswith("test_") for test in vars(kind))
            if any(test.startswith("test_") for test in dir(kind)) and (own or not key.startswith("Test")):
                yield f"{name}.{key}", kind


def our_classes() -> Iterator[type]:
    for path in sorted(HERE.glob("test_*.py")):
        name = f"{Path(__file__).stem}_of_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__name__.startswith("Test") and kind.__module__ == name:
                yield kind


def test_every_class_of_the_suite_is_subclassed_or_listed_with_a_reason():
    ours = {base for kind in our_classes() for base in kind.__mro__}
    found = dict(suite_classes())
    applicable = {name: kind for name, kind in found.items() if name.partition(".")[0] not in LISTED["folders"]}
    assert [name for name, kind in applicable.items() if kind not in ours and name not in LISTED["classes"]] == []
    bases = {name for name, reason in LISTED["classes"].items() if reason == "abstract"}
    assert [
        name for name in LISTED["classes"] if name not in found or (found[name] in ours and name not in bases)
    ] == []
    assert len(applicable) > 150


def test_every_single_test_and_folder_that_is_listed_is_there():
    found = dict(suite_classes())
    for name in LISTED["tests"]:
        kind, _, test = name.partition("::")
        assert test in dir(found[kind])
    assert set(LISTED["folders"]) <= {path.name for path in SUITE.iterdir()}


def test_every_reason_is_given_and_used():
    used = {reason for part in ("classes", "tests", "folders") for reason in LISTED[part].values()}
    assert used == set(LISTED["reasons"])


@pytest.mark.parametrize("name", sorted(SHARED))
def test_what_is_only_a_base_has_a_subclass_here(name: str):
    kind = dict(suite_classes())[name]
    assert any(issubclass(ours, kind) for ours in our_classes())
