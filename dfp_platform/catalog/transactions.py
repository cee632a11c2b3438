"""Tables of the catalog as pyiceberg's own, whose changes land at once however many others write to them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from pyiceberg.exceptions import ValidationException
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata

from dfp_platform.catalog.applying import updated
from dfp_platform.catalog.durable import sync_files
from dfp_platform.catalog.table_sums import sum_files

if TYPE_CHECKING:
    from dfp_platform.catalog.lake_catalog import LakeCatalog


class LakeTable(Table):
    """A table of a `LakeCatalog`."""

    def transaction(self) -> Transaction:
        return LakeTransaction(self, cast("LakeCatalog", self.catalog))


class LakeTransaction(Transaction):
    """A transaction that commits when it is its turn at the branch, on the table as it is then.

    pyiceberg commits on the table as it was loaded, and goes by turns of luck: it waits and makes the snapshot anew
    each time that another writer was quicker. What it makes anew, and which concurrent changes it refuses, is the same
    here.
    """

    def __init__(self, table: Table, catalog: LakeCatalog) -> None:
        super().__init__(table)
        self._catalog = catalog

    @property
    def table_metadata(self) -> TableMetadata:
        return updated(self._table.metadata, self._updates)

    def commit_transaction(self) -> Table:
        if not self._snapshot_producers:
            return super().commit_transaction()
        self._prepare()
        with self._catalog.lake.turn(self._catalog.ref):
            if self._catalog.pointer(self._table.name()).snapshot_id != self._table.metadata.current_snapshot_id:
                self._rebase()
            return super().commit_transaction()

    def _prepare(self) -> None:
        """What takes long, reading rows and waiting for the disk, is done before it is our turn."""
        files = [file for producer in self._snapshot_producers for file in producer._added_data_files]
        for file in files:
            file.spec_id = self.table_metadata.default_spec_id  # as pyiceberg will write them
        with suppress(FileNotFoundError, NotImplementedError, ValueError):  # the commit says what is wrong with them
            sync_files([file.file_path for file in files], self._table.io, names=False)
            sum_files(files, self.table_metadata, self._table.io)

    def _rebase(self) -> None:
        """Make the snapshots anew on the present one. Raises ValidationException: they do not go together."""
        self._table.refresh()
        try:
            self._rebuild_snapshot_updates()
        except ValidationException:
            self._failed = True
            for producer in self._snapshot_producers:
                producer._clean_all_uncommitted()
            raise
