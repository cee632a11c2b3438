"""Whether rows that landed are those that a source would give now, told without fetching anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.ingest.origin import DATASETS, Origin
from dfp_platform.ingest.sources.request import Request

if TYPE_CHECKING:
    from dfp_platform.lake.interface import Lake

_REMOTE = {"auto": ("archives", "sample"), "archives": ("archives",), "kaggle": ("kaggle",)}
"""What landed rows may say of themselves where a source was asked for that has to be fetched to be known."""


def difference(landed: Origin, source: str, *, device: str, rows: int, seed: int) -> str:
    """What another landing would change, as a sentence; empty if nothing, as far as one can tell without a download.

    Args:
        source: as `Settings.source`: a name, or the path of a file, which is read once for its digest.
        rows: of the sample.
    Raises:
        InputError: the file is not there.
    """
    if source in _REMOTE:
        return "" if landed.source in _REMOTE[source] else f"source {landed.source} → {source}"
    if source == "sample":
        from dfp_platform.ingest.sources.sample import deliver

        asked = deliver(Request(device, rows, seed, cache=Path())).origin
        if landed.source != "sample":
            return f"source {landed.source} → sample"
        return "" if landed.note.startswith(asked.note) else f"{rows:,} rows of seed {seed} are asked for"
    from dfp_platform.ingest.sources.file import deliver as of_file

    asked = of_file(Request(device, rows, seed, cache=Path(), path=Path(source))).origin
    if landed.source != "file":
        return f"source {landed.source} → {Path(source).name}"
    if {file.sha256 for file in landed.files} == {file.sha256 for file in asked.files}:
        return ""
    return f"{Path(source).name} is not the file that landed"


def differences(lake: Lake, ref: str, source: str, *, rows: int, seed: int, append: bool) -> dict[str, str]:
    """`difference` of each data set that has landed at a ref, by the key path of its asset.

    Args:
        append: another load shall be put beside what stands there.
    """
    from dfp_platform.ingest.origin import origins

    told = {}
    for dataset, device in DATASETS.items():
        loads = origins(lake, ref, dataset)
        if not loads:
            continue
        if append:
            said = f"a load of {source} is appended"
        elif len(loads) > 1:
            said = f"{len(loads)} loads are replaced by one of {source}"
        else:
            said = difference(loads[0], source, device=device, rows=rows, seed=seed)
        told[f"raw/{dataset}"] = said
    return told
