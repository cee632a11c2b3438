from __future__ import annotations

import csv
import subprocess
import sys

import pytest

from dfp_platform.ingest.columns import (
    BY_PUBLISHED,
    COLUMNS,
    LANDED_NAMES,
    PERMISSIONS,
    PUBLISHED_HEADER,
    SYSCALLS,
    arrow_schema,
    landed_schema,
)
from dfp_platform.ingest.descriptions import DESCRIPTIONS, descriptions
from dfp_platform.schemas import FEATURE_PREFIXES, LEAKING_COLUMNS
from tests.ingest_files import REAL


def test_every_column_lands_under_a_name_that_stays_one_of_its_kind_where_case_is_ignored():
    assert len(COLUMNS) == len(set(PUBLISHED_HEADER)) == 486
    assert len({name.lower() for name in PUBLISHED_HEADER}) == 485, "reboot and REBOOT collide as published"
    assert len({name.lower() for name in LANDED_NAMES}) == 486
    assert BY_PUBLISHED["reboot"].landed == "sys_reboot"
    assert BY_PUBLISHED["REBOOT"].landed == "perm_reboot"


def test_features_are_the_system_calls_the_permissions_and_the_static_counts():
    features = [name for name in LANDED_NAMES if name.startswith(FEATURE_PREFIXES)]
    assert len(SYSCALLS) + 1 == sum(name.startswith("sys_") for name in features) == 289
    assert len(PERMISSIONS) + 7 == sum(name.startswith("perm_") for name in features) == 173
    assert sum(name.startswith("app_") for name in features) == 12
    assert "sys_nr_syscalls" in features
    assert "perm_total_perm" in features


def test_no_leaking_column_can_be_taken_for_a_feature():
    assert set(LANDED_NAMES) >= LEAKING_COLUMNS
    assert not [name for name in LEAKING_COLUMNS if name.startswith(FEATURE_PREFIXES)]
    others = {name for name in LANDED_NAMES if not name.startswith(FEATURE_PREFIXES)}
    assert others == LEAKING_COLUMNS | {
        *("package", "malware", "sha256", "mal_family", "categories", "highest_date", "year_month", "year")
    }


def test_polars_and_arrow_agree_on_what_lands():
    assert list(landed_schema()) == arrow_schema().names == list(LANDED_NAMES)
    assert str(arrow_schema().field("highest_date").type) == "date32[day]"
    assert str(arrow_schema().field("app_c_file_size").type) == "int64"


@pytest.mark.skipif(not REAL.exists(), reason="the real rows are not beside this checkout")
def test_the_names_written_down_here_are_those_of_the_real_file():
    with REAL.open(newline="", encoding="utf-8") as stream:
        assert tuple(next(csv.reader(stream))) == PUBLISHED_HEADER


def test_importing_the_room_imports_nothing_heavy():
    code = (
        "import sys, dfp_platform.ingest\n"
        "heavy = 'dlt', 'pandera', 'polars', 'pyarrow', 'numpy', 'httpx', 'pyiceberg'\n"
        "print(*[module for module in heavy if module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_column_says_what_it_counts() -> None:
    assert DESCRIPTIONS.keys() == {column.landed for column in COLUMNS} | {"load_id"}
    assert all(text.endswith(".") and len(text) < 120 for text in DESCRIPTIONS.values())
    assert DESCRIPTIONS["sys_read"] == "How often the app made the system call `read` while it was watched."
    assert DESCRIPTIONS["sys_sys_300"] == "How often the app made the system call number 300 while it was watched."
    assert descriptions(["sys_statx"])["sys_statx"].startswith("How often the app made the system call `statx`")
    assert DESCRIPTIONS["perm_camera"] == "1 if the app asks for android.permission.CAMERA, else 0."
    assert "com.android.alarm.permission.SET_ALARM" in DESCRIPTIONS["perm_set_alarm"]
    counted = {name: text for name, text in DESCRIPTIONS.items() if name.startswith(("sys_", "perm_", "app_"))}
    assert len(set(counted.values())) == len(counted), "no two features are described alike"
