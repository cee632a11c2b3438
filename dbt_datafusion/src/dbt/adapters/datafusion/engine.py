"""One DataFusion session over one Iceberg catalog: what a dbt process queries and writes through."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
from dbt.adapters.datafusion import docs, scan, write
from dbt.adapters.datafusion.credentials import DataFusionCredentials, parse_bytes
from dbt.adapters.datafusion.evolve import alter_columns, can_become, evolve_columns
from dbt.adapters.datafusion.sqltext import quoted
from dbt.adapters.datafusion.sqltypes import storable, storable_schema
from dbt.adapters.datafusion.staging import Staging
from dbt.adapters.datafusion.write import Identifier
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

from datafusion import DataFrame, RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions, col, lit, udf
from datafusion.catalog import Schema

if TYPE_CHECKING:
    from dbt.adapters.datafusion.statements import ColumnChange, Evolution
    from pyiceberg.table import Table

_MISSING_TABLE = re.compile(r"table '(?P<name>.+)' not found")
_STAGED = "__dbt_staged"
"""Schema of the session for rows that are in no table."""

_Frame: TypeAlias = tuple[str, frozenset[str] | None, str | None]
"""Which rows: of which metadata file, of which data files, and the name of their column that says so."""

_FRAMES = 64
"""How many plans of tables an engine keeps."""

_ONLY_QUERIES = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)


class Engine:
    """A session and a catalog, safe for several threads.

    A query sees the tables as they are when it is planned: what it names is looked up in the catalog then, and held by
    its plan from there on, so a table may be replaced by a query that reads it.
    """

    def __init__(self, credentials: DataFusionCredentials) -> None:
        self.catalog = load_catalog(credentials.catalog_name, **credentials.catalog_properties)
        self.database = credentials.database
        self._session = _session(credentials)
        self._staging = Staging(credentials.spill_folder)
        self._planning = RLock()
        self._frames: dict[_Frame, DataFrame] = {}

    def plan(self, sql: str) -> DataFrame:
        """Plan one query.

        Raises:
            ValueError: DataFusion's own complaint: a table or column that is not there, a type that does not fit, a
                statement that is no query.
        """
        with self._planning:
            registered: list[Identifier] = []
            try:
                return self._plan(sql, registered, views=())
            finally:
                for namespace, name in registered:
                    self._schema(namespace).deregister_table(name)

    def _plan(self, sql: str, registered: list[Identifier], views: tuple[Identifier, ...]) -> DataFrame:
        # DataFusion alone knows what in a text is a table: plan, add the table it misses, plan again.
        while True:
            try:
                return self._session.sql_with_options(sql, _ONLY_QUERIES)
            except Exception as error:
                identifier = self._missing(str(error))
                if identifier is None or identifier in registered:
                    raise
                if identifier in views:
                    raise ValueError(f"the view {'.'.join(identifier)} reads itself") from error
                rows = self._look_up(identifier, registered, views)
                if rows is None:
                    raise
                self._schema(identifier[0]).register_table(identifier[1], rows)
                registered.append(identifier)

    def _look_up(
        self, identifier: Identifier, registered: list[Identifier], views: tuple[Identifier, ...]
    ) -> DataFrame | None:
        """The rows behind a name, None if the catalog has none of that name."""
        if identifier[0] == docs.INFORMATION_SCHEMA and identifier[1] in docs.INFORMATION:
            return self.frame(*docs.INFORMATION[identifier[1]](self.catalog, self.database))
        table = write.load_if_exists(self.catalog, identifier)
        if table is None:
            return None
        query = table.properties.get(write.VIEW_QUERY)
        return self._plan(query, registered, (*views, identifier)) if query else self.scan(table)

    def _missing(self, complaint: str) -> Identifier | None:
        match = _MISSING_TABLE.search(complaint)
        if not match or not match["name"].startswith(f"{self.database}."):
            return None
        namespace, _, name = match["name"].removeprefix(f"{self.database}.").partition(".")
        return namespace, name

    def _schema(self, namespace: str) -> Schema:
        catalog = self._session.catalog(self.database)
        if namespace not in catalog.schema_names():
            catalog.register_schema(namespace, Schema.memory_schema())
        return catalog.schema(namespace)

    def fetch(self, sql: str) -> pa.Table:
        """The rows of one query, held in memory; nanoseconds are cut to microseconds, as in stored tables."""
        frame = self.plan(sql)
        # Batches of one result may differ in what they say of NULLs, as the two sides of a union do.
        kinds = [storable(field.type) if pa.types.is_timestamp(field.type) else field.type for field in frame.schema()]
        schema = pa.schema([pa.field(name, kind) for name, kind in zip(frame.schema().names, kinds, strict=True)])
        return pa.Table.from_batches([_as(schema, batch) for batch in frame.collect()], schema=schema)

    def identifier(self, name: tuple[str, ...]) -> Identifier:
        """Namespace and table that a dotted name means.

        Raises:
            ValueError: no namespace, or another database than the one that is open.
        """
        if len(name) < 2:
            raise ValueError(f"{'.'.join(name)!r} needs its schema before it")
        if len(name) > 2 and name[:-2] != (self.database,):
            raise ValueError(f"{'.'.join(name)!r} lies in another database than {self.database!r}")
        return name[-2], name[-1]

    def scan(self, table: Table, *, only: set[str] | None = None, file_column: str | None = None) -> DataFrame:
        """The rows of a table as it was loaded; see `scan.frame`.

        A frame is a plan over files that never change, so that of the same metadata is not made twice.
        """
        key = (table.metadata_location, frozenset(only) if only is not None else None, file_column)
        frame = self._frames.get(key)
        if frame is None:
            frame = scan.frame(self._session, table, self._staging, only=only, file_column=file_column)
            if len(self._frames) >= _FRAMES:
                self._frames.clear()
            self._frames[key] = frame
        return frame

    @contextmanager
    def registered(self, frame: DataFrame) -> Iterator[str]:
        """A name for SQL under which a frame can be queried."""
        name = f"rows_{uuid.uuid4().hex}"
        with self._planning:
            self._schema(_STAGED).register_table(name, frame)
        try:
            yield f"{quoted(self.database)}.{quoted(_STAGED)}.{quoted(name)}"
        finally:
            with self._planning:
                self._schema(_STAGED).deregister_table(name)

    @contextmanager
    def staged(self, frame: DataFrame, marker: str) -> Iterator[str]:
        """A name for SQL for the rows of a frame, which are computed once; a column `marker` is true in all of them."""
        schema = storable_schema(frame.schema())
        batches = (_as(schema, batch.to_pyarrow()) for batch in frame.execute_stream())
        with self._staging.rows(schema, batches) as path:
            columns = [col(quoted(name)) for name in schema.names]
            rows = self._session.read_parquet(path.as_uri()).select(*columns, lit(True).alias(marker))
            with self.registered(rows) as name:
                yield name

    def renamed(self, frame: DataFrame, names: tuple[str, ...]) -> DataFrame:
        """A frame under the column names `names`, or as it is if there are none.

        Raises:
            ValueError: not as many names as columns.
        """
        have = frame.schema().names
        if not names:
            return frame
        if len(names) != len(have):
            raise ValueError(f"{len(have)} columns selected for the {len(names)} columns {', '.join(names)}")
        return frame.select(*(col(quoted(old)).alias(new) for old, new in zip(have, names, strict=True)))

    def create_table(self, identifier: Identifier, query: str, definition: write.Definition | None = None) -> int:
        """Make a table hold exactly what `query` returns, by one commit. Returns the number of rows."""
        return write.replace(self.catalog, identifier, self.plan(query), definition)

    def create_view(self, identifier: Identifier, query: str) -> None:
        """Keep `query` under a name. It is planned once, so that one that cannot run is refused."""
        write.declare_view(self.catalog, identifier, self.plan(query).schema(), query)

    def insert(
        self,
        identifier: Identifier,
        columns: tuple[str, ...],
        query: str,
        *,
        evolution: Evolution = "",
        overwrite: bool = False,
    ) -> int:
        """Add the rows of `query` to a table, by one commit. Returns their number.

        Args:
            columns: the table's columns that the query's columns are meant for, in order; empty: all of them, or with
                `evolution` those of the query's own names.
            evolution: whether the table's columns may follow the query's.
            overwrite: the partitions that the rows fall in hold nothing else afterwards.

        Raises:
            NoSuchTableError: the table is not there.
            ValueError: not as many columns as the query has, or one the table lacks.
        """
        table = self.catalog.load_table(identifier)
        if write.VIEW_QUERY in table.properties:
            raise ValueError(f"{'.'.join(identifier)} is a view; its rows cannot be changed")
        frame = self.plan(query)
        if not evolution:
            frame = self.renamed(frame, columns or tuple(scan.arrow_schema(table).names))
        transaction = table.transaction()
        evolve_columns(transaction, storable_schema(frame.schema()), evolution)
        have = scan.stored_schema(transaction.table_metadata.schema()).names
        if unknown := [name for name in frame.schema().names if name not in have]:
            raise ValueError(f"{'.'.join(identifier)} has no column {', '.join(unknown)}")
        if overwrite:
            return write.overwrite_partitions(transaction, frame)
        return write.commit(transaction, frame, [], intent="rows")

    def store(self, identifier: Identifier, rows: pa.Table) -> int:
        """Make a table hold exactly `rows`, by one commit. Returns their number."""
        return write.replace(self.catalog, identifier, self.frame(rows.schema, rows.to_batches()))

    def frame(self, schema: pa.Schema, batches: list[pa.RecordBatch]) -> DataFrame:
        """Rows in memory as a frame."""
        return self._session.create_dataframe([batches or [pa.RecordBatch.from_pylist([], schema)]], schema=schema)

    def alter_table(self, identifier: Identifier, changes: Sequence[ColumnChange]) -> None:
        """Add, drop, rename or widen columns, by one commit. Rows and field ids stay.

        A column that is given a type Iceberg cannot make of its own, alone, is written anew and gets another field id.
        """
        if len(changes) == 1 and changes[0].action == "type" and self._is_other_type(identifier, changes[0]):
            self.create_table(identifier, self._with_other_type(identifier, changes[0]))
            return
        transaction = self.catalog.load_table(identifier).transaction()
        for change in changes:
            alter_columns(transaction, change, self.arrow_type(change.kind) if change.kind else None)
        transaction.commit_transaction()

    def _is_other_type(self, identifier: Identifier, change: ColumnChange) -> bool:
        fields = {field.name: field.field_type for field in self.catalog.load_table(identifier).schema().fields}
        return change.name in fields and not can_become(fields[change.name], self.arrow_type(change.kind))

    def _with_other_type(self, identifier: Identifier, change: ColumnChange) -> str:
        names = scan.arrow_schema(self.catalog.load_table(identifier)).names
        columns = ", ".join(
            f"cast({quoted(name)} as {change.kind}) as {quoted(name)}" if name == change.name else quoted(name)
            for name in names
        )
        return f"select {columns} from {quoted(identifier[0])}.{quoted(identifier[1])}"

    def truncate(self, identifier: Identifier) -> None:
        """Take every row from a table; its columns and its history stay."""
        table = self.catalog.load_table(identifier)
        write.commit(table.transaction(), None, write.data_files(table), intent="table")

    def drop(self, identifier: Identifier, *, lenient: bool) -> None:
        """Drop a table or a view. With `lenient` it may be gone already."""
        try:
            self.catalog.drop_table(identifier)
        except NoSuchTableError:
            if not lenient:
                raise

    def rename(self, identifier: Identifier, new: Identifier) -> None:
        """Give a table or a view another name."""
        self.catalog.rename_table(identifier, new)

    def create_schema(self, namespace: str) -> None:
        """Make a namespace, unless it is there."""
        self.catalog.create_namespace_if_not_exists(namespace)

    def drop_schema(self, namespace: str) -> None:
        """Drop a namespace and every table in it. One that is not there is fine."""
        try:
            for identifier in self.catalog.list_tables(namespace):
                self.catalog.drop_table(identifier)
            self.catalog.drop_namespace(namespace)
        except NoSuchNamespaceError:
            return

    def close(self) -> None:
        """Give back what the catalog holds open. The engine is of no use afterwards."""
        self._staging.close()
        self.catalog.close()

    def arrow_type(self, sql_type: str) -> pa.DataType:
        """The stored Arrow type that SQL calls `sql_type`."""
        return storable(self._session.sql(f"select cast(null as {sql_type}) as value").schema().field(0).type)


def _as(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [column.cast(field.type, safe=False) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _session(credentials: DataFusionCredentials) -> SessionContext:
    config = (
        SessionConfig()
        .with_create_default_catalog_and_schema(True)
        .with_default_catalog_and_schema(credentials.database, credentials.schema)
        .with_target_partitions(credentials.target_partitions)
        .with_batch_size(credentials.batch_size)
        # without it `timestamptz` is a type without a zone
        .set("datafusion.execution.time_zone", "UTC")
        # DataFusion 54 loses rows by it where NULLs are equal, as they are in EXCEPT and `is not distinct from`
        .set("datafusion.optimizer.enable_join_dynamic_filter_pushdown", "false")
    )
    runtime = RuntimeEnvBuilder()
    if credentials.memory_limit:
        runtime = runtime.with_fair_spill_pool(parse_bytes(credentials.memory_limit))
    if credentials.spill_folder:
        Path(credentials.spill_folder).mkdir(parents=True, exist_ok=True)
        runtime = runtime.with_disk_manager_specified(credentials.spill_folder)
    session = SessionContext(config, runtime)
    # what other databases call a cast to a date, for packages that say so; a point in time comes as its text
    session.register_udf(udf(_date, [pa.string()], pa.date32(), "immutable", "date"))
    return session


def _date(texts: pa.Array) -> pa.Array:
    return pa.array([None if text is None else text[:10] for text in texts.to_pylist()], pa.string()).cast(pa.date32())


_open: dict[str, Engine] = {}
_opening = Lock()


def open_engine(credentials: DataFusionCredentials) -> Engine:
    """The engine of these credentials in this process; it is opened once and lives until `close_engines`."""
    key = json.dumps(credentials.to_dict(), sort_keys=True, default=str)
    with _opening:
        if key not in _open:
            _open[key] = Engine(credentials)
        return _open[key]


def close_engines() -> None:
    """Close every engine of this process."""
    with _opening:
        for engine in _open.values():
            engine.close()
        _open.clear()
