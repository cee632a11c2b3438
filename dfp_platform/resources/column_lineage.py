"""From which columns each column of a table is made, read off the SQL that dbt compiled for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from sqlglot.optimizer.scope import Scope

DIALECTS = {"datafusion": "postgres", "spark": "spark"}
"""How sqlglot calls the SQL of each engine; DataFusion keeps to PostgreSQL's."""

Sources = Mapping[str, tuple[tuple[str, str], ...]]
"""Column → tables and columns it is made from, tables as ``schema.name``."""


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """A model that dbt built: its SQL, and the tables that this reads, as ``schema.name``."""

    sql: str
    reads: tuple[str, ...]


def compiled_models(manifest: Mapping[str, Any]) -> dict[str, CompiledModel]:
    """Each model that a build compiled, by ``schema.name``, from dbt's manifest of that build."""
    nodes = {**manifest["sources"], **manifest["nodes"]}
    called = {
        key: f"{node['schema']}.{node.get('alias') or node.get('identifier') or node['name']}"
        for key, node in nodes.items()
    }
    return {
        called[key]: CompiledModel(node["compiled_code"], tuple(called[dep] for dep in node["depends_on"]["nodes"]))
        for key, node in nodes.items()
        if node["resource_type"] == "model" and node.get("compiled_code")
    }


def column_lineage(sql: str, schemas: Mapping[str, Sequence[str]], *, engine: str = "datafusion") -> Sources:
    """The columns that each column of a query is computed from; those that only choose rows are none of these.

    Args:
        sql: one query.
        schemas: columns of the tables it reads, by ``schema.name``; a star stands for them.
        engine: whose SQL it is.
    Returns:
        In the order of the query; a column made from no other has none. Empty where the SQL cannot be read.
    """
    from sqlglot import MappingSchema, exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    known: dict[str, Any] = {}
    for name, columns in schemas.items():
        schema, _, table = name.rpartition(".")
        known.setdefault(schema, {})[table] = dict.fromkeys(columns, "text")
    dialect = DIALECTS[engine]
    try:
        query = parse_one(sql, dialect=dialect)
        whole = qualify(
            query, schema=MappingSchema(known, dialect=dialect), dialect=dialect, validate_qualify_columns=False
        )
        scope = build_scope(whole)
        if scope is None or not isinstance(whole, exp.Query):
            return {}
        return {name: tuple(sorted(set(_sources(scope, place)))) for place, name in enumerate(whole.named_selects)}
    except SqlglotError:
        return {}


def _sources(scope: "Scope", place: int) -> Iterator[tuple[str, str]]:
    """Tables and columns behind the column at a place of a scope's output."""
    from sqlglot import exp

    if scope.set_operation_scopes:
        for side in scope.set_operation_scopes:
            yield from _sources(side, place)
        return
    query = scope.expression
    for column in query.selects[place].find_all(exp.Column) if isinstance(query, exp.Query) else ():
        source = scope.sources.get(column.table)
        if isinstance(source, exp.Table):
            yield f"{source.db}.{source.name}", column.name
        elif source is not None and isinstance(source.expression, exp.Query):
            names = source.expression.named_selects
            yield from _sources(source, names.index(column.name)) if column.name in names else ()


def as_metadata(sources: Sources) -> dg.TableColumnLineage:
    """As Dagster shows it; a table's asset is that of its schema and name."""
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=dg.AssetKey(["tables", *table.split(".")]), column_name=name)
                for table, name in made_from
            ]
            for column, made_from in sources.items()
        }
    )
