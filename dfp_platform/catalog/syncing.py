"""A lake's history with its tables, brought into another lake's folder."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from dfp_platform.catalog.reached import ReachedFiles
from dfp_platform.catalog.warehouse import place_of
from dfp_platform.errors import ConfigurationError, CorruptLakeError
from dfp_platform.lake.durable import sync_file, sync_folder
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.interface import Lake
from dfp_platform.lake.retention import kept_commits
from dfp_platform.lake.sweeper import SweepProgress
from dfp_platform.lake.sync import Synced, sync_history


def sync_lakes(source: Lake, target: Lake, *, progress: SweepProgress | None = None) -> Synced:
    """Bring branches, tags, history and table files of `source` into `target`; see `sync_history`.

    Tables name the files of the folder they were written in. The target keeps copies and reads them in their stead, as
    after `relocate`: through dfp, not by engines that follow addresses themselves.

    Raises:
        ConfigurationError: a lake with tables on either side that is no folder. CorruptLakeError: a table of the source
        cannot be followed; nothing was brought.
    """
    with target.lease(f"sync from {source.uri}"):
        _bring_files(source, target, progress)
        return sync_history(source, target, progress=progress)


def _bring_files(source: Lake, target: Lake, progress: SweepProgress | None) -> None:
    """Table files before the pointers that lead to them."""
    folders = [Path(lake.uri) for lake in (source, target) if "://" not in lake.uri]
    copied = 0
    for file in ReachedFiles(source, broken=_refuse).of(kept_commits(source)):
        if len(folders) < 2:
            raise ConfigurationError(
                f"tables can be brought from folder to folder only, not from {source.uri} to {target.uri}",
                hint="export them with an engine, or sync a lake without tables",
                setting="lake",
            )
        place = Path(place_of(file.location, file.io))
        if place.is_relative_to(folders[0]) and place.exists():
            copied += _copied(place, folders[1] / place.relative_to(folders[0]))
            if progress is not None and copied % 100 == 0:
                progress("bringing table files", copied, 0)
    if copied:
        LakeFolder(folders[1]).remember(folders[0])


def _copied(place: Path, wanted: Path) -> bool:
    if wanted.exists():
        os.utime(wanted)  # young again, as after any write
        return False
    wanted.parent.mkdir(parents=True, exist_ok=True)
    young = wanted.with_name(f".{uuid.uuid4().hex}")
    try:
        shutil.copyfile(place, young)
        with young.open("rb") as stream:
            sync_file(stream.fileno())
        shutil.copymode(place, young)
        os.replace(young, wanted)
    finally:
        young.unlink(missing_ok=True)
    sync_folder(wanted.parent)
    return True


def _refuse(what: str) -> None:
    raise CorruptLakeError(f"nothing is brought: {what}", hint="`dfp lake verify` lists what is broken")
