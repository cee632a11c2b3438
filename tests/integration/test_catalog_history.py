"""A table with a random history: what its pointer says is always what a full scan says."""

from __future__ import annotations

import random
import warnings

import pyarrow as pa
import pytest
from pyiceberg.types import DoubleType, LongType

from dfp_platform.catalog import open_catalog, overwrite, sum_rows
from dfp_platform.catalog.table_sums import REMEMBERED
from dfp_platform.lake import open_lake

STEPS = 12


def some_rows(table, chance: random.Random) -> pa.Table:
    schema = table.schema().as_arrow()
    count = chance.randrange(4)
    makers = {
        pa.int32(): lambda: chance.choice([None, 0, 1, 2]),
        pa.int64(): lambda: chance.choice([None, 0, 1, 2**40]),
        pa.float32(): lambda: chance.choice([None, 0.0, -0.0, 0.5]),
        pa.float64(): lambda: chance.choice([None, 0.0, 0.1]),
    }
    columns = {
        f.name: [makers.get(f.type, lambda: chance.choice([None, "", "x"]))() for _ in range(count)] for f in schema
    }
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}, schema=schema
    )


def change_columns(table, chance: random.Random, number: int) -> None:
    names = table.schema().column_names
    name = chance.choice(names)
    with table.update_schema(allow_incompatible_changes=True) as change:
        match chance.randrange(5):
            case 0:
                change.add_column(f"new{number}", chance.choice([LongType(), DoubleType()]))
            case 1:
                change.rename_column(name, f"renamed{number}")
            case 2 if len(names) > 1:
                change.delete_column(name)
            case 3 if str(table.schema().find_type(name)) in ("int", "float"):
                change.update_column(name, LongType() if str(table.schema().find_type(name)) == "int" else DoubleType())
            case _:
                change.move_first(name)


@pytest.mark.parametrize("seed", range(2))
def test_a_pointer_always_says_what_a_full_scan_says(tmp_path, seed):
    chance = random.Random(seed)
    catalog = open_catalog(open_lake(tmp_path / "lake", create=True), "main")
    first = pa.table({"i": pa.array([1, None], pa.int32()), "f": pa.array([0.5, None], pa.float32()), "s": ["x", None]})
    overwrite(catalog, "marts.t", first)
    for number in range(STEPS):
        table = catalog.load_table("marts.t")
        before = catalog.pointer("marts.t").content
        match chance.randrange(6):
            case 0 | 1:
                table.append(some_rows(table, chance))
            case 2:
                change_columns(table, chance, number)
            case 3:
                with warnings.catch_warnings(action="ignore"):  # pyiceberg warns when no row matches
                    table.delete(f"{chance.choice(table.schema().column_names)} is null")
            case 4:
                result = overwrite(catalog, "marts.t", table.scan().to_arrow())
                assert (result.changed, result.content) == (False, before)
            case 5:
                overwrite(catalog, "marts.t", some_rows(table, chance))
        if chance.random() < 0.3:
            REMEMBERED._sums.clear()  # as in another process
        rows = catalog.load_table("marts.t").scan().to_arrow()
        pointer = catalog.pointer("marts.t")
        assert (pointer.rows, pointer.rows_hash) == (rows.num_rows, sum_rows(rows).to_text())
