"""What one branch changed in a table, net: files that came and went, and rows that were taken out of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestEntryStatus, ManifestFile
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyroaring import BitMap64

from dfp_platform.catalog.merging.deletes import DeleteReader
from dfp_platform.catalog.merging.manifests import TableFile, read_manifest, read_manifest_list

MERGED_SNAPSHOTS = "lake.merged-snapshots"
"""Property of a merged snapshot: ids of the snapshots whose changes it brought, joined by commas."""

Files = dict[str, TableFile]
"""Files by their key."""


@dataclass
class TableReader:
    """Reads manifests and delete files of one table, each once."""

    io: FileIO
    _manifests: dict[str, list[TableFile]] = field(default_factory=dict)
    _lists: dict[str, list[ManifestFile]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deletes = DeleteReader(self.io)

    def manifests(self, snapshot: Snapshot | None) -> list[ManifestFile]:
        """The manifests of a snapshot; none before the first."""
        if snapshot is None:
            return []
        if snapshot.manifest_list not in self._lists:
            self._lists[snapshot.manifest_list] = read_manifest_list(self.io, snapshot.manifest_list)
        return self._lists[snapshot.manifest_list]

    def entries(self, manifest: ManifestFile) -> list[TableFile]:
        """All entries of a manifest, deleted ones too."""
        if manifest.manifest_path not in self._manifests:
            self._manifests[manifest.manifest_path] = read_manifest(self.io, manifest)
        return self._manifests[manifest.manifest_path]

    def live(self, manifests: Iterable[ManifestFile]) -> Iterator[TableFile]:
        """The files that manifests hold."""
        for manifest in manifests:
            if manifest.has_added_files() or manifest.has_existing_files():
                for file in self.entries(manifest):
                    if file.entry.status != ManifestEntryStatus.DELETED:
                        yield file

    def written_by(self, snapshot: Snapshot) -> Iterator[TableFile]:
        """Entries that a snapshot itself added or deleted, as their status says."""
        for manifest in self.manifests(snapshot):
            if manifest.added_snapshot_id == snapshot.snapshot_id:
                for file in self.entries(manifest):
                    own = file.entry.snapshot_id == snapshot.snapshot_id
                    if own and file.entry.status != ManifestEntryStatus.EXISTING:
                        yield file


@dataclass
class Side:
    """The net change of one branch against the merge base.

    Attributes:
        name: the branch, for people.
        metadata: the table there.
        snapshots: the branch's own snapshots since the base, oldest first.
        live: its files in manifests that the base has not, by key.
        holders: paths of its manifests.
    """

    name: str
    metadata: TableMetadata
    snapshots: list[Snapshot]
    added: Files
    removed: Files
    added_deletes: Files
    removed_deletes: Files
    live: Files
    holders: frozenset[str]

    @property
    def changes_files(self) -> bool:
        """Whether anything but metadata changed."""
        return bool(self.added or self.removed or self.added_deletes or self.removed_deletes)

    @property
    def takes_away(self) -> bool:
        """Whether files or rows of the base went."""
        return bool(self.removed or self.added_deletes or self.removed_deletes)

    def deleted_rows(self, reader: TableReader) -> dict[str, BitMap64]:
        """Positions that this side's delete files take out and those they replaced did not, by data file."""
        before = reader.deletes.all_positions(self.removed_deletes.values())
        after = reader.deletes.all_positions(self.added_deletes.values())
        net = {path: found - before[path] if path in before else found for path, found in after.items()}
        return {path: found for path, found in net.items() if found}

    def located(self, file: TableFile) -> TableFile | None:
        """A file of the base as this side's manifests name it; None where it is gone."""
        return self.live.get(file.key) or (file if file.manifest in self.holders else None)


def net_difference(reader: TableReader, name: str, base: TableMetadata, side: TableMetadata) -> Side:
    """What `side` changed since `base`. Manifests that both have are not read."""
    before, after = reader.manifests(base.current_snapshot()), reader.manifests(side.current_snapshot())
    shared = {manifest.manifest_path for manifest in before} & {manifest.manifest_path for manifest in after}
    old = {file.key: file for file in reader.live(m for m in before if m.manifest_path not in shared)}
    new = {file.key: file for file in reader.live(m for m in after if m.manifest_path not in shared)}
    added = {key: file for key, file in new.items() if key not in old}
    removed = {key: file for key, file in old.items() if key not in new}
    return Side(
        name=name,
        metadata=side,
        snapshots=own_snapshots(base, side),
        added={key: file for key, file in added.items() if file.is_data},
        removed={key: file for key, file in removed.items() if file.is_data},
        added_deletes={key: file for key, file in added.items() if not file.is_data},
        removed_deletes={key: file for key, file in removed.items() if not file.is_data},
        live=new,
        holders=frozenset(manifest.manifest_path for manifest in after),
    )


def history(metadata: TableMetadata) -> dict[int, Snapshot | None]:
    """Every snapshot that the current one carries, newest first: its ancestors, and those that were merged into them.

    None for those that the metadata itself does not hold.
    """
    known = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    found: dict[int, Snapshot | None] = {}
    snapshot = metadata.current_snapshot()
    while snapshot is not None and snapshot.snapshot_id not in found:
        found[snapshot.snapshot_id] = snapshot
        for merged in _summary(snapshot).get(MERGED_SNAPSHOTS, "").split(","):
            if merged:
                found.setdefault(int(merged), None)
        snapshot = known.get(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id is not None else None
    return found


def own_snapshots(base: TableMetadata, side: TableMetadata) -> list[Snapshot]:
    """The snapshots of `side` that `base` does not carry, oldest first."""
    common = history(base)
    return [snapshot for id_, snapshot in reversed(history(side).items()) if snapshot is not None and id_ not in common]


def descends(side: TableMetadata, base: TableMetadata) -> bool:
    """Whether all that `base` holds went into `side`'s history."""
    return base.current_snapshot_id is None or base.current_snapshot_id in history(side)


def _summary(snapshot: Snapshot) -> Mapping[str, str]:
    return snapshot.summary.additional_properties if snapshot.summary else {}
