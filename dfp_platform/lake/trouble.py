"""What a disk refuses, in our own errors: it is full, or it cannot be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2

from dfp_platform.errors import DiskFullError, ReadOnlyError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def told_clearly(place: Path) -> Iterator[None]:
    """Raise DiskFullError or ReadOnlyError for what the disk beneath `place` refuses inside; nothing was committed."""
    try:
        yield
    except (OSError, pygit2.GitError) as error:
        if _is_about(error, _FULL):
            raise DiskFullError(
                f"there is no room left for {place}: {error}",
                hint="make room (`dfp lake gc` says what nobody needs), then do it again: nothing was changed",
                place=str(place),
            ) from error
        if _is_about(error, _DENIED):
            raise ReadOnlyError(
                f"{place} cannot be written: {error}",
                hint="check its owner and permissions, and how its disk is mounted; reading works",
                place=str(place),
            ) from error
        raise


def _is_about(error: Exception, codes: tuple[int, ...]) -> bool:
    """By its number; git's library says it in words only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in codes
    return any(os.strerror(code) in str(error) for code in codes)
