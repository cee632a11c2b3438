"""Which exporters and precisions a test is about; those that need the extra `phone` are for `make mobile`."""

from __future__ import annotations

import pytest

from dfp_platform.mobile.interface import EXPORTERS

KINDS = [(name, precision) for name, exporter in EXPORTERS.items() for precision in exporter.precisions]
"""Every exporter with each of its precisions."""


def of_extra(name: str, *others: str):
    """A parameter of a test: an exporter's name (and a precision), marked `slow` where it needs the extra."""
    return pytest.param(name, *others, marks=[pytest.mark.slow] if EXPORTERS[name].extra else [])
