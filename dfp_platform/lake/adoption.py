"""Files of the same disk become the lake's without a copy: one more name for the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.lake.durable import sync_file
from dfp_platform.lake.interface import Content
from dfp_platform.lake.objects import INLINE_LIMIT, ObjectFiles, Pointer
from dfp_platform.schemas import ObjectStat


def adopted(files: ObjectFiles, file: Path, path: str) -> Content:
    """What to commit at `path` for a file whose bytes the lake holds from now on; the file itself if it is small.

    It becomes read-only and young. On another disk, or one without hard links, its bytes are copied.

    Raises:
        NotFoundError: no such file. InputError: it changed while it was read.
    """
    try:
        with file.open("rb") as stream:
            before = os.fstat(stream.fileno())
            if before.st_size <= INLINE_LIMIT:
                return file
            pointer = Pointer(hashlib.file_digest(stream, "sha256").hexdigest(), before.st_size)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFoundError(f"no file {file} to commit at {path}", path=path, file=str(file)) from error
    if not files.holds(pointer, path):
        _take(files, file.resolve(), pointer, path, before)
    return ObjectStat(path, pointer.size, pointer.sha256)


def _take(files: ObjectFiles, file: Path, pointer: Pointer, path: str, before: os.stat_result) -> None:
    temporary = files.incoming()
    try:
        try:
            os.link(file, temporary)
        except OSError:  # another disk, or links are not allowed
            shutil.copyfile(file, temporary)
        after = file.stat()
        if (after.st_mtime_ns, after.st_size) != (before.st_mtime_ns, before.st_size):
            raise InputError(f"{file} changed while it was read", hint="let its writer finish first", file=str(file))
        temporary.chmod(0o444)
        os.utime(temporary)
        with temporary.open("rb") as stream:
            sync_file(stream.fileno())
        files.take(temporary, pointer, path)
    finally:
        temporary.unlink(missing_ok=True)
