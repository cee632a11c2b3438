"""Which online version is served: one small file that is replaced whole. Versions beside it are read by nobody."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dfp_platform.errors import CorruptLakeError, InvalidNameError, NotFoundError
from dfp_platform.lake.interface import checked_ref_name

POINTER = "current.json"


@dataclass(frozen=True, slots=True)
class Served:
    """One online version and the lake commit that made it the one to serve."""

    version: str
    commit: str


@dataclass(frozen=True, slots=True)
class Current(Served):
    """What is served now, and what was before: the way back of `rollback`."""

    previous: Served | None = None


def current(online: Path) -> Current | None:
    """What `online` serves now; None if nothing was ever switched on.

    Raises:
        CorruptLakeError: the pointer file is no pointer.
    """
    try:
        told = json.loads((online / POINTER).read_bytes())
        before = told["previous"]
        return Current(told["version"], told["commit"], Served(**before) if before else None)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptLakeError(
            f"{online / POINTER} does not say which online version is served",
            hint="switch to a version again: `dfp publish` or the next run does it",
            path=str(online / POINTER),
            expected="version, commit, previous",
            actual=repr(error),
        ) from error


def switch(online: Path, version: str, commit: str) -> Current:
    """Serve `version` from now on, in the name of lake commit `commit`. Doing it again changes nothing.

    Raises:
        NotFoundError: no such version was materialized. InvalidNameError: `version` cannot name one.
    """
    version_file(online, version)
    before = current(online)
    if before and (before.version, before.commit) == (version, commit):
        return before
    if before and before.version == version:  # the same vectors under a newer commit: the way back stays
        after = Current(version, commit, before.previous)
    else:
        after = Current(version, commit, Served(before.version, before.commit) if before else None)
    _write(online, after)
    return after


def rollback(online: Path) -> Current:
    """Serve what was served before the last switch; a second call goes forward again.

    Raises:
        NotFoundError: nothing was served before, or its version is gone.
    """
    now = current(online)
    if now is None or now.previous is None:
        raise NotFoundError(f"{online} served nothing before", hint="switch to a version by name", folder=str(online))
    return switch(online, now.previous.version, now.previous.commit)


def prune(online: Path, *, before: datetime, keep: Collection[str] = ()) -> list[str]:
    """Remove versions last written before that moment, and what killed writers left; returns the versions' names.

    The version being served, the one before it and those of `keep` stay, as do young ones: a run may be about to
    publish them.

    Args:
        before: with a time zone.
    """
    now = current(online)
    kept = {*keep, *((now.version,) if now else ()), *((now.previous.version,) if now and now.previous else ())}
    gone = []
    for path in sorted([*online.glob("*.db"), *online.glob(".*.part*")]):
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if path.stem not in kept and written < before:
            path.unlink(missing_ok=True)
            gone += [path.stem] if path.suffix == ".db" else []
    return gone


def version_path(online: Path, version: str) -> Path:
    """Where a version of that name lies, whether it is there or not. Raises InvalidNameError."""
    return online / f"{checked_version(version)}.db"


def version_file(online: Path, version: str | None = None) -> Path:
    """The file of `version`, or of the version being served. Raises NotFoundError."""
    if version is None:
        now = current(online)
        if now is None:
            raise NotFoundError(
                f"{online} serves no version yet", hint="publish a run, or switch to a version", folder=str(online)
            )
        version = now.version
    found = version_path(online, version)
    if not found.is_file():
        there = ", ".join(sorted(path.stem for path in online.glob("*.db"))) or "none"
        raise NotFoundError(
            f"no online version {version!r} in {online}",
            hint=f"materialize it first; there is: {there}",
            folder=str(online),
            version=version,
        )
    return found


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


def _write(online: Path, pointer: Current) -> None:
    with appearing(online / POINTER) as part:
        part.write_text(json.dumps(asdict(pointer), sort_keys=True) + "\n")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
