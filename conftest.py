"""Marks every test by the folder it lies in, so that `pytest -m unit` needs no decorator; gives Ctrl-C its meaning.

Keeps the tests of an `xdist_group` on one worker. Properties are tried with the same examples every time, unless
`--hypothesis-profile=random` asks for others (`make properties`).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest
from _pytest.nodeid import NodeId

hypothesis.settings.register_profile("same", derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile("random", database=None, deadline=None, print_blob=True)
hypothesis.settings.load_profile("same")

KINDS = ("unit", "contract", "integration", "e2e")


def pytest_configure() -> None:
    """Whoever starts the tests in the background lets them ignore Ctrl-C, and so all they start: servers too.

    Steps that a test lets fail are not tried again unless the test says so.
    """
    os.environ.setdefault("DFP_RETRIES", "0")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # pytest-xdist 3.8 puts an item's group where pytest 9.2 does not look any more; goes with the next of the two
        if grouped := vars(item).get("_nodeid"):
            item._id = NodeId.parse(grouped)
        if item.get_closest_marker("slow"):
            continue  # of no kind, so that none of these asks for it
        kind = next((part for part in Path(item.path).parts[::-1] if part in KINDS), "integration")
        item.add_marker(kind)
