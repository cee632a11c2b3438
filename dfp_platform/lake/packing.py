"""Many small git files become one pack, beside writers and without the git program."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pygit2

from dfp_platform.lake.durable import locked_file, sync_file, sync_folder
from dfp_platform.lake.git_store import GitStore, Oid
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
    with objects_held(store, wait=False) as mine:
        if not mine:
            return 0
        with store.retiring_journal():
            loose = store.loose_objects()
            if loose:
                _write_pack(store.folder, loose)
            for file in loose.values():
                file.unlink(missing_ok=True)
        return len(loose)


@contextmanager
def objects_held(store: GitStore, *, wait: bool) -> Iterator[bool]:
    """While inside, nobody else packs git objects or removes any; yields False if that is so and not waited for.

    Who takes `refs_locked` too takes it inside.
    """
    with locked_file(store.folder / "pack.lock", wait=wait) as mine:
        yield mine


def packs_are_older(store: GitStore, moment: float) -> bool:
    """Whether every pack was last written to, or relied on, before `moment` (seconds since the epoch)."""
    return all(_last_used(pack) < moment for pack in (store.folder / "objects" / "pack").glob("*.pack"))


def repack_without(
    store: GitStore, garbage: Collection[Oid], *, reachable: Callable[[], Collection[Oid]], older_than: float
) -> bool:
    """Write what all packs hold, but for `garbage`, into one pack in their stead; False if that has become needed.

    The new pack is on disk before the old ones go. Whoever is killed between leaves every object there, some twice.
    """
    place = store.folder / "objects" / "pack"
    with objects_held(store, wait=False) as mine:
        if not mine:
            return False
        before = set(place.glob("pack-*"))
        kept = _packed(store) - set(garbage)
        young = _write_pack(store.folder, kept) if kept else set()
        with store.refs_locked():
            if not all(_last_used(file) < older_than for file in before) or not set(garbage).isdisjoint(reachable()):
                for file in young:
                    file.unlink()
                return False
            store.announce_sweep()
            for file in sorted(before - young, key=lambda file: file.suffix != ".idx"):
                file.unlink(missing_ok=True)
            sync_folder(place)
    return True


def _last_used(file: Path) -> float:
    return file.stat().st_mtime


def _packed(store: GitStore) -> set[Oid]:
    """Every object that lies in a pack."""
    return set(store.objects()) - store.loose_objects().keys()


def _write_pack(repository: Path, objects: Iterable[Oid]) -> set[Path]:
    """Pack these objects, on disk when this returns; the files that are new."""
    place = repository / "objects" / "pack"
    builder = pygit2.PackBuilder(pygit2.Repository(str(repository)))
    for oid in objects:
        builder.add(pygit2.Oid(raw=oid))
    before = set(place.iterdir())
    builder.write(str(place))
    young = set(place.iterdir()) - before
    for file in young or before:
        with file.open("rb") as stream:
            sync_file(stream.fileno())
    sync_folder(place)
    return young


def _sweep_half_written(folder: Path, *, older_than_s: float = 86_400.0) -> None:
    """Remove temporary files of objects, packs and refs whose writer died."""
    objects = [*folder.glob("tmp_object*"), *folder.glob("*/tmp_object*"), *folder.glob("pack/*_git2_*")]
    for leftover in [*objects, *folder.parent.glob(".*.*")]:
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > older_than_s:
                leftover.unlink()
