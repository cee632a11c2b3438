"""A hash of rows that is free of their order and of how files hold them: equal rows, equal hash.

Every cell is mixed with its column's name into two 64-bit lanes; the lanes are added over the columns of a row, mixed
again (so that values cannot wander between rows), and the 128-bit row hashes are added over all rows modulo 2**128.
Addition makes the sums of files add up, and taking a file away subtract. What follows from that:

- a null adds nothing, so a column that was added to the schema later (null in old files) leaves old sums as they are;
- integers of any width are hashed by value, float32 as float64, timestamps as microseconds: widening a type changes
  the schema, not the rows; -0.0 equals 0.0 and every NaN equals every other, as in SQL's GROUP BY;
- nothing depends on the machine, the process or a library's version: only NumPy arithmetic modulo 2**64 and BLAKE2b.

It is no defence against somebody who wants a collision; the lake's objects have SHA-256 for that.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]

VERSION = "1"
"""Changes whenever equal rows get another sum than before."""

BLOCK_ROWS = 16_384
"""Rows hashed at a time: a block's lanes stay in a core's cache."""

ROW_HASH = np.dtype([("one", np.uint64), ("two", np.uint64)])
"""Both lanes of the hash of one row."""

_MODULUS = 1 << 128
_ONE = np.uint64(0x9E3779B97F4A7C15)
_TWO = np.uint64(0xD1B54A32D192ED03)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = (np.uint64(shift) for shift in (27, 30, 31, 32))
_LOW_HALF = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class RowSum:
    """Rows as a multiset: how many, and the sum of their hashes modulo 2**128. Adds and subtracts like rows do."""

    rows: int = 0
    total: int = 0

    def __add__(self, other: RowSum) -> RowSum:
        return RowSum(self.rows + other.rows, (self.total + other.total) % _MODULUS)

    def __sub__(self, other: RowSum) -> RowSum:
        return RowSum(self.rows - other.rows, (self.total - other.total) % _MODULUS)

    @property
    def hex(self) -> str:
        return f"{self.total:032x}"

    def to_text(self) -> str:
        """The sum as it is kept: with the version of the arithmetic that made it."""
        return f"{VERSION}:{self.hex}"

    @classmethod
    def from_text(cls, rows: int, text: str) -> RowSum | None:
        """The sum that was kept; None if other arithmetic made it, and it cannot be added to or compared."""
        version, _, total = text.partition(":")
        return cls(rows, int(total, 16)) if version == VERSION else None


def sum_rows(data: pa.Table | pa.RecordBatch | Iterable[pa.RecordBatch]) -> RowSum:
    """The multiset hash of all rows, by column name; the order of rows and columns does not matter.

    Raises:
        TypeError: a column of a type that no Iceberg table can hold.
    """
    if isinstance(data, pa.RecordBatch):
        return _sum_batch(data)
    batches = data.to_batches() if isinstance(data, pa.Table) else data
    return sum((_sum_batch(batch) for batch in batches), RowSum())


def _sum_batch(batch: pa.RecordBatch) -> RowSum:
    total = RowSum()
    for start in range(0, batch.num_rows, BLOCK_ROWS):
        total += _sum_block(batch.slice(start, BLOCK_ROWS))
    return total


def row_hashes(batch: pa.RecordBatch) -> NDArray[np.void]:
    """The 128-bit hash of each row, by which rows can be told apart; shape ``(rows,)``, of `ROW_HASH`."""
    found = np.empty(batch.num_rows, ROW_HASH)
    if batch.num_rows:
        found["one"], found["two"] = _hash_block(batch)
    return found


def _sum_block(block: pa.RecordBatch) -> RowSum:
    one, two = _hash_block(block)
    return RowSum(block.num_rows, ((_exact_sum(one) << 64) + _exact_sum(two)) % _MODULUS)


def _hash_block(block: pa.RecordBatch) -> tuple[Words, Words]:
    """Both lanes of the hash of each row."""
    one, two = np.full(block.num_rows, _ONE), np.full(block.num_rows, _TWO)  # a row of nulls is a row too
    for name, column in zip(block.schema.names, block.columns, strict=True):
        _add_column(one, two, name, column)
    one = _mix(one + (two >> _S31) * _ONE)
    return one, _mix(two ^ (one * _TWO))


def _exact_sum(words: Words) -> int:
    """The sum as a whole number: halves, so that no 64-bit sum overflows (a block has far fewer than 2**32 rows)."""
    return (int((words >> _S32).sum()) << 32) + int((words & _LOW_HALF).sum())


def _add_column(one: Words, two: Words, name: str, column: pa.Array) -> None:
    """Add the two lanes of every cell of one column to the lanes of its row."""
    seed_one, seed_two = _seeds(name)
    words, more = _words(column)
    first = _mix(words ^ seed_one)
    second = _mix((first if more is None else more) ^ seed_two)
    if column.null_count:
        valid = _valid(column)
        first *= valid
        second *= valid
    one += first
    two += second


@lru_cache(maxsize=65_536)
def _seeds(name: str) -> tuple[np.uint64, np.uint64]:
    one, two = _digest(b"column\0" + name.encode())
    return np.uint64(one), np.uint64(two)


def _digest(value: bytes) -> tuple[int, int]:
    digest = hashlib.blake2b(value, digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def _mix(words: Words) -> Words:
    """splitmix64's finaliser: a bijection of 64-bit words in which every bit depends on every other.

    Source: Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators (2014), variant 13 of Stafford.
    """
    shifted = words >> _S30
    words = words ^ shifted
    words *= _MIX_A
    np.right_shift(words, _S27, out=shifted)
    words ^= shifted
    words *= _MIX_B
    np.right_shift(words, _S31, out=shifted)
    words ^= shifted
    return words


def _valid(column: pa.Array) -> Words:
    return column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint64)


def _words(column: pa.Array) -> tuple[Words, Words | None]:
    """The canonical bits of each cell: one word where 64 bits hold the value, else two. Nulls hold anything."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _integers(column), None
    if pa.types.is_floating(kind):
        return _floats(column), None
    if pa.types.is_temporal(kind):
        return _integers(_moments(column)), None
    if pa.types.is_decimal(kind):
        return _decimals(column)
    if _holds_bytes(kind):
        return _bytes(column)
    return _composite(column)


def _composite(column: pa.Array) -> tuple[Words, Words | None]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _words(column.dictionary_decode())
    if isinstance(kind, pa.BaseExtensionType):
        return _words(column.storage)
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.uint64), None
    if pa.types.is_struct(kind):
        return _structs(column)
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays([column.keys, column.items], names=["key", "value"])
        return _lists(column, entries, by_position=False)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _lists(column, column.values, by_position=True)
    if pa.types.is_fixed_size_list(kind):
        return _words(column.cast(pa.large_list(kind.value_type)))
    raise TypeError(f"rows of type {kind} cannot be hashed")


def _holds_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    variable = types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind)
    views = types.is_string_view(kind) or types.is_binary_view(kind)
    return variable or types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or views


def _integers(column: pa.Array) -> Words:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if column.null_count:
        column = column.fill_null(0)
    values = column.to_numpy(zero_copy_only=False)
    return values.astype(np.uint64 if pa.types.is_unsigned_integer(column.type) else np.int64).view(np.uint64)


def _floats(column: pa.Array) -> Words:
    if column.null_count:
        column = column.fill_null(pa.scalar(0.0, pa.float64()).cast(column.type))
    values = column.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0  # adding zero turns -0.0 into 0.0
    words = values.view(np.uint64)
    words[np.isnan(values)] = 0x7FF8000000000000
    return words


def _moments(column: pa.Array) -> pa.Array:
    """Dates as days, times of day and timestamps as microseconds (as nanoseconds where they have them)."""
    kind = column.type
    if pa.types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.int32())
    if pa.types.is_time(kind) and kind.unit != "ns":
        column = column.cast(pa.time64("us"))
    elif pa.types.is_timestamp(kind) and kind.unit != "ns":
        column = column.cast(pa.timestamp("us", kind.tz))
    return column.cast(pa.int64())


def _decimals(column: pa.Array) -> tuple[Words, Words]:
    """The unscaled value in two's complement, low word first: a wider precision of the same scale is the same value."""
    column = column.cast(pa.decimal128(38, column.type.scale))
    words = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, 2)[column.offset : column.offset + len(column)]
    low, high = (0, 1) if sys.byteorder == "little" else (1, 0)
    return _mix(words[:, low]), words[:, high] + _mix(words[:, low] ^ _ONE)


def _bytes(column: pa.Array) -> tuple[Words, Words]:
    """BLAKE2b of each distinct value, once."""
    kind = column.type
    if not pa.types.is_fixed_size_binary(kind):
        column = column.cast(pa.large_binary())
    encoded = column.dictionary_encode()
    digests = [_digest(value) for value in encoded.dictionary.to_pylist()]
    unique = np.array(digests or [(0, 0)], dtype=np.uint64)
    indices = pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False)
    chosen = unique[indices]
    return np.ascontiguousarray(chosen[:, 0]), np.ascontiguousarray(chosen[:, 1])


def _structs(column: pa.StructArray) -> tuple[Words, Words]:
    one, two = np.full(len(column), _ONE), np.full(len(column), _TWO)
    for field, child in zip(column.type, column.flatten(), strict=True):
        _add_column(one, two, field.name, child)
    return _mix(one), _mix(two ^ _mix(one))


def _lists(column: pa.Array, values: pa.Array, *, by_position: bool) -> tuple[Words, Words]:
    """Each list as the sum of its elements, each mixed with its position (a map has none), and its length."""
    offsets = column.offsets.to_numpy().astype(np.int64)
    lengths = np.diff(offsets)
    first, last = int(offsets[0]), int(offsets[-1])
    position = np.zeros(last - first, np.uint64)
    if by_position:
        position = (np.arange(first, last) - np.repeat(offsets[:-1], lengths)).astype(np.uint64)
    one, two = np.zeros(last - first, np.uint64), np.zeros(last - first, np.uint64)
    _add_column(one, two, "element", values.slice(first, last - first))
    one, two = _mix(one + position * _ONE), _mix(two ^ _mix(position + _TWO))
    count = lengths.astype(np.uint64)
    return _mix(_sum_spans(one, offsets - first) + count), _mix(_sum_spans(two, offsets - first) ^ _mix(count))


def _sum_spans(words: Words, offsets: NDArray[np.int64]) -> Words:
    """Sums modulo 2**64 of `words[offsets[i]:offsets[i + 1]]`; empty spans are zero."""
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64)])
    return running[offsets[1:]] - running[offsets[:-1]]
