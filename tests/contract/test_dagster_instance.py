"""Which Dagster instance commands open: that of a database which many machines share, else the state folder's."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_platform.resources.dagster_internals import configured_instance
from dfp_platform.settings import settings

SHARED = """
storage: {postgres: {postgres_url: "postgresql://nobody@127.0.0.1:1/records", should_autocreate_tables: false}}
telemetry: {enabled: false}
"""
"""A database that is not there: opening an instance asks it nothing."""


@pytest.mark.parametrize(
    ("described", "shared"), [(SHARED, True), ("storage: {sqlite: {base_dir: x}}", False), ("", False), (None, False)]
)
def test_dagsters_home_counts_where_its_records_are_shared(
    described: str | None, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFP_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    if described is not None:
        (tmp_path / "dagster.yaml").write_text(described)
    settings.cache_clear()
    with configured_instance() as instance:
        assert ("Postgres" in type(instance.run_storage).__name__) == shared
    assert (tmp_path / "state" / "dagster").exists() != shared
    settings.cache_clear()
