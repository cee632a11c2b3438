"""docs/DATASET.md is what `dfp lake dataset-card` makes of the demo's lake: the seeded sample, 2,000 apps a device.

Made again by `DFP_SOURCE=sample DFP_SAMPLE_ROWS=2000 make demo` and `dfp lake dataset-card -o docs/DATASET.md`.
"""

from __future__ import annotations

import re

import pytest

from dfp_platform.ingest.dataset_facts import card_facts
from dfp_platform.lake import open_lake
from dfp_platform.reports.dataset_card import dataset_card
from dfp_platform.settings import PROJECT_ROOT
from tests.e2e.conftest import Demo

OF_ITS_LAKE = re.compile(r"`[0-9a-f]{12}`|\d{4}-\d\d-\d\d \d\d:\d\d")
"""Commits and times, which no two lakes share."""


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_the_page_of_the_data_set_is_what_the_command_makes(demo: Demo) -> None:
    made = dataset_card(card_facts(open_lake(demo.home / "lake"), "main")).decode()
    committed = (PROJECT_ROOT / "docs" / "DATASET.md").read_text()
    assert len(OF_ITS_LAKE.findall(committed)) == 2 * 5  # the head, two loads, two versions
    assert OF_ITS_LAKE.sub("…", committed) == OF_ITS_LAKE.sub("…", made)
