"""Many small git files become one pack, beside writers and without the git program."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path

import pygit2

from dfp_platform.lake.durable import locked_file, sync_folder
from dfp_platform.lake.git_store import GitStore
from dfp_platform.lake.objects import ObjectFiles

logger = logging.getLogger(__name__)

LOOSE_LIMIT = 4096
"""About 700 commits of one small object."""


def pack_if_many(store: GitStore, files: ObjectFiles, *, limit: int) -> int:
    """Pack when there are about `limit` loose objects, judged by one of the 256 folders they spread over evenly."""
    try:
        sampled = len(os.listdir(store.folder / "objects" / "17"))
    except FileNotFoundError:
        return 0
    if sampled * 256 < limit:
        return 0
    try:
        files.sweep_incoming()
        _sweep_half_written(store.folder / "objects")
        return pack(store)
    except (OSError, pygit2.GitError) as error:  # the commit that came by stands; the next one packs
        logger.warning("%s could not be packed: %s", store.folder, error)
        return 0


def pack(store: GitStore) -> int:
    """Move all loose objects into one new pack; return how many. Does nothing while another process packs.

    The pack is on disk under its final name before the first loose object goes, so every object can be read at every
    instant. A writer that relied on a loose copy finds the packed one.
    """
    with locked_file(store.folder / "pack.lock", wait=False) as mine:
        if not mine:
            return 0
        loose = _loose_objects(store.folder / "objects")
        if not loose:
            return 0
        place = store.folder / "objects" / "pack"
        repository = pygit2.Repository(str(store.folder))
        builder = pygit2.PackBuilder(repository)
        for name in loose:
            builder.add(pygit2.Oid(hex=name))
        builder.write(str(place))
        sync_folder(place)
        for file in loose.values():
            file.unlink(missing_ok=True)
        return len(loose)


def _sweep_half_written(folder: Path, *, older_than_s: float = 86_400.0) -> None:
    """Remove temporary files of libgit2 whose writer died."""
    for leftover in [*folder.glob("tmp_object*"), *folder.glob("*/tmp_object*"), *folder.glob("pack/*_git2_*")]:
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > older_than_s:
                leftover.unlink()


def _loose_objects(folder: Path) -> dict[str, Path]:
    return {
        shelf.name + file.name: file
        for shelf in folder.glob("[0-9a-f][0-9a-f]")
        for file in shelf.iterdir()
        if len(file.name) == 38 and not file.name.startswith("tmp")
    }
