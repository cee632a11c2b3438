"""What `dbt docs` shows of the catalog, and what `persist_docs` writes into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from dbt.adapters.datafusion.scan import arrow_schema
from dbt.adapters.datafusion.sqltypes import sql_name
from dbt.adapters.datafusion.write import VIEW_QUERY
from dbt_common.contracts.metadata import CatalogTable, ColumnMetadata, StatsItem, TableMetadata
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

if TYPE_CHECKING:
    import agate
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

_COLUMNS = (
    "table_database",
    "table_schema",
    "table_name",
    "table_type",
    "table_comment",
    "table_owner",
    "column_name",
    "column_index",
    "column_type",
    "column_comment",
    "stats:rows:label",
    "stats:rows:value",
    "stats:rows:description",
    "stats:rows:include",
)


def tables(catalog: Catalog, namespace: str) -> Iterator[Table]:
    """Every table of a namespace; none if the namespace is not there, and none that is dropped meanwhile."""
    try:
        identifiers = sorted(catalog.list_tables(namespace))
    except NoSuchNamespaceError:
        return
    for identifier in identifiers:
        try:
            yield catalog.load_table(identifier)
        except NoSuchTableError:
            continue


def catalog_rows(table: Table, *, database: str) -> Iterator[tuple[Any, ...]]:
    """One row a column, as dbt's catalog wants them."""
    snapshot = table.current_snapshot()
    rows = (snapshot.summary or {}).get("total-records", "0") if snapshot else "0"  # type: ignore[union-attr]
    view = VIEW_QUERY in table.properties
    for index, (field, column) in enumerate(zip(table.schema().fields, arrow_schema(table), strict=True), 1):
        yield (
            database,
            *table.name()[-2:],
            "view" if view else "table",
            table.properties.get("comment"),
            None,
            field.name,
            index,
            sql_name(column.type),
            field.doc,
            "Rows",
            rows,
            "Rows of the current snapshot",
            not view,
        )


INFORMATION_SCHEMA = "information_schema"
"""Namespace that every query sees beside those of the catalog; it is made anew for each query that names it."""

_TABLES = pa.schema([(name, pa.string()) for name in ("table_catalog", "table_schema", "table_name", "table_type")])

_COLUMNS_OF_TABLES = pa.schema(
    [
        *((name, pa.string()) for name in ("table_catalog", "table_schema", "table_name", "column_name")),
        ("ordinal_position", pa.int64()),
        ("is_nullable", pa.string()),
        ("data_type", pa.string()),
    ]
)


def _everything(catalog: Catalog) -> Iterator[Table]:
    for namespace in catalog.list_namespaces():
        yield from tables(catalog, ".".join(namespace))


def _information_tables(catalog: Catalog, database: str) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    rows = [
        (database, *table.name()[-2:], "VIEW" if VIEW_QUERY in table.properties else "BASE TABLE")
        for table in _everything(catalog)
    ]
    return _TABLES, _batches(rows, _TABLES)


def _information_columns(catalog: Catalog, database: str) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    rows = [
        (database, *table.name()[-2:], field.name, position, "NO" if field.required else "YES", sql_name(column.type))
        for table in _everything(catalog)
        for position, (field, column) in enumerate(zip(table.schema().fields, arrow_schema(table), strict=True), 1)
    ]
    return _COLUMNS_OF_TABLES, _batches(rows, _COLUMNS_OF_TABLES)


def _batches(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> list[pa.RecordBatch]:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema).to_batches()


INFORMATION = {"tables": _information_tables, "columns": _information_columns}
"""The tables of `INFORMATION_SCHEMA`: a function that makes the rows of each."""


def single_catalog(table: Table, *, database: str) -> CatalogTable:
    """What dbt's catalog says of one table."""
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in catalog_rows(table, database=database)]
    first = rows[0]
    metadata = TableMetadata(
        type=first["table_type"],
        schema=first["table_schema"],
        name=first["table_name"],
        database=database,
        comment=first["table_comment"],
        owner=first["table_owner"],
    )
    columns = {
        row["column_name"]: ColumnMetadata(
            type=row["column_type"], index=row["column_index"], name=row["column_name"], comment=row["column_comment"]
        )
        for row in rows
    }
    statistic = {name.removeprefix("stats:rows:"): first[name] for name in _COLUMNS if name.startswith("stats:rows:")}
    return CatalogTable(metadata=metadata, columns=columns, stats={"rows": StatsItem(id="rows", **statistic)})


def catalog_table(rows: Sequence[tuple[Any, ...]]) -> agate.Table:
    """The rows under dbt's column names."""
    from dbt_common.clients.agate_helper import table_from_rows

    return table_from_rows(list(rows), list(_COLUMNS))


def describe(table: Table, comment: str | None, columns: Mapping[str, str]) -> None:
    """Set the table's comment and its columns' docs, by one commit; do nothing where they are so already."""
    transaction = table.transaction()
    if comment and table.properties.get("comment") != comment:
        transaction.set_properties({"comment": comment})
    docs = {field.name: field.doc for field in table.schema().fields}
    changed = {name: doc for name, doc in columns.items() if name in docs and docs[name] != doc}
    if changed:
        with transaction.update_schema() as update:
            for name, doc in changed.items():
                update.update_column((name,), doc=doc)
    transaction.commit_transaction()
