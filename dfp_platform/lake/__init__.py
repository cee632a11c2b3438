"""Git for data: branches, commits, diffs, merges and tags over files of any size. `open_lake` is the way in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from dfp_platform.errors import ConfigurationError
from dfp_platform.lake.interface import Content, Lake, checked_path, checked_ref_name

__all__ = ["KEEPERS", "Content", "Lake", "checked_path", "checked_ref_name", "is_served", "open_lake", "relocate"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)


def _open_folder(place: str, *, create: bool) -> Lake:
    from dfp_platform.lake.embedded import EmbeddedLake

    return EmbeddedLake(Path(place), create=create)


def _open_lakefs(place: str, *, create: bool) -> Lake:
    from dfp_platform.lake.lakefs import LakeFSLake

    return LakeFSLake(place.rstrip("/"), create=create)


KEEPERS: dict[str, Callable[..., Lake]] = {
    "": _open_folder,
    "file": _open_folder,
    "lakefs": _open_lakefs,
}
"""Who keeps the lake of a URI, by scheme; each is called with what follows ``scheme://`` and `create`."""


def open_lake(uri: str | Path, *, create: bool = False) -> Lake:
    """The lake at `uri`: a folder (a plain path or ``file://``), or ``lakefs://<repository>``.

    Args:
        create: make the lake if nothing is there; its `main` is then born with one empty commit.
    Raises:
        NotFoundError: no lake there. ConfigurationError: unknown scheme, a folder that is something else, or a lake
        that was moved by hand (see `relocate`).
    """
    found = _SCHEME.fullmatch(str(uri))
    scheme, place = found.groups() if found else ("", str(uri))
    if scheme not in KEEPERS:
        raise ConfigurationError(
            f"no lake speaks {scheme}:// ({uri})",
            hint=f"use a folder, or one of: {', '.join(sorted(name + '://' for name in KEEPERS if name))}",
            setting="lake",
        )
    return KEEPERS[scheme](place, create=create)


def is_served(uri: str | Path) -> bool:
    """Whether a lake's address names a server, not a folder of this machine."""
    found = _SCHEME.fullmatch(str(uri))
    return found is not None and KEEPERS.get(found.group(1)) is not _open_folder


def relocate(folder: str | Path) -> str | None:
    """Accept that the lake in `folder` was moved or copied there; return where it was before, None if it was not moved.

    Refs and objects follow at once. Table files name absolute paths: whoever keeps tables rewrites those, from the
    former locations that the lake's format file remembers. A lake on a server never moves: None.
    """
    if is_served(folder):
        return None
    from dfp_platform.lake.folder import LakeFolder

    return LakeFolder(Path(folder)).relocate()
