"""One table owns every port of the host that a stack of containers listens on."""

from __future__ import annotations

import tomllib
from collections import Counter

import pytest

from dfp_platform.settings import PROJECT_ROOT

TABLES = tomllib.loads((PROJECT_ROOT / "deploy" / "ports.toml").read_text())


def clashes(table: dict[str, int]) -> list[int]:
    """Ports that more than one service wants."""
    return [port for port, services in Counter(table.values()).items() if services > 1]


@pytest.mark.parametrize("name", ["compose", "kind"])
def test_no_two_services_want_one_port(name: str) -> None:
    assert clashes(TABLES[name]) == []
    assert all(1024 <= port < 65_536 for port in TABLES[name].values()), "a laptop's user may listen there"


def test_a_clash_is_found() -> None:
    assert clashes({"mlflow": 5000, "registry": 5000, "redis": 6379}) == [5000]


def test_what_both_stacks_have_goes_by_one_name() -> None:
    shared = TABLES["compose"].keys() & TABLES["kind"].keys()
    assert shared >= {"lakefs", "minio", "mlflow", "redis", "dagster", "grafana", "prometheus", "api", "catalog"}
