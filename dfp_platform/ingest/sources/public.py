"""What both public forms of the full set need before a model may learn from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dfp_platform.ingest.origin import InputFile, Origin
from dfp_platform.ingest.published import Batch, batches
from dfp_platform.ingest.reading import Table
from dfp_platform.ingest.sources.request import Delivery, Request
from dfp_platform.ingest.zips import whole

ONE_SIDED: Mapping[str, str] = {"emulator": "app_files_inside_apk"}
"""Device → a column that only its benign apps have: `emu_malware_v1.csv` lacks it, so its absence tells the label."""


def delivery(
    source: str, request: Request, tables: Sequence[Table], files: Sequence[InputFile], *, note: str
) -> Delivery:
    """Rows of published tables, with what would mislead taken out and counted.

    - Apps printed twice, once benign and once as malware, are left out: nobody can tell which label is right. The full
      set has 4 of them per device.
    - A column that only one class of the device has lands as missing for all its rows (`ONE_SIDED`).
    - Dates of 1980 (what a zip says when it does not know) and of the future land as missing.
    """
    device, doubled = request.device, _doubled(tables, files)
    mended = {}
    if doubled:
        mended["rows left out because their app is published twice"] = sum(doubled.values())
    if device in ONE_SIDED:
        mended[f"columns landed as missing because only benign apps have them: {ONE_SIDED[device]}"] = 1
    origin = Origin(source, synthetic=False, files=tuple(files), note=note, mended=mended)
    rows = _batches(tables, files, frozenset(doubled), ONE_SIDED.get(device), request.new_syscalls)
    return Delivery(origin, rows, implausible_dates="null")


def _doubled(tables: Sequence[Table], files: Sequence[InputFile]) -> dict[str, int]:
    """sha256 → number of rows, of every app there is more than one row of."""
    seen: Counter[str] = Counter()
    for table in tables:
        with whole(files[0].name if len(files) == 1 else table.name):
            for cells in table.texts(["sha256"]) if "sha256" in table.header() else ():
                seen.update(cells["sha256"].str.strip_chars().str.to_lowercase().to_list())
    return {digest: times for digest, times in seen.items() if times > 1}


def _batches(
    tables: Sequence[Table],
    files: Sequence[InputFile],
    doubled: frozenset[str],
    one_sided: str | None,
    new_syscalls: Sequence[str],
) -> Iterator[Batch]:
    import polars as pl

    for table in tables:
        with whole(files[0].name if len(files) == 1 else table.name):
            for batch in batches(table, new_syscalls=new_syscalls):
                twice = batch.rows["sha256"].is_in(list(doubled)).fill_null(False)
                kept = batch.keeping(~twice) if twice.any() else batch
                if one_sided:
                    nothing = pl.lit(None, dtype=kept.rows.schema[one_sided]).alias(one_sided)
                    kept = replace(kept, rows=kept.rows.with_columns(nothing))
                yield kept
