"""Landing: rows of a source, through the border and dlt, into one commit of the lake."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.errors import NotFoundError
from dfp_platform.ingest.columns import arrow_schema
from dfp_platform.ingest.contract import Border, ImplausibleDates
from dfp_platform.ingest.origin import DATASETS, Origin, origin_path
from dfp_platform.ingest.parquet import read_groups, write_parts
from dfp_platform.ingest.pipeline import carried
from dfp_platform.ingest.sources import SOURCES, Endpoints, Progress, Request, silent
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.schemas import CommitId

if TYPE_CHECKING:
    import polars as pl

    from dfp_platform.catalog import WriteResult


@dataclass(frozen=True, slots=True)
class Landing:
    """What one landing left in the lake.

    Attributes:
        dataset: ``kronodroid_real_device`` or ``kronodroid_emulator``.
        rows: apps landed.
        bytes: size of the parquet files together.
        files: their lake paths, in row order.
        source: the source that gave the rows; `auto` names what it chose.
        synthetic: True where no row is a real app.
        inputs: sha256 of each file read, in order.
        note: one sentence for people.
        mended: what was changed on the way in, and how often.
        commit: head of the branch afterwards.
        changed: False where the same rows had landed before.
    """

    dataset: str
    rows: int
    bytes: int
    files: tuple[str, ...]
    source: str
    synthetic: bool
    inputs: tuple[str, ...]
    note: str
    mended: Mapping[str, int]
    commit: CommitId
    changed: bool


def land(
    lake: Lake,
    branch: str,
    dataset: str,
    *,
    source: str,
    sample_rows: int,
    seed: int,
    cache: Path,
    kaggle_token: str | None = None,
    implausible_dates: ImplausibleDates | None = None,
    endpoints: Endpoints | None = None,
    progress: Progress | None = None,
) -> Landing:
    """Put a data set's rows at ``raw/<dataset>/`` of a branch, in one commit that replaces what stood there.

    Nothing is committed unless every row keeps the contract, and nothing changes where the same rows stand already.

    Args:
        source: a name of `SOURCES`, or the path of a CSV or zip.
        sample_rows: apps per device that the generator makes, where the rows come from it.
        seed: of the generator.
        cache: folder that keeps downloads.
        implausible_dates: what to do with dates that no app of this set can have; None: what the source needs, which is
            ``null`` for the public archives (they hold dates of 1980 and of the future) and ``reject`` for the others.
        progress: told how far downloads and rows are.
    Raises:
        InputError: something is wrong with a file; file, row, column and next step are named.
        UnreachableError, ConfigurationError: a download failed.
    """
    request = _request(dataset, source, sample_rows, seed, cache, kaggle_token, endpoints, progress)
    delivery = SOURCES[source if source in SOURCES else "file"](request)
    border = Border(implausible_dates=implausible_dates or delivery.implausible_dates)
    # a worker of dlt may still close its files when a signal ends the landing
    with tempfile.TemporaryDirectory(prefix="dfp-land-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        rows = _counted(border.passed(delivery.batches), dataset, request.progress)
        received = carried(rows, dataset=dataset, folder=folder)
        parts = write_parts(folder, read_groups(received), arrow_schema())
        origin = replace(delivery.origin, rows=border.rows, mended=dict(delivery.origin.mended) | border.mended)
        return _committed(lake, branch, dataset, parts, origin)


def register(lake: Lake, branch: str, dataset: str) -> WriteResult:
    """Make the Iceberg table ``raw.<dataset>`` of the landed parquet files as they lie there, without a copy.

    Raises NotFoundError where the data set has not landed at `branch`.
    """
    from dfp_platform.catalog import open_catalog, register_files

    prefix = f"raw/{dataset}/"
    addresses = [
        lake.address(branch, stat.path) for stat in lake.list(branch, prefix) if stat.path.endswith(".parquet")
    ]
    if not addresses:
        raise NotFoundError(f"{prefix} holds nothing at {branch}", hint="land the data set first", path=prefix)
    return register_files(open_catalog(lake, branch), ("raw", dataset), addresses)


def _request(
    dataset: str,
    source: str,
    sample_rows: int,
    seed: int,
    cache: Path,
    kaggle_token: str | None,
    endpoints: Endpoints | None,
    progress: Progress | None,
) -> Request:
    if dataset not in DATASETS:
        raise NotFoundError(
            f"no data set is called {dataset!r}", hint=f"use one of {', '.join(DATASETS)}", name=dataset
        )
    return Request(
        device=DATASETS[dataset],
        rows=sample_rows,
        seed=seed,
        cache=cache,
        path=None if source in SOURCES else Path(source).expanduser(),
        kaggle_token=kaggle_token,
        endpoints=endpoints or Endpoints(),
        progress=progress or silent,
    )


def _counted(rows: Iterator[pl.DataFrame], dataset: str, progress: Progress) -> Iterator[pl.DataFrame]:
    done = 0
    for frame in rows:
        yield frame
        done += frame.height
        progress(dataset, done, None)


def _committed(lake: Lake, branch: str, dataset: str, parts: list[Path], origin: Origin) -> Landing:
    """All files of the data set in one commit, and whatever else stood there gone."""
    prefix = f"raw/{dataset}/"
    changes: dict[str, Content] = {prefix + part.name: part for part in parts}
    changes[origin_path(dataset)] = origin.to_bytes()
    before = lake.resolve(branch)
    gone = {stat.path: None for stat in lake.list(before, prefix) if stat.path not in changes}
    made = "synthetic " if origin.synthetic else ""
    commit = lake.commit(
        branch,
        gone | changes,
        message=f"land {dataset}: {origin.rows:,} {made}rows from {origin.source}",
        metadata={"dataset": dataset, "source": origin.source, "synthetic": str(origin.synthetic).lower()},
    )
    return Landing(
        dataset=dataset,
        rows=origin.rows,
        bytes=sum(part.stat().st_size for part in parts),
        files=tuple(prefix + part.name for part in parts),
        source=origin.source,
        synthetic=origin.synthetic,
        inputs=tuple(file.sha256 for file in origin.files),
        note=origin.note,
        mended=origin.mended,
        commit=commit,
        changed=commit != before,
    )
