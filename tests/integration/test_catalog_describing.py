"""Descriptions lie in the tables, follow their columns, and are no change of what a table holds."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dfp_platform.catalog import LakeCatalog, open_catalog, overwrite
from dfp_platform.catalog.describing import column_docs, describe
from dfp_platform.errors import NotFoundError
from dfp_platform.lake import open_lake

APPS = pa.table({"sha256": ["a", "b"], "malware": pa.array([0, 1], pa.int32())})
DOCS = {"sha256": "Names the app.", "malware": "The label.", "not_there": "Of a column that the table lacks."}


@pytest.fixture
def catalog(tmp_path: Path) -> LakeCatalog:
    catalog = open_catalog(open_lake(tmp_path / "lake", create=True), "main")
    overwrite(catalog, "marts.apps", APPS)
    return catalog


def test_descriptions_are_one_commit_and_keep_content_and_snapshot(catalog: LakeCatalog) -> None:
    before, head = catalog.pointer("marts.apps"), catalog.lake.resolve("main")
    assert describe(catalog, "marts.apps", lambda names: DOCS, comment="Apps.")
    after = catalog.pointer("marts.apps")
    assert (after.content, after.snapshot_id) == (before.content, before.snapshot_id)
    newest, *_ = catalog.lake.log("main")
    assert newest.parents == (head,)
    expected = [("sha256", "string", "Names the app."), ("malware", "int", "The label.")]
    assert column_docs(catalog, "marts.apps") == expected
    assert catalog.load_table("marts.apps").properties["comment"] == "Apps."
    assert not describe(catalog, "marts.apps", lambda names: DOCS, comment="Apps.")
    assert catalog.lake.resolve("main") == newest.id, "what is described already gets no commit"


def test_new_rows_keep_the_descriptions_and_new_columns_have_none(catalog: LakeCatalog) -> None:
    describe(catalog, "marts.apps", lambda names: DOCS)
    overwrite(catalog, "marts.apps", APPS.append_column("year", pa.array([2012, 2013])))
    assert [doc for _, _, doc in column_docs(catalog, "marts.apps")] == ["Names the app.", "The label.", ""]


def test_a_description_without_a_word_for_a_column_leaves_what_it_had(catalog: LakeCatalog) -> None:
    describe(catalog, "marts.apps", lambda names: DOCS, comment="Apps.")
    assert describe(catalog, "marts.apps", lambda names: {"malware": "1 for malware."})
    assert [doc for _, _, doc in column_docs(catalog, "marts.apps")] == ["Names the app.", "1 for malware."]
    assert catalog.load_table("marts.apps").properties["comment"] == "Apps."


def test_a_table_that_is_not_there_is_named(catalog: LakeCatalog) -> None:
    with pytest.raises(NotFoundError, match=r"marts\.nothing at main"):
        column_docs(catalog, "marts.nothing")
