"""The tool that measures the tree sees what it claims to see."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dfp_platform.settings import PROJECT_ROOT

TINY = '''"""Two lines
of docstring."""

# a comment
def documented(a: int, *, b: str) -> int:
    """One."""
    return a


def bare(a):
    return a
'''


@pytest.fixture(scope="module")
def shape() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shape", PROJECT_ROOT / "benchmarks" / "shape.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shape"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_lines_are_told_apart(shape: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(TINY)
    found = shape.measured(tmp_path / "tiny.py", root=tmp_path)
    assert (found.lines, found.code, found.comments, found.docstrings) == (11, 4, 1, 3)


def test_functions_are_judged_by_signature_and_docstring(shape: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(TINY)
    documented, bare = shape.measured(tmp_path / "tiny.py", root=tmp_path).functions
    assert (documented.annotated, documented.documented, documented.lines) == (True, True, 2)
    assert (bare.annotated, bare.documented, bare.lines) == (False, False, 2)


def test_a_long_file_and_a_long_function_are_named(shape: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("def f() -> None:\n" + "    x = 1\n" * 60 + "y = 1\n" * 400)
    found = shape.offences([shape.measured(tmp_path / "long.py", root=tmp_path)])
    assert [line.split(":")[0] for line in found] == ["long.py has 461 lines", "long.py"]


def test_an_exception_that_is_not_needed_is_named(shape: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shape.EXCEPTIONS, "gone.py", "no longer true")
    assert shape.offences([]) == ["gone.py is excepted, but within its limit"]
