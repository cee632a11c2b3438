"""One snapshot in which files take the place of files: pyiceberg's `overwrite` makes two, a delete and an append."""

from __future__ import annotations

from pyiceberg.expressions import AlwaysTrue
from pyiceberg.manifest import ManifestContent, ManifestFile
from pyiceberg.table import Transaction
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update.snapshot import _OverwriteFiles
from pyiceberg.typedef import EMPTY_DICT

from dfp_platform.catalog.committing import INTENT

_DELETE_TOTALS = ("total-delete-files", "total-position-deletes", "total-equality-deletes")


class Replacement(_OverwriteFiles):
    """Takes out the data files it is told and puts in others; delete files go once no old data file is left.

    Whatever another writer adds or removes meanwhile is a conflict (ValidationException at commit).
    """

    def _existing_manifests(self) -> list[ManifestFile]:
        kept = super()._existing_manifests()
        data = [manifest for manifest in kept if manifest.content == ManifestContent.DATA]
        alive = any(manifest.has_added_files() or manifest.has_existing_files() for manifest in data)
        self._drops_deletes = not alive
        return kept if alive else data

    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        summary = super()._summary(snapshot_properties)
        if self._drops_deletes:
            for total in _DELETE_TOTALS:
                summary[total] = "0"
        return summary


class Compaction(Replacement):
    """A `Replacement` whose rows are the same as before: operation `replace`."""

    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        counted = super()._summary(snapshot_properties)  # pyiceberg counts for other operations only
        return Summary(Operation.REPLACE, **counted.additional_properties)


def compaction(transaction: Transaction) -> Compaction:
    """A snapshot to fill like a `replacement`, by files with the same rows as those that go."""
    producer = Compaction(operation=Operation.OVERWRITE, transaction=transaction, io=transaction._table.io)
    producer.delete_by_predicate(AlwaysTrue())  # concurrent changes of any row are a conflict
    return producer


def replacement(transaction: Transaction, *, intent: str) -> Replacement:
    """A snapshot to fill with `delete_data_file` and `append_data_file`; stage it by leaving its `with` block."""
    first = transaction.table_metadata.current_snapshot() is None
    producer = Replacement(
        operation=Operation.APPEND if first else Operation.OVERWRITE,
        transaction=transaction,
        io=transaction._table.io,
        snapshot_properties={INTENT: intent},
    )
    producer.delete_by_predicate(AlwaysTrue())  # all rows are meant, so concurrent ones are a conflict
    return producer
