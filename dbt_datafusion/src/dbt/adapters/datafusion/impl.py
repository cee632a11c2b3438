"""What dbt asks of an adapter, answered by the Iceberg catalog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from dbt.adapters.base import available
from dbt.adapters.base.impl import ConstraintSupport
from dbt.adapters.capability import Capability, CapabilityDict, CapabilitySupport, Support
from dbt.adapters.contracts.relation import RelationType
from dbt.adapters.datafusion import docs, scan, write
from dbt.adapters.datafusion.column import DataFusionColumn
from dbt.adapters.datafusion.connections import DataFusionConnectionManager
from dbt.adapters.datafusion.engine import Engine
from dbt.adapters.datafusion.relation import DataFusionRelation
from dbt.adapters.datafusion.sqltypes import sql_name
from dbt.adapters.sql import SQLAdapter
from dbt_common.contracts.constraints import ConstraintType

if TYPE_CHECKING:
    import agate
    from dbt.adapters.base.column import Column as BaseColumn
    from dbt.adapters.base.impl import FreshnessResponse
    from dbt.adapters.base.relation import BaseRelation, InformationSchema
    from dbt.adapters.contracts.connection import AdapterResponse
    from dbt.adapters.contracts.macros import MacroResolverProtocol
    from dbt_common.contracts.metadata import CatalogTable


class DataFusionAdapter(SQLAdapter):
    """DataFusion over a pyiceberg catalog. Schemas are Iceberg namespaces."""

    Relation = DataFusionRelation
    Column = DataFusionColumn
    ConnectionManager = DataFusionConnectionManager
    CONSTRAINT_SUPPORT = dict.fromkeys(ConstraintType, ConstraintSupport.NOT_SUPPORTED) | {
        ConstraintType.not_null: ConstraintSupport.ENFORCED
    }
    _capabilities = CapabilityDict({Capability.TableLastModifiedMetadata: CapabilitySupport(support=Support.Full)})

    @classmethod
    def date_function(cls) -> str:
        """The SQL for the current time."""
        return "now()"

    @classmethod
    def is_cancelable(cls) -> bool:
        """A running query cannot be stopped from another thread."""
        return False

    def valid_incremental_strategies(self) -> list[str]:
        """The built-in strategies there are; projects may add their own by macros, as with any adapter."""
        return ["append", "delete+insert", "insert_overwrite", "merge", "microbatch"]

    @contextmanager
    def engine(self, doing: str) -> Iterator[Engine]:
        """The engine behind this thread's connection; what the catalog complains of becomes dbt's own error.

        Args:
            doing: what it is used for, for the log.
        """
        with self.connections.exception_handler(doing):
            handle: Any = self.connections.get_thread_connection().handle
            yield handle.engine

    # The catalog

    def list_schemas(self, database: str) -> list[str]:
        """Every namespace."""
        with self.engine("list namespaces") as engine:
            return [".".join(namespace) for namespace in engine.catalog.list_namespaces()]

    def check_schema_exists(self, database: str, schema: str) -> bool:
        """Whether the namespace is there."""
        return schema in self.list_schemas(database)

    def list_relations_without_caching(self, schema_relation: BaseRelation) -> list[BaseRelation]:
        """Every table and view of a namespace; none if it is not there."""
        with self.engine(f"list {schema_relation}") as engine:
            return [
                self.Relation.create(
                    database=schema_relation.database,
                    schema=schema_relation.schema,
                    identifier=table.name()[-1],
                    type=RelationType.View if write.VIEW_QUERY in table.properties else RelationType.Table,
                )
                for table in docs.tables(engine.catalog, str(schema_relation.schema))
            ]

    def get_columns_in_relation(  # pyrefly: ignore[bad-override]  # the parent says what a macro would return
        self, relation: BaseRelation
    ) -> list[BaseColumn]:
        """The columns of a table or view, in order; none if it is not there."""
        with self.engine(f"columns of {relation}") as engine:
            table = write.load_if_exists(engine.catalog, _identifier(relation))
            return _columns(scan.arrow_schema(table)) if table else []

    @available.parse_list
    def get_column_schema_from_query(self, sql: str) -> list[BaseColumn]:
        """The columns a query would return. It is planned, not run."""
        with self.engine(sql) as engine:
            return _columns(engine.plan(sql).schema())

    def _get_one_catalog(
        self, information_schema: InformationSchema, schemas: set[str], used_schemas: frozenset[tuple[str, str]]
    ) -> agate.Table:
        with self.engine("docs") as engine:
            # dbt asks for schemas in lower case, whatever they are called.
            namespaces = [".".join(namespace) for namespace in engine.catalog.list_namespaces()]
            rows = [
                row
                for namespace in sorted(namespaces)
                if namespace.lower() in schemas
                for table in docs.tables(engine.catalog, namespace)
                for row in docs.catalog_rows(table, database=str(information_schema.database))
            ]
        return self._catalog_filter_table(docs.catalog_table(rows), used_schemas)

    def get_catalog_for_single_relation(self, relation: BaseRelation) -> CatalogTable | None:
        """What dbt's catalog says of one table or view; None if it is not there."""
        with self.engine(f"docs of {relation}") as engine:
            table = write.load_if_exists(engine.catalog, _identifier(relation))
            return docs.single_catalog(table, database=engine.database) if table else None

    def calculate_freshness_from_metadata(
        self, source: BaseRelation, macro_resolver: MacroResolverProtocol | None = None
    ) -> tuple[AdapterResponse | None, FreshnessResponse]:
        """When a table last changed: the time of its current snapshot. One without a snapshot is infinitely old."""
        with self.engine(f"freshness of {source}") as engine:
            table = write.load_if_exists(engine.catalog, _identifier(source))
        snapshot = table.current_snapshot() if table else None
        changed = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC) if snapshot else None
        return None, self._create_freshness_response(changed, datetime.now(UTC))

    @available.parse_none
    def persist_relation_docs(self, relation: BaseRelation, comment: str | None, columns: dict[str, str]) -> None:
        """Store descriptions as the table's comment and its columns' docs, by one commit, or none if they are there."""
        with self.engine(f"describe {relation}") as engine:
            docs.describe(engine.catalog.load_table(_identifier(relation)), comment, columns)

    # Seeds

    @available.parse_none
    def store_seed(self, relation: BaseRelation, rows: agate.Table, types: dict[str, str]) -> None:
        """Make a table hold a seed's rows, by one commit.

        Args:
            types: SQL type of the columns that are not to have the type their values suggest.
        """
        with self.engine(f"store {relation}") as engine:
            kinds = [
                engine.arrow_type(types.get(name) or self.convert_type(rows, index) or "varchar")
                for index, name in enumerate(rows.column_names)
            ]
            arrays = [_array(column, kind) for column, kind in zip(rows.columns, kinds, strict=True)]
            engine.store(_identifier(relation), pa.table(arrays, names=list(rows.column_names)))

    @classmethod
    def convert_text_type(cls, agate_table: agate.Table, col_idx: int) -> str:
        """SQL type of a seed's text."""
        return "varchar"

    @classmethod
    def convert_number_type(cls, agate_table: agate.Table, col_idx: int) -> str:
        """SQL type of a seed's numbers: double if any has a fraction."""
        from agate import MaxPrecision

        places = agate_table.aggregate(MaxPrecision(col_idx))  # pyrefly: ignore[missing-attribute]  # agate adds it late
        return "double" if places else "bigint"

    @classmethod
    def convert_integer_type(cls, agate_table: agate.Table, col_idx: int) -> str:
        """SQL type of a seed's whole numbers."""
        return "bigint"

    @classmethod
    def convert_datetime_type(cls, agate_table: agate.Table, col_idx: int) -> str:
        """SQL type of a seed's points in time."""
        return "timestamp"


def _identifier(relation: BaseRelation) -> tuple[str, str]:
    return str(relation.schema), str(relation.identifier)


def _columns(schema: pa.Schema) -> list[BaseColumn]:
    return [DataFusionColumn(field.name, sql_name(field.type)) for field in schema]


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    plain = [_plain(value, kind) for value in values]
    if pa.types.is_string(kind):
        return pa.array([None if value is None else str(value) for value in plain], kind)
    if pa.types.is_date(kind):  # the text of a point in time is that of its day first
        plain = [value[:10] if isinstance(value, str) else value for value in plain]
    if any(isinstance(value, str) for value in plain):
        return pa.array(plain, pa.string()).cast(kind)
    return pa.array(plain, kind)


def _plain(value: Any, kind: pa.DataType) -> Any:
    if isinstance(value, Decimal) and not pa.types.is_decimal(kind):
        return int(value) if value == value.to_integral_value() and not pa.types.is_floating(kind) else float(value)
    return value
