"""Changes of a table that moved since it was loaded: made anew within the writer's turn, or refused."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.exceptions import ValidationException
from pyiceberg.table.update import update_table_metadata

from dfp_platform.catalog import LakeCatalog, open_catalog
from dfp_platform.catalog.applying import updated
from dfp_platform.lake import open_lake

ROWS = pa.table({"id": [1, 2]})


@pytest.fixture
def catalog(tmp_path: Path) -> LakeCatalog:
    made = open_catalog(open_lake(tmp_path / "lake", create=True))
    made.create_namespace("marts")
    made.create_table("marts.apps", ROWS.schema).append(ROWS)
    return made


def test_an_append_to_a_table_that_moved_lands_at_the_first_try(
    catalog: LakeCatalog, caplog: pytest.LogCaptureFixture
) -> None:
    stale = [catalog.load_table("marts.apps") for _ in range(3)]
    with caplog.at_level(logging.WARNING, "pyiceberg"):
        for table in stale:
            table.append(ROWS)
    assert "retrying" not in caplog.text
    found = catalog.load_table("marts.apps")
    assert found.scan().to_arrow().num_rows == catalog.pointer("marts.apps").rows == 8
    ids = [snapshot.snapshot_id for snapshot in found.metadata.snapshots]
    assert [snapshot.parent_snapshot_id for snapshot in found.metadata.snapshots] == [None, *ids[:-1]]


def test_an_overwrite_whose_rows_changed_meanwhile_is_refused_and_leaves_no_manifests(catalog: LakeCatalog) -> None:
    stale = catalog.load_table("marts.apps")
    catalog.load_table("marts.apps").append(pa.table({"id": [3]}))
    metadata = Path(stale.metadata.location.removeprefix("file://")) / "metadata"
    before = {file.name for file in metadata.iterdir()}
    transaction = stale.transaction()
    transaction.overwrite(ROWS, "id > 0")
    with pytest.raises(ValidationException):
        transaction.commit_transaction()
    assert {file.name for file in metadata.iterdir()} == before
    with pytest.raises(RuntimeError, match="cannot be reused"):
        transaction.commit_transaction()
    assert sorted(catalog.load_table("marts.apps").scan().to_arrow()["id"].to_pylist()) == [1, 2, 3]


def test_a_state_is_updated_as_pyiceberg_would_and_shares_its_history(catalog: LakeCatalog) -> None:
    table = catalog.load_table("marts.apps")
    transaction = table.transaction()
    transaction.append(ROWS)
    transaction.set_properties({"a": "b"})
    before = table.metadata.model_copy(deep=True)
    ours = updated(table.metadata, transaction._updates, base_location=table.metadata_location)
    theirs = update_table_metadata(table.metadata, transaction._updates, metadata_location=table.metadata_location)
    assert ours == theirs.model_copy(update={"last_updated_ms": ours.last_updated_ms})
    assert ours.snapshots[0] is table.metadata.snapshots[0]
    assert table.metadata == before
