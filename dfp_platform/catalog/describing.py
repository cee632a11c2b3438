"""Descriptions of tables and columns, kept in the tables: Iceberg's column docs, and the property `comment`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dfp_platform.catalog.lake_catalog import LakeCatalog
from dfp_platform.catalog.names import Identifier
from dfp_platform.catalog.writing import translated
from dfp_platform.errors import NotFoundError


def describe(
    catalog: LakeCatalog,
    identifier: str | Identifier,
    described: Callable[[Sequence[str]], Mapping[str, str]],
    *,
    comment: str = "",
) -> bool:
    """Give columns their descriptions, by one commit; False where they have them already. Rows and content stay.

    Args:
        described: from the table's column names to descriptions by name; of columns that the table lacks, too.
        comment: what the table holds; empty: left as it is.
    """
    name = catalog.identifier_to_tuple(identifier)
    table = catalog.load_table(name)
    columns = described(table.schema().column_names)
    new = {f.name: columns[f.name] for f in table.schema().fields if columns.get(f.name, f.doc) != f.doc}
    remark = comment if comment and table.properties.get("comment") != comment else ""
    if not new and not remark:
        return False
    with translated(name), table.transaction() as transaction:
        if remark:
            transaction.set_properties({"comment": remark})
        with transaction.update_schema() as update:
            for column, description in new.items():
                update.update_column((column,), doc=description)
    return True


def column_docs(catalog: LakeCatalog, identifier: str | Identifier) -> list[tuple[str, str, str]]:
    """Name, type and description (empty: none) of each column, in order. Raises NotFoundError: no such table."""
    if not catalog.table_exists(identifier):
        name = ".".join(catalog.identifier_to_tuple(identifier))
        raise NotFoundError(
            f"no table {name} at {catalog.ref}", hint="`dfp lake show main` lists what there is", table=name
        )
    fields = catalog.load_table(identifier).schema().fields
    return [(field.name, str(field.field_type), field.doc or "") for field in fields]
