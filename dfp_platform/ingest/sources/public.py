"""What both public forms of the full set need: the few apps that it holds twice are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from dfp_platform.ingest.origin import InputFile, Origin
from dfp_platform.ingest.published import Batch, batches
from dfp_platform.ingest.reading import Table
from dfp_platform.ingest.sources.request import Delivery
from dfp_platform.ingest.zips import whole


def delivery(source: str, tables: Sequence[Table], files: Sequence[InputFile], *, note: str) -> Delivery:
    """Rows of published tables without those that the publishers print twice, once benign and once as malware.

    The full set has 4 such apps per device; which of the two labels is right nobody can tell. Some of its rows carry
    dates of 1980 (what a zip says when it does not know) or of the future: they land without a date.
    """
    doubled = _doubled(tables, files)
    rows = sum(doubled.values())
    mended = {"rows left out because their app is published twice": rows} if rows else {}
    origin = Origin(source, synthetic=False, files=tuple(files), note=note, mended=mended)
    return Delivery(origin, _batches(tables, files, frozenset(doubled)), implausible_dates="null")


def _doubled(tables: Sequence[Table], files: Sequence[InputFile]) -> dict[str, int]:
    """sha256 → number of rows, of every app there is more than one row of."""
    seen: Counter[str] = Counter()
    for table in tables:
        with whole(files[0].name if len(files) == 1 else table.name):
            for cells in table.texts(["sha256"]) if "sha256" in table.header() else ():
                seen.update(cells["sha256"].str.strip_chars().str.to_lowercase().to_list())
    return {digest: times for digest, times in seen.items() if times > 1}


def _batches(tables: Sequence[Table], files: Sequence[InputFile], doubled: frozenset[str]) -> Iterator[Batch]:
    for table in tables:
        with whole(files[0].name if len(files) == 1 else table.name):
            for batch in batches(table):
                twice = batch.rows["sha256"].is_in(list(doubled)).fill_null(False)
                yield batch.keeping(~twice) if twice.any() else batch
