"""How a table's files are laid out: its partitioning and its sort order, and rows brought into that order."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from dbt.adapters.datafusion.sqltext import Reader, quoted, split
from dbt.adapters.datafusion.sqltypes import storable
from pyiceberg.exceptions import ValidationError
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec, partition_record_value
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.table.update import AddSortOrderUpdate, AssertDefaultSortOrderId, SetDefaultSortOrderUpdate
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    IdentityTransform,
    TimeTransform,
    Transform,
    TruncateTransform,
    VoidTransform,
    parse_transform,
)
from pyiceberg.typedef import Record

from datafusion import DataFrame, col, udf

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata

_KEY = "__dbt_key_"
"""Columns of this name carry what rows are grouped and sorted by; they are not written."""


@dataclass(frozen=True, slots=True)
class Term:
    """A column, or a transform of one: ``day``, ``month(day)``, ``bucket(16, id)``; for sorting its direction too."""

    column: str
    transform: Transform[Any, Any]
    direction: SortDirection = SortDirection.ASC
    nulls: NullOrder = NullOrder.NULLS_FIRST

    @property
    def partition_name(self) -> str:
        """What pyiceberg and Iceberg's Java library call a partition field of this transform."""
        match self.transform:
            case IdentityTransform():
                return self.column
            case BucketTransform():
                return f"{self.column}_bucket_{self.transform.num_buckets}"
            case TruncateTransform():
                return f"{self.column}_trunc_{self.transform.width}"
        return f"{self.column}_{self.transform}"


def term(text: str) -> Term:
    """Read ``column``, ``month(column)`` or ``bucket(16, column)``, with ``desc`` and ``nulls last`` if wanted.

    Without a word of them NULLs come first where rows ascend and last where they descend, as in Iceberg.

    Raises:
        ValueError: no such transform, or something else behind it.
    """
    reader = Reader(text)
    name = reader.identifier()
    arguments = reader.bracketed()
    if name is None:
        raise ValueError(f"{text!r} is not a column or a transform of one")
    column, transform = (name, IdentityTransform()) if arguments is None else _transform(name, arguments)
    direction = SortDirection.DESC if reader.take("desc") else SortDirection.ASC
    reader.take("asc")
    nulls = NullOrder.NULLS_FIRST if direction == SortDirection.ASC else NullOrder.NULLS_LAST
    if reader.take("nulls", "first"):
        nulls = NullOrder.NULLS_FIRST
    elif reader.take("nulls", "last"):
        nulls = NullOrder.NULLS_LAST
    if not reader.at_end():
        raise ValueError(f"{text!r} is not a column or a transform of one: {reader.rest()!r} is not understood")
    return Term(column, transform, direction, nulls)


def _transform(name: str, arguments: str) -> tuple[str, Transform[Any, Any]]:
    numbers = [part for part in split(arguments, ",") if part.isdigit()]
    columns = [Reader(part).identifier() for part in split(arguments, ",") if not part.isdigit()]
    name = name.removesuffix("s")  # Spark says `months`
    text = f"{name}[{numbers[0]}]" if numbers else name
    transform = parse_transform(text) if name not in ("bucket", "truncate") or numbers else None
    sized = isinstance(transform, BucketTransform | TruncateTransform)
    if len(columns) != 1 or columns[0] is None or not (sized or isinstance(transform, TimeTransform)):
        raise ValueError(
            f"{name}({arguments}) is not one of year, month, day, hour (column), bucket, truncate (number, column)"
        )
    return columns[0], transform  # type: ignore[return-value]  # not None: checked above


def partition_spec(terms: Sequence[Term], schema: Schema) -> PartitionSpec:
    """The partitioning of a new table.

    Raises:
        ValueError: no such column, or a transform that its type does not have.
    """
    return PartitionSpec(
        *(
            PartitionField(_source(item, schema), 1000 + index, item.transform, item.partition_name)
            for index, item in enumerate(terms)
        )
    )


def sort_order(terms: Sequence[Term], schema: Schema) -> SortOrder:
    """The sort order of a new table. Raises ValueError as `partition_spec` does."""
    if not terms:
        return SortOrder(order_id=0)
    return SortOrder(
        *(SortField(_source(item, schema), item.transform, item.direction, item.nulls) for item in terms), order_id=1
    )


def _source(item: Term, schema: Schema) -> int:
    try:
        field = schema.find_field(item.column)
    except ValueError as error:
        raise ValueError(f"partitioned or sorted by {item.column}, which is no column of the query") from error
    if not item.transform.can_transform(field.field_type):
        raise ValueError(f"{item.transform} is no transform of {item.column}, which is {field.field_type}")
    return field.field_id


def drop_layout(
    transaction: Transaction,
    partitioned_by: Sequence[Term] | None,
    sorted_by: Sequence[Term] | None,
    *,
    lasting: Collection[str] = (),
) -> None:
    """Let go of what the table is partitioned and sorted by and shall not be any more; None: keep all.

    For before its columns change: pyiceberg refuses a layout by a column that is gone even where it goes next.

    Args:
        lasting: columns that stay as they are.
    """
    metadata = transaction.table_metadata
    if partitioned_by is not None:
        want = {(item.column, str(item.transform)) for item in partitioned_by}
        gone = [
            field.name
            for field in metadata.spec().fields
            if (metadata.schema().find_column_name(field.source_id), str(field.transform)) not in want
            and not isinstance(field.transform, VoidTransform)
        ]
        if gone:
            with transaction.update_spec() as update:
                for name in gone:
                    update.remove_field(name)
    stays = _is_sorted_by(metadata, sorted_by or ()) and {item.column for item in sorted_by or ()} <= set(lasting)
    if sorted_by is not None and not metadata.sort_order().is_unsorted and not stays:
        _set_unsorted(transaction)


def _is_sorted_by(metadata: TableMetadata, terms: Sequence[Term]) -> bool:
    fields = metadata.sort_order().fields
    have = [
        (metadata.schema().find_column_name(field.source_id), str(field.transform), field.direction, field.null_order)
        for field in fields
    ]
    return have == [(item.column, str(item.transform), item.direction, item.nulls) for item in terms]


def add_layout(
    transaction: Transaction, partitioned_by: Sequence[Term] | None, sorted_by: Sequence[Term] | None
) -> None:
    """Make the table partitioned and sorted by these from here on; None: leave it as it is. Old files keep theirs.

    Raises:
        ValueError: no such column, or a transform that its type does not have; or the table is partitioned or sorted by
            a column that is gone, and nothing else was said.
    """
    try:
        metadata = transaction.table_metadata
    except ValidationError as error:
        raise ValueError(
            "the table is partitioned or sorted by a column that the query no longer has, or has with another type: "
            "say what it shall be partitioned and sorted by instead"
        ) from error
    have = {(field.source_id, str(field.transform)) for field in metadata.spec().fields}
    terms = [(_source(item, metadata.schema()), item) for item in partitioned_by or ()]
    if new := [item for source, item in terms if (source, str(item.transform)) not in have]:
        with transaction.update_spec() as update:
            for item in new:
                update.add_field(item.column, item.transform, item.partition_name)
    if sorted_by and sort_order(sorted_by, metadata.schema()).fields != metadata.sort_order().fields:
        with transaction.update_sort_order() as order:
            for item in sorted_by:
                add = order.asc if item.direction == SortDirection.ASC else order.desc
                add(item.column, item.transform, item.nulls)


def check_old_files(metadata: TableMetadata, spec_ids: Collection[int]) -> None:
    """Raise ValueError if files of these partitionings could not be removed: a column of theirs is gone.

    pyiceberg cannot write the manifest that says they are.
    """
    known = {field.field_id for field in metadata.schema().fields}
    for spec in (metadata.specs()[spec_id] for spec_id in spec_ids):
        gone = [field.name for field in spec.fields if field.source_id not in known]
        if gone:
            raise ValueError(f"the table has files partitioned by {', '.join(gone)}, whose column goes: drop it first")


def _set_unsorted(transaction: Transaction) -> None:
    # pyiceberg's own update cannot: it counts orders from 1
    metadata = transaction.table_metadata
    updates = (AddSortOrderUpdate(sort_order=UNSORTED_SORT_ORDER), SetDefaultSortOrderUpdate(sort_order_id=0))
    required = (AssertDefaultSortOrderId(default_sort_order_id=metadata.default_sort_order_id),)
    transaction._apply(updates if metadata.sort_order_by_id(0) is None else updates[1:], required)


def is_arranged(metadata: TableMetadata) -> bool:
    """Whether rows have to come in an order: the table is partitioned, or sorted."""
    return not metadata.spec().is_unpartitioned() or not metadata.sort_order().is_unsorted


def arranged(rows: DataFrame, metadata: TableMetadata) -> DataFrame:
    """`rows` sorted by partition and within it by the table's order, their partitions' values behind the columns.

    DataFusion sorts, and spills where memory is limited; so files can be written one after the other.
    """
    schema = metadata.schema()
    kinds = {field.name: field.type for field in schema_to_pyarrow(schema, include_field_ids=False)}
    present = set(rows.schema().names)
    columns = [
        (col(quoted(name)) if name in present else _null()).cast(storable(kind)).alias(name)
        for name, kind in kinds.items()
    ]
    rows = rows.select(*columns)
    keys, order = [], []
    for index, field in enumerate(metadata.spec().fields):
        name = f"{_KEY}{index}"
        keys.append(_value(field, schema, kinds).alias(name))
        order.append(col(name).sort(ascending=True, nulls_first=True))
    for position, field in enumerate(metadata.sort_order().fields):
        name = f"{_KEY}sort_{position}"
        keys.append(_value(field, schema, kinds).alias(name))
        ascending = field.direction == SortDirection.ASC
        order.append(col(name).sort(ascending=ascending, nulls_first=field.null_order == NullOrder.NULLS_FIRST))
    return rows.select(*(col(quoted(name)) for name in kinds), *keys).sort(*order)


def _null() -> Any:
    from datafusion import lit

    return lit(None)


def _value(field: PartitionField | SortField, schema: Schema, kinds: dict[str, pa.DataType]) -> Any:
    """The expression of a partition's or sort field's value."""
    source = schema.find_field(field.source_id)
    column = col(quoted(source.name))
    if isinstance(field.transform, IdentityTransform):
        return column
    if isinstance(field.transform, VoidTransform):
        return _null().cast(pa.int32())
    given = storable(kinds[source.name])
    result = storable(schema_to_pyarrow(field.transform.result_type(source.field_type)))
    function = field.transform.pyarrow_transform(source.field_type)
    return udf(lambda values: function(values).cast(result), [given], result, "immutable")(column)


def runs(batch: pa.RecordBatch, metadata: TableMetadata) -> Iterator[tuple[Record, pa.RecordBatch]]:
    """The parts of an arranged batch that lie in one partition each, and that partition."""
    fields = metadata.spec().fields
    if not fields:
        yield Record(), batch
        return
    keys = [batch.column(f"{_KEY}{index}") for index in range(len(fields))]
    starts = [0, *_changes(keys), batch.num_rows]
    for start, end in itertools.pairwise(starts):
        values = [_internal(field, key[start].as_py(), metadata) for field, key in zip(fields, keys, strict=True)]
        yield Record(*values), batch.slice(start, end - start)


def _changes(keys: Sequence[pa.Array]) -> list[int]:
    """Where a row begins that differs from the one before it in any key; NULLs are equal."""
    changed: set[int] = set()
    for key in keys:
        codes = key.dictionary_encode(null_encoding="encode").indices.to_numpy()
        changed.update((np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist())
    return sorted(changed)


def _internal(field: PartitionField, value: Any, metadata: TableMetadata) -> Any:
    """A partition's value as Iceberg's manifests hold it: days since 1970 for a date, and so on."""
    if isinstance(field.transform, DayTransform) and value is not None:
        return (value - dt.date(1970, 1, 1)).days
    if value is None or not isinstance(field.transform, IdentityTransform | TruncateTransform):
        return value
    return partition_record_value(field, value, metadata.schema())
