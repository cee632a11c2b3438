"""Whole tables in one snapshot, from rows or from files that are there."""

from __future__ import annotations

import datetime as dt
import io
import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfp_platform.catalog import content_of, open_catalog, overwrite, register_files, scan
from dfp_platform.errors import InputError, ReadOnlyError, StaleHeadError
from dfp_platform.lake import Lake, open_lake

APPS = pa.table({"sha256": ["a", "b", "c"], "malware": pa.array([0, 1, None], pa.int32())})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def catalog(lake: Lake):
    return open_catalog(lake, "main")


def snapshots(catalog, identifier: str) -> list[str]:
    return [str(s.summary.operation.value) for s in catalog.load_table(identifier).metadata.snapshots]


def commits(lake: Lake) -> int:
    return sum(1 for _ in lake.log("main"))


# -- overwrite --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["table", "reader"])
def test_overwrite_makes_the_table_then_one_snapshot_per_change(lake, catalog, form):
    def write(data: pa.Table):
        return overwrite(catalog, "marts.apps", data if form == "table" else data.to_reader(max_chunksize=2))

    first = write(APPS)
    assert (first.rows, first.changed) == (3, True)
    assert first.content == content_of(lake, "main", "tables/marts/apps")
    second = write(APPS.slice(1))
    assert (second.rows, second.changed) == (2, True)
    assert snapshots(catalog, "marts.apps") == ["append", "overwrite"]
    assert second.snapshot_id == catalog.load_table("marts.apps").current_snapshot().snapshot_id
    assert scan(lake, "main", "marts.apps").to_pylist() == APPS.slice(1).to_pylist()


@pytest.mark.parametrize("form", ["table", "reader"])
def test_equal_rows_make_no_commit_and_leave_no_file(lake, catalog, form):
    written = overwrite(catalog, "marts.apps", APPS)
    files = sorted(Path(lake.warehouse).rglob("*.*"))
    count = commits(lake)
    again = APPS.take([2, 0, 1])
    result = overwrite(catalog, "marts.apps", again if form == "table" else again.to_reader(max_chunksize=1))
    assert result == type(result)(written.identifier, 3, written.content, False, written.snapshot_id)
    assert (commits(lake), sorted(Path(lake.warehouse).rglob("*.*"))) == (count, files)


def test_creating_with_rows_is_one_commit_beside_that_of_the_namespace(lake, catalog):
    overwrite(catalog, "marts.a", APPS)
    count = commits(lake)
    overwrite(catalog, "marts.b", APPS)
    assert commits(lake) == count + 1


def test_columns_follow_the_data_by_name_and_keep_their_ids(lake, catalog):
    overwrite(catalog, "marts.apps", APPS)
    old = lake.resolve("main")
    wider = pa.table({"year": [2019], "malware": pa.array([2**40], pa.int64()), "sha256": [7]})
    overwrite(catalog, "marts.apps", wider)
    schema = catalog.load_table("marts.apps").schema()
    assert [(f.name, str(f.field_type)) for f in schema.fields] == [
        ("year", "long"),
        ("malware", "long"),
        ("sha256", "long"),
    ]
    ids = {field.name: field.field_id for field in schema.fields}
    assert ids["malware"] == 2  # widened: the same column
    assert ids["sha256"] == 4  # another type: another column of that name
    assert snapshots(catalog, "marts.apps") == ["append", "overwrite"]
    assert scan(lake, "main", "marts.apps").to_pylist() == wider.to_pylist()
    assert scan(lake, old, "marts.apps").to_pylist() == APPS.to_pylist()
    overwrite(catalog, "marts.apps", wider.drop_columns("year"))
    assert catalog.load_table("marts.apps").schema().column_names == ["malware", "sha256"]


def test_narrower_numbers_do_not_make_a_new_schema(lake, catalog):
    overwrite(catalog, "marts.apps", pa.table({"n": pa.array([1], pa.int64()), "x": pa.array([0.5], pa.float64())}))
    count = commits(lake)
    narrow = pa.table({"n": pa.array([1], pa.int16()), "x": pa.array([0.5], pa.float32())})
    assert not overwrite(catalog, "marts.apps", narrow).changed
    assert commits(lake) == count


def test_a_new_column_of_nulls_is_a_change_of_schema(catalog):
    first = overwrite(catalog, "marts.apps", APPS)
    second = overwrite(catalog, "marts.apps", APPS.append_column("x", pa.nulls(3, pa.string())))
    assert second.changed
    assert second.content != first.content


def test_an_empty_table_is_made_once_and_a_full_one_can_be_emptied(lake, catalog):
    empty = APPS.slice(0, 0)
    assert overwrite(catalog, "marts.apps", empty).changed
    assert not overwrite(catalog, "marts.apps", empty).changed
    overwrite(catalog, "marts.apps", APPS)
    result = overwrite(catalog, "marts.apps", empty)
    assert (result.rows, result.changed) == (0, True)
    assert scan(lake, "main", "marts.apps").num_rows == 0
    assert not overwrite(catalog, "marts.apps", empty).changed


def test_a_partitioned_table_holds_the_same_rows_and_content(lake, catalog):
    plain = overwrite(catalog, "marts.plain", APPS)
    split = overwrite(catalog, "marts.split", APPS.to_reader(max_chunksize=1), partition=["malware"])
    assert split.content == plain.content
    assert len(catalog.load_table("marts.split").inspect.files()) == 3
    assert not overwrite(catalog, "marts.split", APPS).changed
    assert overwrite(catalog, "marts.split", APPS.slice(0, 2)).rows == 2
    with pytest.raises(InputError, match="partitioned"):
        overwrite(catalog, "marts.split", APPS.drop_columns("malware"))
    with pytest.raises(InputError, match="nope"):
        overwrite(catalog, "marts.new", APPS, partition=["nope"])


def test_properties_are_set_with_the_rows_or_alone(lake, catalog):
    overwrite(catalog, "marts.apps", APPS, properties={"owner": "us"})
    assert catalog.load_table("marts.apps").properties["owner"] == "us"
    result = overwrite(catalog, "marts.apps", APPS, properties={"owner": "them"})
    assert result.changed
    assert snapshots(catalog, "marts.apps") == ["append"]
    assert not overwrite(catalog, "marts.apps", APPS, properties={"owner": "them"}).changed


def test_types_that_iceberg_lacks_are_stored_as_their_like(lake, catalog):
    odd = pa.table(
        {
            "small": pa.array([1], pa.uint8()),
            "big": pa.array([2**40], pa.uint64()),
            "word": pa.array(["x"]).dictionary_encode(),
            "at": pa.array([dt.datetime(2020, 1, 1)], pa.timestamp("ns")),
            "half": pa.array([0.5], pa.float16()),
        }
    )
    overwrite(catalog, "marts.odd", odd)
    expected = {"small": 1, "big": 2**40, "word": "x", "at": dt.datetime(2020, 1, 1), "half": 0.5}
    assert scan(lake, "main", "marts.odd").to_pylist() == [expected]
    assert not overwrite(catalog, "marts.odd", odd).changed


@pytest.mark.parametrize(
    "bad",
    [
        pa.table({"fine": [1], "bad": pa.nulls(1)}),
        pa.table({"fine": [1], "bad": pa.array([2**64 - 1], pa.uint64())}),
        pa.table({"fine": [1], "bad": pa.array([1], pa.timestamp("ns"))}),
        pa.table([[1], [2], [3]], names=["bad", "fine", "bad"]),
    ],
)
def test_a_value_that_cannot_be_stored_is_an_error_that_names_its_column(lake, catalog, bad):
    with pytest.raises(InputError) as caught:
        overwrite(catalog, "marts.apps", bad)
    assert caught.value.fields["column"] == "bad"
    assert not catalog.table_exists("marts.apps")


def test_a_writer_that_another_overtook_is_told_and_changes_nothing(lake, catalog):
    overwrite(catalog, "marts.apps", APPS)
    other = open_catalog(lake, "main")

    def overtaken():
        yield APPS.slice(1).to_batches()[0]
        other.load_table("marts.apps").append(APPS)

    with pytest.raises(StaleHeadError, match=r"marts\.apps"):
        overwrite(catalog, "marts.apps", pa.RecordBatchReader.from_batches(APPS.schema, overtaken()))
    assert scan(lake, "main", "marts.apps").num_rows == 6


def test_two_writers_of_a_table_that_was_empty_are_one_and_an_error(lake, catalog):
    """Found by test: with files to delete named one by one, pyiceberg kept the rows another writer had added."""
    catalog.create_namespace("marts")
    catalog.create_table("marts.apps", APPS.schema)

    def overtaken():
        yield APPS.to_batches()[0]
        open_catalog(lake, "main").load_table("marts.apps").append(APPS.slice(1))

    with pytest.raises(StaleHeadError, match=r"marts\.apps"):
        overwrite(catalog, "marts.apps", pa.RecordBatchReader.from_batches(APPS.schema, overtaken()))
    assert scan(lake, "main", "marts.apps").num_rows == 2


def test_overwriting_at_a_tag_is_refused(lake, catalog):
    overwrite(catalog, "marts.apps", APPS)
    lake.tag("v1", "main")
    with pytest.raises(ReadOnlyError):
        overwrite(open_catalog(lake, "v1"), "marts.apps", APPS.slice(1))


# -- register_files ---------------------------------------------------------------------------------------------------


def land(lake: Lake, path: str, data: pa.Table) -> str:
    buffer = io.BytesIO()
    pq.write_table(data, buffer)
    lake.commit("main", {path: buffer.getvalue()}, message=f"land {path}")
    return lake.address("main", path)


def files_of(catalog, identifier: str) -> list[str]:
    paths = catalog.load_table(identifier).inspect.files()["file_path"].to_pylist()
    return sorted(path.removeprefix("file://") for path in paths)


def test_a_table_is_made_over_landed_files_without_a_copy(lake, catalog):
    files = [land(lake, f"raw/apps/{n}.parquet", APPS.slice(n, 1)) for n in range(3)]
    result = register_files(catalog, "raw.apps", files)
    assert (result.rows, result.changed) == (3, True)
    table = catalog.load_table("raw.apps")
    assert files_of(catalog, "raw.apps") == sorted(files)
    assert not list(Path(table.metadata.location.removeprefix("file://")).rglob("*.parquet"))
    assert result.content == overwrite(catalog, "marts.apps", APPS).content
    assert sorted(scan(lake, "main", "raw.apps")["sha256"].to_pylist()) == ["a", "b", "c"]


def test_the_same_files_make_no_commit_and_others_replace_them_in_one_snapshot(lake, catalog):
    files = [land(lake, f"raw/apps/{n}.parquet", APPS.slice(n, 1)) for n in range(3)]
    first = register_files(catalog, "raw.apps", files)
    count = commits(lake)
    assert register_files(catalog, "raw.apps", files[::-1]) == type(first)(
        first.identifier, 3, first.content, False, first.snapshot_id
    )
    assert commits(lake) == count
    fourth = land(lake, "raw/apps/3.parquet", APPS)
    result = register_files(catalog, "raw.apps", [files[0], fourth])
    assert (result.rows, snapshots(catalog, "raw.apps")) == (4, ["append", "overwrite"])
    assert files_of(catalog, "raw.apps") == sorted([files[0], fourth])


def test_other_files_of_equal_rows_are_registered_and_the_content_stays(lake, catalog):
    first = register_files(catalog, "raw.apps", [land(lake, "raw/apps/0.parquet", APPS)])
    moved = land(lake, "raw/apps/0.parquet", APPS.take([2, 1, 0]))
    second = register_files(catalog, "raw.apps", [moved])
    assert second.changed
    assert second.content == first.content
    assert files_of(catalog, "raw.apps") == [moved]


def test_new_columns_of_landed_files_are_read_by_name(lake, catalog):
    old = land(lake, "raw/apps/0.parquet", APPS)
    register_files(catalog, "raw.apps", [old])
    wider = APPS.append_column("year", pa.array([1, 2, 3])).select(["year", "malware", "sha256"])
    new = land(lake, "raw/apps/1.parquet", wider)
    register_files(catalog, "raw.apps", [old, new])
    found = scan(lake, "main", "raw.apps").sort_by([("sha256", "ascending"), ("year", "ascending")])
    assert found["sha256"].to_pylist() == ["a", "a", "b", "b", "c", "c"]
    assert found["year"].to_pylist() == [1, None, 2, None, 3, None]
    register_files(catalog, "raw.apps", [new])
    assert scan(lake, "main", "raw.apps").select(wider.column_names).to_pylist() == wider.to_pylist()


def test_files_that_do_not_fit_together_or_are_none_are_an_error(lake, catalog):
    left = land(lake, "raw/apps/0.parquet", pa.table({"x": [1]}))
    right = land(lake, "raw/apps/1.parquet", pa.table({"x": ["1"]}))
    with pytest.raises(InputError, match="do not fit together"):
        register_files(catalog, "raw.apps", [left, right])
    with pytest.raises(InputError):
        register_files(catalog, "raw.apps", [])
    assert not catalog.table_exists("raw.apps")


# -- content -----------------------------------------------------------------------


def test_every_layout_of_equal_rows_has_one_content(lake, catalog):
    expected = overwrite(catalog, "marts.whole", APPS).content
    for number, order in enumerate(itertools.permutations(range(3))):
        table = catalog.create_table(f"marts.t{number}", APPS.schema)
        for row in order:
            table.append(APPS.slice(row, 1))
        assert catalog.pointer(f"marts.t{number}").content == expected


def test_a_lake_in_a_folder_with_odd_letters_holds_tables_too(tmp_path):
    lake = open_lake(tmp_path / "my lake #1 ü%20?", create=True)
    catalog = open_catalog(lake, "main")
    overwrite(catalog, "marts.apps", APPS)
    register_files(catalog, "raw.apps", [land(lake, "raw/apps/0.parquet", APPS)])
    assert (
        scan(lake, "main", "marts.apps").to_pylist() == scan(lake, "main", "raw.apps").to_pylist() == APPS.to_pylist()
    )


def test_lists_and_structs_are_stored_evolved_and_equal_to_themselves(lake, catalog):
    kind = pa.struct([("left", pa.int32()), ("right", pa.list_(pa.string()))])
    rows = [{"vector": [0.5, None], "pair": {"left": 1, "right": ["x"]}}, {"vector": None, "pair": None}]
    data = pa.Table.from_pylist(rows, pa.schema([("vector", pa.list_(pa.float32())), ("pair", kind)]))
    assert overwrite(catalog, "marts.nested", data).changed
    assert scan(lake, "main", "marts.nested").to_pylist() == rows
    assert not overwrite(catalog, "marts.nested", data.take([1, 0])).changed
    assert not overwrite(catalog, "marts.nested", scan(lake, "main", "marts.nested")).changed
    ids = catalog.load_table("marts.nested").schema().field_ids
    overwrite(catalog, "marts.nested", data.append_column("more", pa.array([1, 2])))
    assert set(ids) < set(catalog.load_table("marts.nested").schema().field_ids)
    land_nested = land(lake, "raw/nested/0.parquet", data)
    register_files(catalog, "raw.nested", [land_nested])
    assert scan(lake, "main", "raw.nested").to_pylist() == rows
    assert content_of(lake, "main", "tables/raw/nested") == overwrite(catalog, "marts.flat", data).content
