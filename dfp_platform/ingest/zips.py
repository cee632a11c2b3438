"""Tables inside zip archives, read without unpacking; a broken archive is named, not its symptom."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from dfp_platform.errors import InputError
from dfp_platform.ingest.reading import Table, csv_table, parquet_table

_BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 0x1
_KINDS = {".csv": csv_table, ".parquet": parquet_table}


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip does, also where its end is missing."""
    with path.open("rb") as stream:
        return stream.read(4) in _BEGINNINGS


def tables(path: Path) -> list[Table]:
    """The CSV and Parquet tables of a zip, in its order. Raises InputError for a broken zip."""
    with whole(path.name), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if "__MACOSX" not in member.filename]
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise InputError(f"{path.name} is encrypted", hint="give the archive without a password", file=path.name)
    names = [member.filename for member in members]
    return [
        _KINDS[kind](f"{path.name}/{name}", lambda name=name: _member(path, name))
        for name in names
        if (kind := Path(name).suffix.lower()) in _KINDS
    ]


def only_table(path: Path) -> Table:
    """The one table of a zip. Raises InputError for a broken zip, and for one with none or several."""
    found = tables(path)
    if len(found) != 1:
        raise InputError(
            f"{path.name} holds {len(found)} tables, not one",
            hint="give a zip with one CSV, or the CSV itself",
            file=path.name,
            members=[table.name for table in found],
        )
    return found[0]


@contextmanager
def whole(name: str) -> Iterator[None]:
    """Translates what zipfile and zlib say about a cut or damaged archive into an InputError that names it."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(
            f"{name} is not a whole zip archive: {error}",
            hint="the file is cut off or damaged: download or copy it again",
            file=name,
        ) from error


def _member(path: Path, name: str) -> BinaryIO:
    with zipfile.ZipFile(path) as archive:
        return cast(BinaryIO, archive.open(name))  # the member keeps the file open after the archive is closed
