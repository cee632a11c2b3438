"""Landing: rows of a source, through the border and dlt, into one commit of the lake.

What lands at once is a load, and every row says which one brought it. A load replaces all that stood there, or is
appended: then the rows stand beside each other, and where two loads have the same app the later one counts.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.ingest.columns import LOAD_ID, Column, arrow_schema, columns_with, landed_schema
from dfp_platform.ingest.contract import Border, ImplausibleDates
from dfp_platform.ingest.origin import DATASETS, RECORD, Origin, load_folder, origins
from dfp_platform.ingest.parquet import read_groups, write_parts
from dfp_platform.ingest.pipeline import carried
from dfp_platform.ingest.sources import SOURCES, Endpoints, Progress, Request, silent
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.schemas import CommitId

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from dfp_platform.catalog import RowSum, WriteResult

WriteDisposition = Literal["replace", "append"]
"""What a load does to the rows that landed before it; the words are dlt's."""


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
        load_id: which load these rows are, ``0002-3fa91c04b7de``: its number, and the beginning of their digest.
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
    load_id: str


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
    write_disposition: WriteDisposition = "replace",
    new_syscalls: Sequence[str] = (),
    endpoints: Endpoints | None = None,
    progress: Progress | None = None,
) -> Landing:
    """Put a data set's rows at ``raw/<dataset>/`` of a branch, in one commit.

    Nothing is committed unless every row keeps the contract, and nothing changes where the same rows stand already.

    Args:
        source: a name of `SOURCES`, or the path of a CSV or zip.
        sample_rows: apps per device that the generator makes, where the rows come from it.
        seed: of the generator.
        cache: folder that keeps downloads.
        implausible_dates: what to do with dates that no app of this set can have; None: what the source needs, which is
            ``null`` for the public archives (they hold dates of 1980 and of the future) and ``reject`` for the others.
        write_disposition: ``replace`` what stood there, or ``append`` to it.
        new_syscalls: published names of system calls that files may count beyond the known ones; each becomes a column
            that has no value in rows of earlier loads.
        progress: told how far downloads and rows are.
    Raises:
        InputError: something is wrong with a file; file, row, column and next step are named.
        UnreachableError, ConfigurationError: a download failed.
    """
    request = Request(
        device=_device(dataset),
        rows=sample_rows,
        seed=seed,
        cache=cache,
        path=None if source in SOURCES else Path(source).expanduser(),
        kaggle_token=kaggle_token,
        endpoints=endpoints or Endpoints(),
        progress=progress or silent,
        new_syscalls=tuple(new_syscalls),
    )
    delivery = SOURCES[source if source in SOURCES else "file"](request)
    border = Border(implausible_dates=implausible_dates or delivery.implausible_dates)
    # a worker of dlt may still close its files when a signal ends the landing
    with tempfile.TemporaryDirectory(prefix="dfp-land-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        columns = columns_with(request.new_syscalls)
        rows = _counted(completed(border.passed(delivery.batches), columns), dataset, request.progress)
        received = carried(rows, dataset=dataset, folder=folder)
        mended = dict(delivery.origin.mended) | border.mended
        before = () if write_disposition == "replace" else standing(lake, branch, dataset, as_files=True)
        load_id = load_id_of(dataset, _sum(read_groups(received), columns), before)
        parts = write_parts(folder, marked(read_groups(received), load_id), _file_schema(columns))
        origin = replace(delivery.origin, rows=border.rows, mended=mended, load_id=load_id)
        return commit_load(lake, branch, dataset, parts, origin, beside=before)


def register(lake: Lake, branch: str, dataset: str) -> WriteResult:
    """Make the Iceberg table ``raw.<dataset>`` of the landed parquet files as they lie there, without a copy.

    A table that Spark has made of the data set's rows is left as it is: no files have landed beside it.

    Raises:
        NotFoundError: the data set has not landed at `branch`.
        InputError: a merge has brought loads that lie as files beside loads that Spark has put in the table alone.
    """
    from dfp_platform.catalog import WriteResult, open_catalog, read_pointer, register_files

    prefix = load_folder(dataset)
    paths = [stat.path for stat in lake.list(branch, prefix)]
    files = [path for path in paths if path.endswith(".parquet")]
    loads = {path.rpartition("/")[0] for path in paths if path.endswith(f"/{RECORD}")}
    by_spark = loads - {path.rpartition("/")[0] for path in files}
    made = read_pointer(lake, branch, ("raw", dataset))
    if by_spark and files:
        raise InputError(
            f"some loads of {dataset} lie as files, others in the table alone: {', '.join(sorted(by_spark))}",
            hint="land or ingest one of them again, with write_disposition=replace",
            file="",
        )
    if by_spark and made is not None:
        return WriteResult(("raw", dataset), made.rows, made.content, changed=False, snapshot_id=made.snapshot_id)
    if not files:
        raise NotFoundError(f"{prefix} holds nothing at {branch}", hint="land the data set first", path=prefix)
    addresses = [lake.address(branch, path) for path in files]
    return register_files(open_catalog(lake, branch), ("raw", dataset), addresses)


def _device(dataset: str) -> str:
    if dataset not in DATASETS:
        raise NotFoundError(
            f"no data set is called {dataset!r}", hint=f"use one of {', '.join(DATASETS)}", name=dataset
        )
    return DATASETS[dataset]


def standing(lake: Lake, ref: str, dataset: str, *, as_files: bool) -> Sequence[Origin]:
    """The loads that one more is appended to, in the order they came.

    Args:
        as_files: whether the new one will lie as files in the data set's folder; Spark puts rows in the table alone.
    Raises:
        InputError: they do not say which loads they are, or lie in the other way: the table could not be both.
    """
    before = origins(lake, ref, dataset)
    if any(not origin.load_id for origin in before):
        raise InputError(
            "nothing can be appended to rows that do not say which load brought them: an earlier version landed them",
            hint="land them once more with write_disposition=replace",
            file="",
        )
    landed = any(stat.path.endswith(".parquet") for stat in lake.list(ref, load_folder(dataset)))
    if before and landed != as_files:
        stand, way = ("in the table alone", "spark ingest") if as_files else ("as files in the lake", "run")
        raise InputError(
            f"the rows of {dataset} stand {stand}, and what is appended has to stand there too",
            hint=f"append with `dfp {way} --append`, or replace them",
            file="",
        )
    return before


def load_id_of(dataset: str, rows: RowSum, before: Sequence[Origin]) -> str:
    """The id that these rows have already, or else the next one.

    Its digest is of the data set's name and of the rows, whatever their order: two data sets never share a load.
    """
    short = hashlib.sha256(f"{dataset}:{rows.rows}:{rows.hex}".encode()).hexdigest()[:12]
    known = next((origin.load_id for origin in before if origin.load_id.endswith(f"-{short}")), None)
    latest = max((int(origin.load_id.split("-")[0]) for origin in before), default=0)
    return known or f"{latest + 1:04d}-{short}"


def _sum(tables: Iterator[pa.Table], columns: Sequence[Column]) -> RowSum:
    from dfp_platform.catalog import RowSum, sum_rows

    names = arrow_schema(columns).names
    return sum((sum_rows(table.select(names)) for table in tables), RowSum())


def completed(rows: Iterator[pl.DataFrame], columns: Sequence[Column]) -> Iterator[pl.DataFrame]:
    """The rows with every column of `columns`; one that a source does not know has no value."""
    import polars as pl

    schema = landed_schema(columns)
    for frame in rows:
        missing = [pl.lit(None, dtype=schema[name]).alias(name) for name in schema if name not in frame.columns]
        yield frame.with_columns(missing).select(list(schema)) if missing else frame


def marked(tables: Iterator[pa.Table], load_id: str) -> Iterator[pa.Table]:
    """The rows with the load that brings them, in a last column."""
    import pyarrow as pa

    for table in tables:
        yield table.append_column(LOAD_ID, pa.repeat(pa.scalar(load_id), table.num_rows))


def _file_schema(columns: Sequence[Column]) -> pa.Schema:
    import pyarrow as pa

    return arrow_schema(columns).append(pa.field(LOAD_ID, pa.string()))


def _counted(rows: Iterator[pl.DataFrame], dataset: str, progress: Progress) -> Iterator[pl.DataFrame]:
    done = 0
    for frame in rows:
        yield frame
        done += frame.height
        progress(dataset, done, None)


def commit_load(
    lake: Lake, branch: str, dataset: str, parts: list[Path], origin: Origin, *, beside: Sequence[Origin]
) -> Landing:
    """All files of a load in one commit; whatever stood there and is not of the loads `beside` it is gone."""
    first = not beside or beside[0].load_id == origin.load_id
    folder = load_folder(dataset, "" if first else origin.load_id)
    changes: dict[str, Content] = {folder + part.name: part for part in parts}
    changes[folder + RECORD] = origin.to_bytes()
    if beside and not origin.rows:
        changes = {}  # nothing is nothing more, and no load
    before = lake.resolve(branch)
    replaced = [] if beside else lake.list(before, load_folder(dataset))
    gone = {stat.path: None for stat in replaced if stat.path not in changes}
    made = "synthetic " if origin.synthetic else ""
    commit = lake.commit(
        branch,
        gone | changes,
        message=f"land {dataset}: {origin.rows:,} {made}rows from {origin.source}",
        metadata={
            "dataset": dataset,
            "source": origin.source,
            "synthetic": str(origin.synthetic).lower(),
            "load_id": origin.load_id,
        },
    )
    return Landing(
        dataset=dataset,
        rows=origin.rows,
        bytes=sum(part.stat().st_size for part in parts),
        files=tuple(path for path in changes if path.endswith(".parquet")),
        source=origin.source,
        synthetic=origin.synthetic,
        inputs=tuple(file.sha256 for file in origin.files),
        note=origin.note,
        mended=origin.mended,
        commit=commit,
        changed=commit != before,
        load_id=origin.load_id,
    )
