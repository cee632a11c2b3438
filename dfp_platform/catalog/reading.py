"""Rows of tables at a ref: one table by columns and a filter, or any of them by SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.table import Table
from pyparsing import ParseException

from dfp_platform.catalog.lake_catalog import LakeCatalog, open_catalog
from dfp_platform.catalog.names import Identifier
from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    from datafusion import SessionContext

_COUNT_STAR = re.compile(r"count\s*\(\s*\*\s*\)", re.IGNORECASE)
_LISTS_TABLES = re.compile(r"\bshow\b|\binformation_schema\b", re.IGNORECASE)
_ALL_COLUMNS = re.compile(r"\*|\b(natural|table|describe|show)\b", re.IGNORECASE)


def scan(
    lake: Lake,
    ref: str,
    identifier: str | Identifier,
    *,
    columns: Sequence[str] | None = None,
    row_filter: str | BooleanExpression | None = None,
) -> pa.Table:
    """The rows of a table at a branch, tag or commit.

    Args:
        columns: which ones, in the table's order; all if None.
        row_filter: an Iceberg expression, ``"malware = 1 and device = 'emulator'"``.
    Raises:
        NotFoundError: no such ref or table. InputError: no such column, or a filter that is none.
    """
    table = _load(open_catalog(lake, lake.resolve(ref)), identifier, ref)
    selected = ("*",) if columns is None else tuple(columns)
    try:
        return table.scan(row_filter=row_filter or AlwaysTrue(), selected_fields=selected).to_arrow()
    except (ValueError, ParseException) as error:
        name = ".".join(table.name())
        raise InputError(f"cannot read {name} at {ref}: {error}", hint="look at its columns", file=name) from error


def query(lake: Lake, ref: str, sql: str) -> pa.Table:
    """The result of one read-only SQL query (DataFusion's dialect) over the tables at a ref, named ``namespace.table``.

    Only tables and columns whose names occur in the text are read; names with other than lower-case letters, digits
    and ``_`` go in double quotes.

    Raises:
        InputError: the query is wrong, or would change something. NotFoundError: no such ref.
    """
    from datafusion import SessionContext, SQLOptions

    catalog = open_catalog(lake, lake.resolve(ref))
    context = SessionContext()
    for identifier in catalog.all_tables():
        if _occurs(identifier[-1], sql) and all(_occurs(level, sql) for level in identifier[:-1]):
            _register(context, identifier, _needed_rows(catalog.load_table(identifier), sql))
        elif _LISTS_TABLES.search(sql):
            _register(context, identifier, catalog.load_table(identifier).schema().as_arrow().empty_table())
    read_only = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
    try:
        return context.sql_with_options(sql, read_only).to_arrow_table()
    except Exception as error:  # datafusion raises plain Exception for whatever is wrong with a query
        raise InputError(f"the query failed at {ref}: {error}", hint="tables are named namespace.table") from error


def _load(catalog: LakeCatalog, identifier: str | Identifier, ref: str) -> Table:
    try:
        return catalog.load_table(identifier)
    except NoSuchTableError as error:
        name = ".".join(catalog.identifier_to_tuple(identifier))
        raise NotFoundError(f"no table {name} at {ref}", hint="`dfp lake show` lists tables", table=name) from error


def _needed_rows(table: Table, sql: str) -> pa.Table:
    """The rows of a table, read by field id: the columns that a query may need, and at least one."""
    names = [field.name for field in table.schema().fields]
    used = [name for name in names if _occurs(name, sql)] or names[:1]
    selected = names if _ALL_COLUMNS.search(_COUNT_STAR.sub("", sql)) else used
    return table.scan(selected_fields=tuple(selected)).to_arrow()


def _register(context: SessionContext, identifier: Identifier, rows: pa.Table) -> None:
    from datafusion.catalog import Schema

    namespace = ".".join(identifier[:-1])
    if namespace not in context.catalog().schema_names():
        context.catalog().register_schema(namespace, Schema.memory_schema())
    context.catalog().schema(namespace).register_table(identifier[-1], context.from_arrow(rows))


def _occurs(name: str, sql: str) -> bool:
    """Whether a name may be meant somewhere in the text; rather one too many than one too few."""
    return name.replace('"', '""').lower() in sql.lower()
