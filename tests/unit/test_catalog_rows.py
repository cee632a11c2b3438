"""The multiset hash of rows: what it is free of, and what it sees."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfp_platform.catalog.rows import BLOCK_ROWS, RowSum, sum_rows

BUSY = settings(suppress_health_check=[HealthCheck.too_slow])  # machines that run tests are busy

SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.string()),
        ("b", pa.binary()),
        ("d", pa.decimal128(20, 3)),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("yes", pa.bool_()),
        ("list", pa.list_(pa.int32())),
        ("pair", pa.struct([("left", pa.int32()), ("right", pa.string())])),
        ("map", pa.map_(pa.string(), pa.int64())),
    ]
)
VALUES = {
    "i": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(allow_nan=False).map(lambda value: value + 0.0),
    "s": st.text(max_size=6),
    "b": st.binary(max_size=6),
    "d": st.decimals(-(10**16), 10**16, places=3),
    "day": st.dates(),
    "at": st.datetimes(timezones=st.just(dt.UTC)),
    "yes": st.booleans(),
    "list": st.lists(st.none() | st.integers(0, 5), max_size=4),
    "pair": st.fixed_dictionaries({"left": st.none() | st.integers(0, 5), "right": st.none() | st.text(max_size=2)}),
    "map": st.dictionaries(st.text(max_size=2), st.none() | st.integers(0, 5), max_size=3).map(
        lambda d: list(d.items())
    ),
}
ROW = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})
ROWS = st.lists(ROW, max_size=8)


def table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def one(name: str, values: list, kind: pa.DataType) -> RowSum:
    return sum_rows(pa.table({name: pa.array(values, kind)}))


@given(rows=ROWS, random=st.randoms(use_true_random=False))
@settings(BUSY, max_examples=60)
def test_the_order_of_rows_and_columns_does_not_matter(rows, random):
    expected = sum_rows(table(rows))
    shuffled, names = list(rows), list(SCHEMA.names)
    random.shuffle(shuffled)
    random.shuffle(names)
    assert sum_rows(table(shuffled).select(names)) == expected


@given(rows=ROWS, cuts=st.lists(st.integers(0, 8), max_size=3))
@settings(BUSY, max_examples=60)
def test_the_sums_of_parts_add_up_to_the_sum_of_the_whole(rows, cuts):
    whole, edges = table(rows), sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    parts = [whole.slice(low, high - low) for low, high in itertools.pairwise(edges)]
    total = sum((sum_rows(part) for part in parts), RowSum())
    assert total == sum_rows(whole)
    for part in parts:
        total -= sum_rows(part)
    assert total == RowSum()


@given(rows=st.lists(ROW, min_size=1, max_size=5), data=st.data())
@settings(BUSY, max_examples=150)
def test_one_changed_cell_changes_the_sum(rows, data):
    row = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(SCHEMA.names))
    other = data.draw((st.none() | VALUES[name]).filter(lambda value: _differs(value, rows[row][name])))
    changed = [dict(row) for row in rows]
    changed[row][name] = other
    assert sum_rows(table(changed)) != sum_rows(table(rows))


def _differs(left, right) -> bool:
    if isinstance(left, list) and left and isinstance(left[0], tuple) and isinstance(right, list):
        return sorted(map(repr, left)) != sorted(map(repr, right))  # a map has no order
    return left != right


@given(rows=st.lists(ROW, min_size=1, max_size=5))
@settings(BUSY, max_examples=30)
def test_duplicates_are_counted(rows):
    doubled = sum_rows(table([*rows, rows[0]]))
    assert doubled != sum_rows(table(rows))
    assert doubled.rows == len(rows) + 1


def test_values_cannot_wander_between_rows_or_columns():
    straight = sum_rows(pa.table({"a": [1, 2], "b": [3, 4]}))
    assert straight != sum_rows(pa.table({"a": [1, 2], "b": [4, 3]}))
    assert straight != sum_rows(pa.table({"b": [1, 2], "a": [3, 4]}))
    assert straight != sum_rows(pa.table({"a": [1, 2], "c": [3, 4]}))


def test_null_is_no_value_and_an_added_column_of_nulls_is_nothing():
    assert one("x", [None], pa.int64()) != one("x", [0], pa.int64())
    assert one("x", [None], pa.string()) != one("x", [""], pa.string())
    assert one("x", [None], pa.list_(pa.int32())) != one("x", [[]], pa.list_(pa.int32()))
    assert one("x", [[None]], pa.list_(pa.int32())) != one("x", [[]], pa.list_(pa.int32()))
    pair = pa.struct([("a", pa.int32())])
    assert one("x", [None], pair) != one("x", [{"a": None}], pair)
    plain = pa.table({"x": [1, 2]})
    assert sum_rows(plain.append_column("y", pa.nulls(2, pa.string()))) == sum_rows(plain)


def test_list_elements_have_an_order_and_lists_have_borders():
    kind = pa.list_(pa.int32())
    assert one("x", [[1, 2]], kind) != one("x", [[2, 1]], kind)
    assert one("x", [[1, 2], [3]], kind) != one("x", [[1], [2, 3]], kind)
    assert one("x", [[1, 2], [3]], kind) == one("x", [[3], [1, 2]], pa.large_list(pa.int64()))
    assert one("x", [[1, 2]], pa.list_(pa.int32(), 2)) == one("x", [[1, 2]], kind)


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ([1, None, -7], [pa.int8(), pa.int16(), pa.int32(), pa.int64()]),
        ([1, None, 200], [pa.uint8(), pa.uint32(), pa.uint64(), pa.int64()]),
        ([0.5, None, -1.25], [pa.float32(), pa.float64()]),
        ([Decimal("1.50"), None], [pa.decimal128(5, 2), pa.decimal128(30, 2)]),
        (["a", None, "é"], [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]),
        ([b"ab", None], [pa.binary(), pa.large_binary(), pa.binary(2), pa.binary_view()]),
        ([dt.datetime(2020, 1, 2), None], [pa.timestamp(unit) for unit in ("s", "ms", "us")]),
        ([dt.date(1980, 1, 1), None], [pa.date32(), pa.date64()]),
        ([dt.time(1, 2), None], [pa.time32("s"), pa.time64("us")]),
    ],
)
def test_equal_values_are_equal_in_every_width(values, kinds):
    assert len({one("x", values, kind).hex for kind in kinds}) == 1


def test_zeros_are_one_value_and_so_are_nans():
    assert one("x", [0.0], pa.float64()) == one("x", [-0.0], pa.float64())
    odd_nan = np.array([0x7FF8000000000123], np.uint64).view(np.float64)
    assert one("x", [math.nan], pa.float64()) == one("x", odd_nan, pa.float64())
    assert one("x", [math.nan], pa.float64()) != one("x", [None], pa.float64())


def test_blocks_and_chunks_leave_no_trace():
    values = np.arange(2 * BLOCK_ROWS + 5)
    whole = pa.table({"x": values})
    chunked = pa.concat_tables([whole.slice(3, 7), whole.slice(10), whole.slice(0, 3)])
    assert sum_rows(chunked) == sum_rows(whole)
    assert sum_rows(iter(chunked.to_batches())) == sum_rows(whole)


def test_the_sum_of_known_rows_stays_what_it_was_on_every_platform_and_version():
    known = table(
        [
            dict.fromkeys(SCHEMA.names),
            {
                "i": -5,
                "f": 0.1,
                "s": "größe",
                "b": b"\0\1",
                "d": Decimal("-1.250"),
                "day": dt.date(2019, 10, 24),
                "at": dt.datetime(2019, 10, 24, 1, 2, 3, 4, tzinfo=dt.UTC),
                "yes": True,
                "list": [1, None, 3],
                "pair": {"left": 1, "right": None},
                "map": [("k", 1), ("l", None)],
            },
        ]
    )
    assert sum_rows(known).hex == "f50ee91998dcd7620b01e8f777a96c63"


def test_a_sum_made_by_other_arithmetic_is_not_taken_for_ours():
    found = one("x", [1, 2], pa.int64())
    assert RowSum.from_text(2, found.to_text()) == found
    assert RowSum.from_text(2, f"0:{found.hex}") is None
    assert RowSum.from_text(2, "") is None


def test_a_type_that_cannot_be_hashed_is_refused_by_name():
    union = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
    with pytest.raises(TypeError, match="union"):
        sum_rows(pa.table({"x": union}))
