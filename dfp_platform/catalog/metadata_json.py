"""Table metadata as the bytes of its file, in every format version; and what pyiceberg's models would lose of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pyiceberg.io import FileIO
from pyiceberg.serializers import Compressor
from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil, TableMetadataV1, TableMetadataV2, TableMetadataV3
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.typedef import IcebergBaseModel

from dfp_platform.errors import PermanentError

_MODELS: Mapping[int, type[BaseModel]] = {1: TableMetadataV1, 2: TableMetadataV2, 3: TableMetadataV3}

_WRITTEN_FOR_OLD_READERS = frozenset({"schema", "partition-spec", "last-sequence-number", "next-row-id"})
"""Fields of another version that engines write too; what they say is in other fields, or is zero."""


def metadata_bytes(metadata: TableMetadata) -> bytes:
    """The file that keeps this state: JSON by Iceberg's names."""
    # version 3 is refused by pyiceberg's own method; its fields are as whole there as those of the others
    return IcebergBaseModel.model_dump_json(_with_old_fields(metadata), exclude_none=True).encode()


def metadata_document(metadata: TableMetadata) -> dict[str, Any]:
    """The same as a JSON object."""
    return json.loads(metadata_bytes(metadata))


def read_text(io: FileIO, location: str) -> str:
    """The JSON text of a metadata file, of a table or a view. Raises FileNotFoundError."""
    file = io.new_input(location)
    with file.open() as stream, Compressor.get_compressor(location).stream_decompressor(stream) as plain:
        return plain.read().decode()


def parse_whole(text: str) -> TableMetadata:
    """The metadata that a file's text is.

    Raises:
        PermanentError: it has fields that pyiceberg does not know, which the next commit would lose.
        ValidationError: it is no table metadata.
    """
    document = json.loads(text)
    if isinstance(document, dict):
        refuse_unknown(document)
    return TableMetadataUtil.parse_raw(text)


def refuse_unknown(document: Mapping[str, Any]) -> None:
    """Raises PermanentError: a commit would silently lose fields of this document (encryption keys, say)."""
    model = _MODELS.get(document.get("format-version", 0))
    if model is None:
        return  # the parser says what is wrong with it
    lost = sorted(document.keys() - _aliases(model) - _WRITTEN_FOR_OLD_READERS)
    for snapshot in document.get("snapshots") or ():
        lost += sorted(f"snapshots.{name}" for name in snapshot.keys() - _aliases(Snapshot))
    filled = [name for name in dict.fromkeys(lost) if "." in name or document[name]]
    if filled:
        raise PermanentError(
            f"the table's metadata has fields that would be lost by a commit: {', '.join(filled)}",
            hint="such tables can be read here, not written or registered",
            fields=filled,
        )


def _aliases(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _with_old_fields(metadata: TableMetadata) -> TableMetadata:
    """Version 1 repeats the current schema and spec in fields of their own, which updates do not touch."""
    if not isinstance(metadata, TableMetadataV1):
        return metadata
    fields = [json.loads(field.model_dump_json()) for field in metadata.spec().fields]
    return metadata.model_copy(update={"schema_": metadata.schema(), "partition_spec": fields})
