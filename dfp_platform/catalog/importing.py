"""Tables that exist already become tables of a lake, their files used where they lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pyiceberg.exceptions import TableAlreadyExistsError

from dfp_platform.catalog.lake_catalog import open_catalog
from dfp_platform.catalog.names import engine_address
from dfp_platform.catalog.writing import register_files
from dfp_platform.errors import AlreadyExistsError, InputError, NotFoundError
from dfp_platform.lake.interface import Lake

_METADATA = ".metadata.json"
_VERSION = re.compile(r"v?(\d+)")


def import_table(lake: Lake, branch: str, table: str, sources: Sequence[Path]) -> int:
    """Put a table on a branch: an Iceberg table by its folder or metadata file, or parquet files; return its rows.

    Nothing is copied. From here on the files belong to history like any others: whoever wrote them must leave them.

    Raises:
        AlreadyExistsError: the branch has a table of that name. NotFoundError: no such file. InputError: it is no
        table, or columns that do not fit together.
    """
    catalog = open_catalog(lake, branch)
    if catalog.table_exists(table):
        raise AlreadyExistsError(f"{branch} has a table {table} already", hint="choose another name", table=table)
    found = [source.resolve() for source in sources]
    missing = next((source for source in found if not source.exists()), None)
    if missing is not None:
        raise NotFoundError(f"no file {missing}", hint="name a file or folder of this machine", path=str(missing))
    metadata = _metadata_file(found[0]) if len(found) == 1 else None
    if metadata is None:
        return register_files(catalog, table, [str(file) for file in _parquet_files(found)]).rows
    catalog.create_namespace_if_not_exists(catalog.identifier_to_tuple(table)[:-1])
    try:
        catalog.register_table(table, engine_address(str(metadata)))
    except TableAlreadyExistsError as error:
        raise AlreadyExistsError(str(error), table=table) from error
    except ValueError as error:
        raise InputError(f"{metadata} describes no table: {error}", file=str(metadata)) from error
    return catalog.pointer(table).rows


def _metadata_file(source: Path) -> Path | None:
    """The newest metadata file of an Iceberg table's folder, or the file itself if it is one."""
    if source.is_file():
        return source if source.name.endswith(_METADATA) else None
    versions = [file for file in (source / "metadata").glob(f"*{_METADATA}") if _VERSION.match(file.name)]
    return max(versions, key=lambda file: (_version(file), file.stat().st_mtime), default=None)


def _version(file: Path) -> int:
    found = _VERSION.match(file.name)
    return int(found.group(1)) if found else -1


def _parquet_files(sources: Sequence[Path]) -> list[Path]:
    files = [
        file for source in sources for file in (sorted(source.rglob("*.parquet")) if source.is_dir() else [source])
    ]
    if not files:
        raise InputError(
            f"{sources[0]} holds neither Iceberg metadata nor parquet files",
            hint="name a table's folder (with metadata/ in it), a .metadata.json file, or parquet files",
            file=str(sources[0]),
        )
    return files
