"""Landed parquet: equal rows are equal bytes, whatever batches they came in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP = 16_384
"""Rows per row group: what a reader holds at a time."""

ROWS_PER_FILE = 8 * ROWS_PER_GROUP
"""Rows per file; more rows are more files, so that no landing needs memory for all of them."""

_OPTIONS: dict[str, Any] = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": True,
    "write_statistics": True,
}
"""Named one by one: a default that changes with the library would change the digests of equal rows."""


def write_parts(folder: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> list[Path]:
    """Write rows as ``part-00000.parquet``, … in their order; without rows, one file that is schema only.

    Args:
        folder: where the files go; exists.
        tables: rows in any chunks, with at least the columns of `schema`.
    """
    from pyarrow import parquet

    parts: list[Path] = []
    writer: parquet.ParquetWriter | None = None
    room = 0
    for group in _regrouped(tables, schema):
        if not room:
            if writer:
                writer.close()
            parts.append(folder / f"part-{len(parts):05d}.parquet")
            writer, room = parquet.ParquetWriter(parts[-1], schema, **_OPTIONS), ROWS_PER_FILE
        assert writer is not None
        writer.write_table(group, row_group_size=ROWS_PER_GROUP)
        room -= ROWS_PER_GROUP
    if writer:
        writer.close()
    else:
        parts.append(folder / "part-00000.parquet")
        parquet.ParquetWriter(parts[-1], schema, **_OPTIONS).close()  # no row group: an empty one has no statistics
    return parts


def read_groups(files: Sequence[Path]) -> Iterator[pa.Table]:
    """The rows of some parquet files, one row group at a time."""
    from pyarrow import parquet

    for path in files:
        with parquet.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number)


def _regrouped(tables: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """The same rows in tables of `ROWS_PER_GROUP`, the last one shorter."""
    import pyarrow as pa

    waiting = schema.empty_table()
    for table in tables:
        waiting = pa.concat_tables([waiting, table.select(schema.names).cast(schema)])
        while waiting.num_rows >= ROWS_PER_GROUP:
            yield waiting.slice(0, ROWS_PER_GROUP).combine_chunks()
            waiting = waiting.slice(ROWS_PER_GROUP)
    if waiting.num_rows:
        yield waiting.combine_chunks()
