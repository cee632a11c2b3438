"""The folder of an embedded lake: what lies where, its format file, and whether it may be used here."""

from __future__ import annotations

import json
import os
import shutil
import uuid
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from dfp_platform.errors import ConfigurationError, NotFoundError
from dfp_platform.lake.durable import locked_file, sync_folder, write_whole_file

FORMAT = 1
"""Version of the layout. A higher one was written by a newer dfp and is not touched."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs"}
)
"""Where file locks and rename cannot be trusted between machines."""


class LakeFolder:
    """Names of everything inside the folder of one lake.

    ::

        lake.json    format version, id, absolute location, former locations
        refs.git/    a bare git repository: small objects, pointers to the big ones, history
        objects/     immutable files by sha-256
        warehouse/   table files of every branch, kept by the catalog
        journal/     what git objects are mended from after a power cut
        leases/      writers under way
        turns/       a file for each branch that writers take turns at
        forgotten    commits whose files garbage collection may have removed
        protected    branches that only merges reach
        sweeps       changes with every removal of git objects
        operations   what was done to the lake, counted and timed
        index.db     provenance, derived from refs.git
        origins.db   commits that were brought from other lakes, derived from refs.git
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root.expanduser()))
        self.format_file = self.root / "lake.json"
        self.repository = self.root / "refs.git"
        self.objects = self.root / "objects"
        self.warehouse = self.root / "warehouse"
        self.journal = self.root / "journal"
        self.leases = self.root / "leases"
        self.turns = self.root / "turns"
        self.forgotten = self.root / "forgotten"
        self.protected = self.root / "protected"
        self.sweeps = self.root / "sweeps"
        self.operations = self.root / "operations"
        self.refs_lock = self.root / "refs.lock"
        self.index = self.root / "index.db"
        self.origins = self.root / "origins.db"

    def exists(self) -> bool:
        """Whether a lake is here."""
        return self.format_file.is_file()

    def check(self) -> None:
        """Refuse a folder that is no lake, is of a newer format, or was moved; warn on a network file system."""
        if not self.exists():
            raise NotFoundError(
                f"no lake at {self.root}",
                hint="name the folder of a lake, or create one (create=True)",
                uri=str(self.root),
            )
        form = self._form()
        if form["format"] > FORMAT:
            raise ConfigurationError(
                f"the lake at {self.root} has format {form['format']}, this dfp reads up to {FORMAT}",
                hint="upgrade dfp",
                setting="lake",
            )
        if os.path.realpath(form["location"]) != str(self.root):
            raise ConfigurationError(
                f"the lake at {self.root} was moved or copied from {form['location']}",
                hint=f"table files name absolute paths: run `dfp lake relocate {self.root}`, or move it back",
                setting="lake",
                location=form["location"],
            )
        self._warn_if_remote()

    @contextmanager
    def being_born(self) -> Iterator[LakeFolder]:
        """A temporary folder to fill, which becomes this lake all at once; if another was quicker, that one stays."""
        if self.root.is_dir() and any(self.root.iterdir()):
            raise ConfigurationError(
                f"{self.root} holds files that are no lake", hint="choose an empty or a new folder", setting="lake"
            )
        self.root.parent.mkdir(parents=True, exist_ok=True)
        young = LakeFolder(self.root.with_name(f".{self.root.name}.{uuid.uuid4().hex[:8]}"))
        try:
            for place in (young.objects, young.warehouse):
                place.mkdir(parents=True)
            yield young
            young._write_form({"format": FORMAT, "id": uuid.uuid4().hex, "location": str(self.root), "former": []})
            os.rename(young.root, self.root)
            sync_folder(self.root.parent)
        except OSError:
            if not self.exists():
                raise
        finally:
            shutil.rmtree(young.root, ignore_errors=True)

    def former_locations(self) -> list[str]:
        """Where this lake stood before each relocation, and lakes that were synced into it, oldest first."""
        return list(self._form()["former"])

    def remember(self, roots: Collection[str]) -> None:
        """Files that addresses beneath these folders or prefixes name are copied here: read them here from now on."""
        with locked_file(self.root / "lake.lock"):
            form = self._form()
            if young := [root for root in roots if root not in form["former"]]:
                self._write_form({**form, "former": [*form["former"], *young]})

    def relocate(self) -> str | None:
        """See `dfp_platform.lake.relocate`."""
        if not self.exists():
            self.check()
        with locked_file(self.root / "lake.lock"):
            form = self._form()
            before = form["location"]
            if os.path.realpath(before) == str(self.root):
                return None
            self._write_form({**form, "location": str(self.root), "former": [*form["former"], before]})
            return str(before)

    def _form(self) -> dict:
        try:
            form = json.loads(self.format_file.read_text())
            return {
                "format": int(form["format"]),
                "id": form["id"],
                "location": form["location"],
                "former": form["former"],
            }
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{self.format_file} is not a lake's format file", hint="restore it from a backup", setting="lake"
            ) from error

    def _write_form(self, form: dict) -> None:
        write_whole_file(self.format_file, json.dumps(form, indent=2).encode() + b"\n")

    def _warn_if_remote(self) -> None:
        kind = _file_system(self.root)
        if kind in NETWORK_FILE_SYSTEMS:
            warnings.warn(
                f"the lake at {self.root} lies on a network file system ({kind}): locks between machines are not safe "
                "there. Use a local disk, or a lakeFS server (lakefs://) for several machines.",
                stacklevel=4,
            )


def _file_system(place: Path) -> str:
    try:
        return file_system_in(Path("/proc/mounts").read_text(), place)
    except OSError:
        return ""


def file_system_in(mounts: str, place: Path) -> str:
    """Type of the file system that `place` lies on, by the text of /proc/mounts; empty if that does not say."""
    lines = [line.split() for line in mounts.splitlines()]
    points = [(point.replace("\\040", " "), kind) for _, point, kind, *_ in lines]
    return max(((len(point), kind) for point, kind in points if place.is_relative_to(point)), default=(0, ""))[1]
