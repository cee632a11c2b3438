"""Importing the catalog's room."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dfp_platform.catalog as catalog


def test_importing_the_room_brings_neither_pyiceberg_nor_arrow():
    code = "import sys, dfp_platform.catalog; print([m for m in ('pyiceberg', 'pyarrow', 'numpy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("name", catalog.__all__)
def test_every_promised_name_is_there(name):
    assert getattr(catalog, name).__name__ == name


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nope"):
        _ = catalog.nope
