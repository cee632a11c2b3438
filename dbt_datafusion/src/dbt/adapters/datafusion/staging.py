"""Rows that are needed more than once, or that DataFusion cannot read where they are: parquet in a folder that goes."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq


class Staging:
    """A folder of its own for one process; it is made when first needed. Safe for several threads."""

    def __init__(self, parent: str | None = None) -> None:
        """Args: parent: where the folder lies; the system's temporary folder if None."""
        self._parent = parent
        self._folder: Path | None = None
        self._lock = Lock()

    def _path(self, name: str) -> Path:
        with self._lock:
            if self._folder is None:
                if self._parent:
                    Path(self._parent).mkdir(parents=True, exist_ok=True)
                self._folder = Path(tempfile.mkdtemp(prefix="dbt-staged-", dir=self._parent))
        return self._folder / name

    def file(self, key: tuple[str, ...], schema: pa.Schema, batches: Callable[[], Iterable[pa.RecordBatch]]) -> Path:
        """A parquet file of `batches`, which are asked for only the first time that this key is.

        Args:
            key: names what never changes, such as a data file and its delete files.
        """
        path = self._path(hashlib.sha256("\n".join(key).encode()).hexdigest() + ".parquet")
        if not path.exists():
            written = self._path(f"{uuid.uuid4()}.parquet")
            _write(written, schema, batches())
            written.replace(path)
        return path

    @contextmanager
    def rows(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[Path]:
        """A parquet file of `batches` that is gone afterwards."""
        path = self._path(f"{uuid.uuid4()}.parquet")
        try:
            _write(path, schema, batches)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for batch in batches:
            writer.write_batch(batch)
