"""The data card tells what landed when and from what, counts what is wrong, and follows the lake's history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfp_platform.ingest import land, register
from dfp_platform.ingest.dataset_facts import card_facts
from dfp_platform.lake import Lake
from dfp_platform.reports.dataset_card import dataset_card
from tests.dfp_calls import calling
from tests.home_lake import lake
from tests.ingest_files import edited, sample_rows, write_rows

__all__ = ["lake"]

DATASET = "kronodroid_real_device"


def test_a_card_tells_of_loads_versions_and_defects(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows = sample_rows(tmp_path)
    benign = next(number for number, row in enumerate(rows) if number and row[rows[0].index("Malware")] == "0")
    odd = edited(rows, {(benign, "MalFamily"): "Airpush", (2, "Highest-date"): "1980-01-01", (3, "nr_syscalls"): "0"})
    for number, disposition in enumerate(("replace", "append")):
        path = write_rows(tmp_path / f"apps-{number}.csv", odd if number else rows)
        told = {"sample_rows": 1, "seed": 7, "cache": tmp_path / "cache", "implausible_dates": "null"}
        land(lake, "main", DATASET, source=str(path), write_disposition=disposition, **told)
        register(lake, "main", DATASET)
    lake.commit("main", {"elsewhere": b"1"}, message="something else")

    facts = card_facts(lake, "main")
    (found,) = facts.datasets
    first, second = found.loads
    assert (found.benign + found.malware, [load.origin.rows for load in found.loads]) == (80, [40, 40])
    assert second.origin.mended == {"dates landed as missing": 1}
    assert [file.name for file in facts.files] == ["apps-0.csv", "apps-1.csv"]
    assert [version.rows for version in found.versions] == [80, 40]
    assert [lake.show(version.commit).time for version in found.versions] == [v.time for v in found.versions]
    assert lake.exists(first.commit, f"raw/{DATASET}/origin.json")
    assert found.oddities["rows without a date between 2008-01-01 and 2021-12-31"] == 1
    assert found.oddities["rows that no system call was counted for"] == 1
    assert found.oddities["rows beyond the first of their app (later loads count)"] == 40
    assert [(year.year, year.benign + year.malware) for year in found.years][-1] == (None, 1)

    assert (found.bare["load"], found.bare["identity"], found.bare["known after the fact"]) == (0, 0, 0)
    assert 50 < found.bare["system calls"] < 289

    page = dataset_card(facts).decode()
    assert "| no date |" in page
    assert "dates landed as missing: 1" in page
    assert f"`{second.origin.load_id}`" in page
    assert "Synthetic data" not in page
    dfp = calling(monkeypatch, capfdbinary, "lake", "dataset-card")
    assert dfp() == (0, page, "")
    assert dfp("main", "-o", str(tmp_path / "card.md"))[0] == 0
    assert (tmp_path / "card.md").read_text() == page
    assert json.loads(dfp("--json")[1])["datasets"][0]["versions"][0]["rows"] == 80
    before = json.loads(dfp(found.versions[1].commit, "--json")[1])["datasets"][0]
    assert (len(before["loads"]), len(before["versions"])) == (1, 1)


def test_a_lake_where_nothing_has_landed_says_how_to_land(lake: Lake) -> None:
    page = dataset_card(card_facts(lake, "main")).decode()
    assert "No data set has landed: `dfp run --select raw --select tables/raw` lands them." in page
