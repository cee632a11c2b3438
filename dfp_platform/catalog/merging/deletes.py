"""Which rows delete files take out of data files: read from position deletes and vectors, and written as vectors."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyroaring import BitMap64

from dfp_platform.catalog.merging.manifests import TableFile, new_file

Positions = Mapping[str, BitMap64]
"""Positions of deleted rows, by the path of their data file."""

_PUFFIN = b"PFA1"
_VECTOR = bytes.fromhex("d1d33964")
_PATH_FIELD = 2147483546


@dataclass
class DeleteReader:
    """Reads delete files of one table, each once."""

    io: FileIO
    _read: dict[str, dict[str, BitMap64]] = field(default_factory=dict)

    def positions(self, file: TableFile) -> Positions:
        """The rows that one delete file or vector takes out."""
        if file.key not in self._read:
            self._read[file.key] = self._vector(file) if file.is_vector else self._listed(file)
        return self._read[file.key]

    def all_positions(self, files: Iterable[TableFile]) -> dict[str, BitMap64]:
        """The rows that any of these takes out."""
        found: dict[str, BitMap64] = {}
        for file in files:
            for path, positions in self.positions(file).items():
                found[path] = found[path] | positions if path in found else positions
        return found

    def _listed(self, file: TableFile) -> dict[str, BitMap64]:
        with self.io.new_input(file.path).open() as stream:
            rows = pq.read_table(stream, columns=["file_path", "pos"])
        paths, found = rows["file_path"].to_pylist(), {}
        for path, position in zip(paths, rows["pos"].to_pylist(), strict=True):
            found.setdefault(path, BitMap64()).add(position)
        return found

    def _vector(self, file: TableFile) -> dict[str, BitMap64]:
        offset, size = file.span or (0, 0)
        with self.io.new_input(file.path).open() as stream:
            stream.seek(offset)
            blob = stream.read(size)
        (length,) = struct.unpack(">I", blob[:4])
        return {str(file.referenced): BitMap64.deserialize(blob[8 : 4 + length])}


def said_reference(file: TableFile) -> str | None:
    """The one data file that a delete file is about, as far as its manifest tells."""
    if file.referenced is not None:
        return file.referenced
    lower, upper = (file.file.lower_bounds or {}).get(_PATH_FIELD), (file.file.upper_bounds or {}).get(_PATH_FIELD)
    return lower.decode() if lower and lower == upper else None


def write_vectors(
    io: FileIO, path: str, vectors: Mapping[str, BitMap64], files: Mapping[str, TableFile]
) -> list[TableFile]:
    """Write one Puffin file of deletion vectors and return them as delete files.

    Args:
        vectors: deleted positions by the path of the data file.
        files: a file of the partition that each data file lies in, by the same paths.
    Source: Iceberg's Puffin specification, blob type ``deletion-vector-v1``.
    """
    body, blobs, spans = bytearray(_PUFFIN), [], {}
    for data_path, positions in vectors.items():
        payload = _VECTOR + positions.serialize()
        blob = struct.pack(">I", len(payload)) + payload + struct.pack(">I", zlib.crc32(payload))
        spans[data_path] = (len(body), len(blob))
        blobs.append(_blob_metadata(data_path, len(positions), offset=len(body), length=len(blob)))
        body += blob
    footer = json.dumps({"blobs": blobs, "properties": {"created-by": "dfp"}}).encode()
    body += _PUFFIN + footer + struct.pack("<i", len(footer)) + bytes(4) + _PUFFIN
    with io.new_output(path).create() as stream:
        stream.write(bytes(body))
    return [
        _vector_file(path, len(body), data_path, len(positions), spans[data_path], files[data_path])
        for data_path, positions in vectors.items()
    ]


def _blob_metadata(path: str, count: int, *, offset: int, length: int) -> dict[str, object]:
    return {
        "type": "deletion-vector-v1",
        "fields": [2147483645],  # the row position, as Iceberg's own writer names it
        "snapshot-id": -1,
        "sequence-number": -1,
        "offset": offset,
        "length": length,
        "properties": {"referenced-data-file": path, "cardinality": str(count)},
    }


def _vector_file(
    path: str, size: int, referenced: str, count: int, span: tuple[int, int], beside: TableFile
) -> TableFile:
    file = DataFile.from_args(
        _table_format_version=3,
        content=DataFileContent.POSITION_DELETES,
        file_path=path,
        file_format=FileFormat.PUFFIN,
        partition=beside.file.partition,
        record_count=count,
        file_size_in_bytes=size,
        referenced_data_file=referenced,
        content_offset=span[0],
        content_size_in_bytes=span[1],
    )

    return new_file(file, spec_id=beside.file.spec_id)
