"""The table of cases of docs/decisions/0013, one by one: what goes together, how it is written, and what is refused."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table.refs import SnapshotRef
from pyiceberg.table.snapshots import Operation
from pyroaring import BitMap64

from dfp_platform.catalog.merging.manifests import TableFile, new_file
from dfp_platform.catalog.merging.tables import Branch, MergedTable, merge_table
from dfp_platform.schemas import Conflict
from tests.integration.table_histories import TableHistory, new_table, scanned

ROWS = [{"id": number, "part": "a", "value": 0} for number in range(6)]


def table(folder: Path, *, version: int, rows: list[dict] = ROWS) -> TableHistory:
    """A table with two files of three rows in one partition."""
    made = new_table(folder / "table", random.Random(1), itertools.count(100), version=version)
    for half in (rows[:3], rows[3:]):
        made.commit(Operation.APPEND, made.write(half))
    return made


@pytest.fixture(params=[2, 3], ids=["v2", "v3"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> TableHistory:
    return table(tmp_path, version=request.param)


def add(branch: TableHistory, *ids: int, part: str = "a") -> None:
    branch.commit(Operation.APPEND, branch.write([{"id": id_, "part": part, "value": 0} for id_ in ids]))


def file_of(branch: TableHistory, id_: int) -> TableFile:
    """The data file that holds a row."""
    for file in branch.data_files():
        if any(found["id"] == id_ for _, found in branch.living(file, {})):
            return file
    raise LookupError(id_)


def delete(branch: TableHistory, id_: int) -> None:
    """By position: a delete file in format 2, a vector in format 3."""
    file = file_of(branch, id_)
    position = next(position for position, found in branch.living(file, {}) if found["id"] == id_)
    branch._commit_deletes(file, BitMap64([position]), branch.files(), [])


def compact(branch: TableHistory) -> None:
    """All files of the table into one."""
    files = branch.files()
    deleted = branch.deleted(files)
    cells = [found for file in files if file.is_data for _, found in branch.living(file, deleted)]
    branch.commit(Operation.REPLACE, branch.write(cells), files)


def rewrite(branch: TableHistory, id_: int) -> None:
    """The file that holds a row is written anew with another value in that row."""
    file = file_of(branch, id_)
    cells = [{**found, "value": int(found["id"] == id_)} for _, found in branch.living(file, {})]
    branch.commit(Operation.OVERWRITE, branch.write(cells), [file], **{"lake.intent": "rows"})


def merge(base: TableHistory, ours: TableHistory, theirs: TableHistory) -> MergedTable:
    found = merge_table(base.io, base.metadata, Branch("main", ours.metadata), Branch("work", theirs.metadata))
    assert isinstance(found, MergedTable), found
    return found


def refused(base: TableHistory, ours: TableHistory, theirs: TableHistory) -> list[Conflict]:
    found = merge_table(base.io, base.metadata, Branch("main", ours.metadata), Branch("work", theirs.metadata))
    assert isinstance(found, list), "merged"
    return found


def ids(history: TableHistory, merged: MergedTable) -> list[int]:
    return sorted(dict(row)["id"] for row in scanned(history, merged.metadata).elements())


def after(history: TableHistory, merged: MergedTable) -> TableHistory:
    return TableHistory(merged.metadata, history.folder, history.chance, history.ids)


def test_rows_deleted_by_position_from_one_file_on_both_sides_go_together(base):
    ours, theirs = base.branch(), base.branch()
    delete(ours, 0)
    delete(theirs, 2)
    merged = merge(base, ours, theirs)
    assert ids(base, merged) == [1, 3, 4, 5]
    deletes = [file for file in after(base, merged).files() if not file.is_data]
    assert len(deletes) == (2 if base.metadata.format_version == 2 else 1)  # two lists, or one vector of both
    assert sum(file.file.record_count for file in deletes) == 2


def test_the_same_row_deleted_on_both_sides_is_a_conflict_that_names_the_file(base):
    ours, theirs = base.branch(), base.branch()
    delete(ours, 1)
    delete(theirs, 1)
    [found] = refused(base, ours, theirs)
    assert (found.kind, found.files) == ("row-both", (file_of(base, 1).path,))
    assert "1 rows were deleted or updated on both sides, the first at position 1" in found.detail


def test_a_file_rewritten_on_one_side_and_a_row_of_it_deleted_on_the_other_is_a_conflict(base):
    ours, theirs = base.branch(), base.branch()
    rewrite(ours, 0)
    delete(theirs, 1)
    for one, other in ((ours, theirs), (theirs, ours)):
        [found] = refused(base, one, other)
        assert (found.kind, found.partition) == ("delete-vs-rewrite", "part=a")


def test_other_files_may_be_rewritten_on_each_side(base):
    ours, theirs = base.branch(), base.branch()
    rewrite(ours, 0)
    rewrite(theirs, 5)
    merged = merge(base, ours, theirs)
    assert {dict(row)["id"] for row in scanned(base, merged.metadata) if dict(row)["value"]} == {0, 5}
    assert merged.metadata.current_snapshot().summary.operation == Operation.OVERWRITE


@pytest.mark.parametrize("compacting", ["ours", "theirs"])
def test_a_compaction_gives_way_to_a_delete_of_its_inputs(base, compacting):
    sides = {"ours": base.branch(), "theirs": base.branch()}
    compact(sides[compacting])
    [deleting] = sides.keys() - {compacting}
    delete(sides[deleting], 4)
    merged = merge(base, sides["ours"], sides["theirs"])
    assert ids(base, merged) == [0, 1, 2, 3, 5]
    assert {file.path for file in after(base, merged).data_files()} == {file.path for file in base.data_files()}


def test_inputs_of_an_undone_compaction_come_back_as_they_were(base):
    ours, theirs = base.branch(), base.branch()
    compact(ours)
    rewrite(theirs, 5)
    merged = merge(base, ours, theirs)
    [before], [now] = (
        [f for f in h.data_files() if f.path == file_of(base, 0).path] for h in (base, after(base, merged))
    )
    for told in ("snapshot_id", "sequence_number", "file_sequence_number"):
        assert getattr(now.entry, told) == getattr(before.entry, told)
    assert now.first_row_id == before.first_row_id


def test_deletes_that_a_compaction_had_worked_in_come_back_with_its_inputs(base):
    delete(base, 0)
    ours, theirs = base.branch(), base.branch()
    compact(ours)
    delete(theirs, 5)
    assert ids(base, merge(base, ours, theirs)) == [1, 2, 3, 4]


def test_compactions_on_both_sides_keep_the_targets(base):
    ours, theirs = base.branch(), base.branch()
    compact(ours)
    compact(theirs)
    add(theirs, 9)
    merged = merge(base, ours, theirs)
    assert ids(base, merged) == [0, 1, 2, 3, 4, 5, 9]
    assert {f.path for f in ours.data_files()} <= {f.path for f in after(base, merged).data_files()}


def test_a_compaction_beside_an_append_stays(base):
    ours, theirs = base.branch(), base.branch()
    compact(theirs)
    add(ours, 9)
    merged = merge(base, ours, theirs)
    assert ids(base, merged) == [0, 1, 2, 3, 4, 5, 9]
    assert len(after(base, merged).data_files()) == 2
    assert merged.metadata.current_snapshot().summary.operation == Operation.REPLACE


def test_a_compaction_whose_output_was_changed_again_cannot_be_undone(base):
    ours, theirs = base.branch(), base.branch()
    compact(ours)
    delete(ours, 0)
    delete(theirs, 5)
    assert "compaction" in {found.kind for found in refused(base, ours, theirs)}


def test_compactions_of_compactions_are_undone_together(base):
    ours, theirs = base.branch(), base.branch()
    compact(ours)
    add(ours, 9)
    compact(ours)
    delete(theirs, 5)
    assert ids(base, merge(base, ours, theirs)) == [0, 1, 2, 3, 4, 9]


def test_equality_deletes_are_refused(base):
    ours, theirs = base.branch(), base.branch()
    add(ours, 9)
    file = DataFile(*file_of(base, 0).file._data)
    file[0], file[1], file[14] = DataFileContent.EQUALITY_DELETES, f"{file[1]}.eq", [1]
    theirs.commit(Operation.OVERWRITE, [new_file(file, spec_id=0)])
    assert {found.kind for found in refused(base, ours, theirs)} == {"equality-delete"}


def test_deletes_in_files_that_cannot_be_read_are_refused(base):
    ours, theirs = base.branch(), base.branch()
    add(ours, 9)
    file = DataFile(*file_of(base, 0).file._data)
    file[0], file[1], file[2] = DataFileContent.POSITION_DELETES, f"{file[1]}.avro", FileFormat.AVRO
    theirs.commit(Operation.OVERWRITE, [new_file(file, spec_id=0)])
    assert {found.kind for found in refused(base, ours, theirs)} == {"equality-delete"}


def test_deleted_rows_that_came_back_are_refused(base):
    delete(base, 0)
    ours, theirs = base.branch(), base.branch()
    add(ours, 9)
    deletes = [file for file in theirs.files() if not file.is_data]
    theirs.commit(Operation.OVERWRITE, (), deletes)
    assert {found.kind for found in refused(base, ours, theirs)} == {"rows-restored"}


def test_the_same_file_added_on_both_sides_is_refused(base):
    ours, theirs = base.branch(), base.branch()
    files = base.write([{"id": 9, "part": "a", "value": 0}])
    for side in (ours, theirs):
        side.commit(Operation.APPEND, files)
    assert {found.kind for found in refused(base, ours, theirs)} == {"same-path"}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda m: {"location": f"{m.location}/elsewhere"}, "location"),
        (lambda m: {"table_uuid": "00000000-0000-0000-0000-000000000000"}, "uuid"),
        (lambda m: {"default_spec_id": 7}, "spec"),
        (
            lambda m: {"refs": {**m.refs, "audit": SnapshotRef(snapshot_id=m.current_snapshot_id, type="branch")}},
            "refs",
        ),
    ],
    ids=["location", "uuid", "spec", "refs"],
)
def test_what_is_not_merged_is_refused_when_it_changed_on_one_side(base, change, kind):
    ours, theirs = base.branch(), base.branch()
    add(ours, 9)
    theirs.metadata = theirs.metadata.model_copy(update=change(theirs.metadata))
    assert [found.kind for found in refused(base, ours, theirs)] == [kind]
    assert [found.kind for found in refused(base, theirs, ours)] == [kind]


def test_a_side_that_was_rolled_back_behind_the_base_is_refused(base):
    ours, theirs = base.branch(), base.branch()
    add(ours, 9)
    theirs.metadata = theirs.metadata.model_copy(
        update={"current_snapshot_id": theirs.metadata.snapshots[0].snapshot_id}
    )
    assert [found.kind for found in refused(base, ours, theirs)] == ["history"]


def test_rows_rewritten_where_they_were_born_would_carry_ids_of_other_rows(tmp_path):
    base = table(tmp_path, version=3)
    ours, theirs = base.branch(), base.branch()
    add(ours, 8)
    add(theirs, 9)
    rewrite(theirs, 9)
    assert {found.kind for found in refused(base, ours, theirs)} == {"row-lineage"}


def test_new_rows_get_ids_that_no_row_has_or_had(tmp_path):
    base = table(tmp_path, version=3)
    ours, theirs = base.branch(), base.branch()
    add(ours, 7, 8)
    add(theirs, 9)
    merged = merge(base, ours, theirs)
    spans = sorted((f.first_row_id, f.first_row_id + f.file.record_count) for f in after(base, merged).data_files())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    snapshot = merged.metadata.current_snapshot()
    assert (snapshot.first_row_id, snapshot.added_rows) == (ours.metadata.next_row_id, 1)
    assert merged.metadata.next_row_id == ours.metadata.next_row_id + 1
