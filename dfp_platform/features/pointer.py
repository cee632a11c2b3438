"""Which online version a branch serves, in a folder: one small file a branch, replaced whole."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfp_platform.errors import CorruptLakeError, InvalidNameError
from dfp_platform.features.interface import Current, Served
from dfp_platform.lake.interface import checked_ref_name
from dfp_platform.schemas import MAIN

POINTER = "current.json"
"""The pointer of `main`; that of another branch has its name in it: ``current-dev.json``."""

_LOCK = ".pointers.lock"


def pointer_path(folder: Path, branch: str) -> Path:
    """The pointer file of a branch, whether it is there or not."""
    return folder / (POINTER if branch == MAIN else f"current-{branch}.json")


def pointed_branches(folder: Path) -> list[str]:
    """Branches that have a pointer file, sorted."""
    others = [path.stem.removeprefix("current-") for path in folder.glob("current-*.json")]
    return sorted([*others, *([MAIN] if (folder / POINTER).exists() else [])])


def read_pointer(folder: Path, branch: str) -> Current | None:
    """What a branch points to; None if nothing was ever switched on.

    Raises:
        CorruptLakeError: the pointer file is no pointer.
    """
    path = pointer_path(folder, branch)
    try:
        return pointer_from(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None


def pointer_from(told: bytes, where: str) -> Current:
    """A pointer from its JSON. One of before there was `published` was switched by publications only.

    Raises:
        CorruptLakeError: it is none; `where` it lies is said.
    """
    try:
        said: dict[str, Any] = json.loads(told)
        before = said["previous"]
        was = Served(before["version"], before["commit"]) if before else None
        return Current(said["version"], said["commit"], was, said.get("published", said["version"]))
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptLakeError(
            f"{where} does not say which online version is served",
            hint="switch to a version again: `dfp publish` or the next run does it",
            path=where,
            expected="version, commit, previous",
            actual=repr(error),
        ) from error


def pointer_bytes(pointer: Current) -> bytes:
    """A pointer as JSON."""
    return json.dumps(asdict(pointer), sort_keys=True).encode() + b"\n"


def write_pointer(folder: Path, branch: str, pointer: Current) -> None:
    """Replace the pointer file of a branch whole, durably."""
    with appearing(pointer_path(folder, branch)) as part:
        part.write_bytes(pointer_bytes(pointer))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else of this machine changes pointers of `folder` meanwhile; ends with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def checked_version(version: str) -> str:
    """`version` if it can name a file everywhere: the rule of refs. Raises InvalidNameError."""
    try:
        return checked_ref_name(version)
    except InvalidNameError as error:
        raise InvalidNameError(f"{version!r} cannot name an online version", hint=error.hint, name=version) from error


@contextmanager
def appearing(target: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """A path to write to that becomes `target` whole, durably, when the block ends well, and vanishes otherwise.

    Args:
        mode: permissions of the finished file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", suffix=".part", dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(mode)
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
