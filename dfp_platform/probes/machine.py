"""The machine: room on its disks, and the versions of what runs on it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dfp_platform import __version__
from dfp_platform.lake import is_served
from dfp_platform.probes.interface import Door, Finding
from dfp_platform.settings import PROJECT_ROOT, Settings

LITTLE, NONE = 2_000_000_000, 200_000_000
"""Free bytes below which a disk warns, and below which it fails: a demo writes some hundred MB."""

NAMED = 5
"""Packages that are named where they differ from their pins."""


def amount(count: float) -> str:
    """Bytes for people: 1.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def room(at: Settings, seconds: float) -> Finding:
    """Free space where state, lake and temporary files lie, and whether the state folder can be written."""
    at.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=at.home) as file:
        file.write(b"smoke test")
    places = {"state": at.home, "temporary files": Path(tempfile.gettempdir())}
    if not is_served(at.lake_uri):
        places["lake"] = Path(at.lake_uri.removeprefix("file://"))
    return judged_room({name: _free(_there(place)) for name, place in places.items()})


def judged_room(free: dict[str, tuple[int, bool]]) -> Finding:
    """What free bytes by place, and whether it has names (inodes) left, mean."""
    facts = {name: f"{amount(count)} free" for name, (count, _) in free.items()}
    full = [name for name, (count, names) in free.items() if count < NONE or not names]
    little = [name for name, (count, _) in free.items() if count < LITTLE]
    hint = "make room: `dfp lake gc --delete` removes what nothing needs, `dfp features prune` old online versions"
    if full:
        return Finding(f"no room for {', '.join(full)}", facts, "failed", hint)
    if little:
        return Finding(f"little room for {', '.join(little)}", facts, "warning", hint)
    return Finding("Room on every disk", facts)


def _free(place: Path) -> tuple[int, bool]:
    told = os.statvfs(place)
    return shutil.disk_usage(place).free, told.f_files == 0 or told.f_favail > 0


def _there(place: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(each for each in (place, *place.parents) if each.is_dir())


def versions(at: Settings, seconds: float) -> Finding:
    """Python and packages against what is declared and pinned, and which commit of the code runs."""
    from dfp_platform.resources.code_version import git_tags

    code = git_tags()
    commit = code.get("git.commit", "")[:12]
    facts = {"dfp": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    if commit:
        facts["git"] = f"{commit}{' and changes' if code['git.dirty'] == 'true' else ''}"
    if not _supported():
        return Finding("this Python is not supported", facts, "failed", "use 3.11, 3.12 or 3.13: make env")
    pins = PROJECT_ROOT / "constraints.txt"
    if not pins.exists():
        return Finding("Versions ok; an installed package has no pins beside it", facts)
    compared, other = compare(pins.read_text().split())
    if other:
        more = f" and {len(other) - NAMED} more" if len(other) > NAMED else ""
        said = f"{len(other)} of {compared} packages are not as pinned: {', '.join(other[:NAMED])}{more}"
        return Finding(said, facts, "warning", "make env installs what constraints.txt says")
    return Finding(f"Versions ok: {compared} packages as pinned", facts)


def compare(pins: Iterable[str]) -> tuple[int, list[str]]:
    """How many of these pins (``name==version``) are installed, and those that are installed otherwise."""
    from importlib.metadata import PackageNotFoundError, version

    compared, other = 0, []
    for pin in pins:
        name, _, wanted = pin.partition("==")
        try:
            found = version(name).split("+")[0]  # torch's CPU build bears a local version
        except PackageNotFoundError:
            continue  # of an extra that is not installed
        compared += 1
        if found != wanted:
            other.append(f"{name} {found} (pinned {wanted})")
    return compared, other


def _supported() -> bool:
    from importlib.metadata import PackageNotFoundError, metadata

    from packaging.specifiers import SpecifierSet

    try:
        wanted = metadata("dfp-platform")["Requires-Python"]
    except PackageNotFoundError:
        return True
    return SpecifierSet(wanted).contains(".".join(map(str, sys.version_info[:3])))


DOORS = (
    Door(
        "disk",
        "There is room for what runs write.",
        room,
        "look at DFP_HOME: a folder of this user, on a disk that answers",
    ),
    Door(
        "versions",
        "Python and packages are those that dfp is tested with.",
        versions,
        "make env",
        seconds=30.0,  # work of this process: hundreds of packages are looked up
    ),
)
