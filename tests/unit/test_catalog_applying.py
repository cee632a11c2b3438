"""The next state of a table: requirements and their wording, versions, and bytes that lose nothing."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from pydantic import TypeAdapter
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    RemovePropertiesUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    UpgradeFormatVersionUpdate,
)
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import ListType, LongType, MapType, NestedField, StringType, StructType

from dfp_platform.catalog.applying import first_metadata, next_metadata
from dfp_platform.catalog.metadata_json import metadata_bytes, metadata_document, parse_whole
from dfp_platform.catalog.requirements import check_requirements
from dfp_platform.errors import PermanentError

UUID = uuid.UUID("8a3b0c52-54e5-4a4d-9a5b-0d9c7b0f7d11")
SCHEMA = Schema(NestedField(5, "id", LongType(), required=True), NestedField(6, "name", StringType()))
REQUIREMENT: TypeAdapter[Any] = TypeAdapter(TableRequirement)


def table(version: int = 2, schema: Schema = SCHEMA) -> TableMetadata:
    return first_metadata(
        schema,
        partition_spec=PartitionSpec(PartitionField(5, 1000, IdentityTransform(), "id")),
        sort_order=UNSORTED_SORT_ORDER,
        location="file:///lake/t",
        properties={"format-version": str(version)},
        table_uuid=UUID,
    )


def snapshot(number: int, **more: Any) -> AddSnapshotUpdate:
    told = {"snapshot-id": number, "sequence-number": number, "timestamp-ms": number, "manifest-list": "file:///l.avro"}
    return AddSnapshotUpdate.model_validate({"snapshot": {**told, "summary": {"operation": "append"}, **more}})


@pytest.mark.parametrize(
    ("kind", "told", "message"),
    [
        ("assert-create", {}, "table already exists"),
        ("assert-table-uuid", {"uuid": str(uuid.UUID(int=1))}, f"UUID does not match: expected {UUID} != "),
        ("assert-current-schema-id", {"current-schema-id": 3}, "current schema changed: expected id 3 != 0"),
        (
            "assert-last-assigned-field-id",
            {"last-assigned-field-id": 9},
            "last assigned field id changed: expected id 9 != 2",
        ),
        (
            "assert-last-assigned-partition-id",
            {"last-assigned-partition-id": 7},
            "last assigned partition id changed: expected id 7 != 1000",
        ),
        ("assert-default-spec-id", {"default-spec-id": 4}, "default partition spec changed: expected id 4 != 0"),
        (
            "assert-default-sort-order-id",
            {"default-sort-order-id": 4},
            "default sort order changed: expected id 4 != 0",
        ),
        (
            "assert-ref-snapshot-id",
            {"ref": "main", "snapshot-id": 5},
            "branch or tag main is missing, expected 5",
        ),
    ],
)
def test_a_requirement_that_fails_says_so_in_the_words_of_icebergs_clients(kind, told, message):
    requirement = REQUIREMENT.validate_python({"type": kind, **told})
    with pytest.raises(CommitFailedException, match="Requirement failed: ") as failed:
        check_requirements([requirement], table())
    assert message in str(failed.value)


def test_a_branch_of_a_table_that_came_or_moved_meanwhile_is_named():
    ref = {"ref-name": "main", "type": "branch", "snapshot-id": 1}
    moved = next_metadata(table(), [], [snapshot(1), SetSnapshotRefUpdate.model_validate(ref)])
    for told, message in ((None, "branch main was created concurrently"), (2, "has changed: expected id 2 != 1")):
        requirement = REQUIREMENT.validate_python(
            {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": told}
        )
        with pytest.raises(CommitFailedException, match=message):
            check_requirements([requirement], moved)


def test_nothing_holds_of_a_table_that_is_not_there_but_that_it_is_made():
    check_requirements([REQUIREMENT.validate_python({"type": "assert-create"})], None)
    with pytest.raises(CommitFailedException, match="metadata is missing"):
        check_requirements([REQUIREMENT.validate_python({"type": "assert-table-uuid", "uuid": str(UUID)})], None)


def test_updates_that_change_nothing_give_the_very_same_state():
    base = table()
    again = [AddSchemaUpdate(schema_=base.schema()), SetCurrentSchemaUpdate(schema_id=-1)]
    assert next_metadata(base, [], again) is base
    assert next_metadata(base, [], [UpgradeFormatVersionUpdate(format_version=2)]) is base
    assert next_metadata(base, [], [RemovePropertiesUpdate(removals=["never-set"])]) is base


def test_row_ids_begin_at_zero_and_grow_with_each_snapshot_of_version_3():
    base = next_metadata(table(), [], [UpgradeFormatVersionUpdate(format_version=3)])
    young = next_metadata(base, [], [snapshot(1, **{"first-row-id": 0, "added-rows": 7})])
    assert metadata_document(young)["next-row-id"] == 7
    with pytest.raises(CommitFailedException, match="behind table next-row-id: 6 < 7"):
        next_metadata(young, [], [snapshot(2, **{"first-row-id": 6, "added-rows": 1})])
    with pytest.raises(ValueError, match="without first row id"):
        next_metadata(young, [], [snapshot(2)])


def test_defaults_of_nested_columns_survive_the_numbering():
    inner = StructType(NestedField(20, "n", LongType(), initial_default=3, write_default=4))
    schema = Schema(
        NestedField(30, "list", ListType(31, inner, element_required=True)),
        NestedField(40, "map", MapType(41, StringType(), 42, inner, value_required=True)),
    )
    told = json.dumps(metadata_document(table_without_spec(schema))["schemas"][0])
    assert told.count('"initial-default": 3, "write-default": 4') == 2


def table_without_spec(schema: Schema) -> TableMetadata:
    return first_metadata(
        schema,
        partition_spec=PartitionSpec(),
        sort_order=UNSORTED_SORT_ORDER,
        location="file:///lake/t",
        properties={"format-version": "3"},
        table_uuid=UUID,
    )


@pytest.mark.parametrize("version", [1, 2, 3])
def test_bytes_of_every_version_are_read_back_as_the_same_state(version):
    metadata = next_metadata(table(version), [], [SetPropertiesUpdate(updates={"a": "b"})])
    assert TableMetadataUtil.parse_raw(metadata_bytes(metadata).decode()) == metadata
    assert parse_whole(metadata_bytes(metadata).decode()) == metadata


def test_version_1_repeats_the_current_schema_and_spec_for_old_readers():
    base = table(1)
    wider = Schema(*base.schema().fields, NestedField(3, "size", LongType()))
    updates = [AddSchemaUpdate(schema_=wider), SetCurrentSchemaUpdate(schema_id=-1)]
    told = metadata_document(next_metadata(base, [], updates))
    assert [field["name"] for field in told["schema"]["fields"]] == ["id", "name", "size"]
    assert told["partition-spec"] == told["partition-specs"][0]["fields"]


def test_fields_that_would_be_lost_are_named_and_empty_ones_do_not_matter():
    told = metadata_document(table(3))
    assert parse_whole(
        json.dumps({**told, "encryption-keys": [], "partition-spec": []})
    ) == TableMetadataUtil.parse_obj(told)
    snapshots = [{"snapshot-id": 1, "timestamp-ms": 1, "manifest-list": "l", "key-id": "k"}]
    with pytest.raises(PermanentError, match=r"encryption-keys, snapshots\.key-id"):
        parse_whole(json.dumps({**told, "encryption-keys": [{"key-id": "k"}], "snapshots": snapshots}))
