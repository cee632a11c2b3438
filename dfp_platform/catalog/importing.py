"""Tables that exist already become tables of a lake, their files used where they lie: on a disk or in a store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs
from pyiceberg.exceptions import TableAlreadyExistsError
from pyiceberg.io.pyarrow import PyArrowFileIO

from dfp_platform.catalog.lake_catalog import LakeCatalog, open_catalog
from dfp_platform.catalog.names import engine_address
from dfp_platform.catalog.writing import register_files
from dfp_platform.errors import AlreadyExistsError, InputError, NotFoundError
from dfp_platform.lake.interface import Lake

_METADATA = ".metadata.json"
_VERSION = re.compile(r"v?(\d+)")


def import_table(lake: Lake, branch: str, table: str, sources: Sequence[str | Path]) -> int:
    """Put a table on a branch: an Iceberg table by its folder or metadata file, or parquet files; return its rows.

    Nothing is copied. From here on the files belong to history like any others: whoever wrote them must leave them.

    Args:
        sources: paths of this machine, or addresses in a store (``s3://bucket/apps``).
    Raises:
        AlreadyExistsError: the branch has a table of that name. NotFoundError: no such file. InputError: it is no
        table, or columns that do not fit together.
    """
    catalog = open_catalog(lake, branch)
    if catalog.table_exists(table):
        raise AlreadyExistsError(f"{branch} has a table {table} already", hint="choose another name", table=table)
    found = [_Source.at(catalog, str(source)) for source in sources]
    metadata = found[0].metadata_file() if len(found) == 1 else None
    if metadata is None:
        return register_files(catalog, table, _parquet_files(found)).rows
    catalog.create_namespace_if_not_exists(catalog.identifier_to_tuple(table)[:-1])
    try:
        catalog.register_table(table, engine_address(metadata))
    except TableAlreadyExistsError as error:
        raise AlreadyExistsError(str(error), table=table) from error
    except ValueError as error:
        raise InputError(f"{metadata} describes no table: {error}", file=metadata) from error
    return catalog.pointer(table).rows


@dataclass(frozen=True, slots=True)
class _Source:
    """A file or folder that somebody named; addresses begin with `scheme`, which is empty on this machine's disk."""

    store: fs.FileSystem
    scheme: str
    info: fs.FileInfo

    @classmethod
    def at(cls, catalog: LakeCatalog, named: str) -> _Source:
        """Look for it. Raises NotFoundError."""
        place = named if "://" in named else str(Path(named).resolve())
        io = catalog._load_file_io(location=place)
        if not isinstance(io, PyArrowFileIO):
            raise InputError(f"{place} cannot be listed", hint="name files of this machine or of S3", file=place)
        scheme, bucket, path = io.parse_location(place, io.properties)
        store = io.fs_by_scheme(scheme, bucket)
        info = store.get_file_info(path.rstrip("/"))
        if info.type == fs.FileType.NotFound:
            raise NotFoundError(f"no file {place}", hint="name a file or folder that is there", path=place)
        return cls(store, "" if scheme == "file" else f"{scheme}://", info)

    def metadata_file(self) -> str | None:
        """The newest metadata file of an Iceberg table's folder, or the file itself if it is one."""
        if self.info.is_file:
            return self._address(self.info) if self.info.base_name.endswith(_METADATA) else None
        versions = [file for file in self._beneath("metadata", _METADATA) if _VERSION.match(file.base_name)]
        newest = max(versions, key=lambda file: (_version(file.base_name), file.mtime_ns or 0), default=None)
        return None if newest is None else self._address(newest)

    def parquet_files(self) -> list[str]:
        """The parquet files of a folder, or the file itself."""
        if self.info.is_file:
            return [self._address(self.info)]
        return sorted(self._address(file) for file in self._beneath("", ".parquet"))

    def _beneath(self, folder: str, suffix: str) -> list[fs.FileInfo]:
        path = f"{self.info.path}/{folder}".rstrip("/")
        selector = fs.FileSelector(path, recursive=not folder, allow_not_found=True)
        return [file for file in self.store.get_file_info(selector) if file.is_file and file.path.endswith(suffix)]

    def _address(self, file: fs.FileInfo) -> str:
        return f"{self.scheme}{file.path}"


def _version(name: str) -> int:
    found = _VERSION.match(name)
    return int(found.group(1)) if found else -1


def _parquet_files(sources: Sequence[_Source]) -> list[str]:
    files = [file for source in sources for file in source.parquet_files()]
    if not files:
        raise InputError(
            f"{sources[0].info.path} holds neither Iceberg metadata nor parquet files",
            hint="name a table's folder (with metadata/ in it), a .metadata.json file, or parquet files",
            file=sources[0].info.path,
        )
    return files
