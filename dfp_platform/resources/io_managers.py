"""One branch-aware IO manager per artifact kind: each translates a value to files on the run's branch and back.

Written on a branch, invisible on `main` until merged, read back by commit: `tests/contract/test_io_managers.py` holds
every kind of `IO_MANAGERS` to that.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from dfp_platform.errors import CorruptLakeError, NotFoundError
from dfp_platform.lake.interface import Content
from dfp_platform.resources.dagster_internals import path_of, set_data_version
from dfp_platform.resources.lake import LakeResource

Files = Mapping[str, bytes]
"""File names (below the asset's path) and their bytes."""

PARQUET_FILE = "part-00000.parquet"


class LakeIOManager(dg.ConfigurableIOManager):
    """Puts a value on the run's branch and says where: branch, commit, rows, bytes and content as data version."""

    lake: dg.ResourceDependency[LakeResource]

    def _describe(self, context: dg.OutputContext, measured: Mapping[str, Any]) -> None:
        asset = path_of(context.asset_key)
        set_data_version(context, self.lake.content(asset))
        context.add_output_metadata({**measured, **self.lake.located(asset)})


class ObjectsIOManager(LakeIOManager):
    """Writes a value as objects under the asset's path, in one commit, and reads them back."""

    @abstractmethod
    def to_files(self, value: Any) -> Mapping[str, Content]:
        """The files a value is kept as; equal values are equal bytes."""

    @abstractmethod
    def from_files(self, files: Files) -> Any:
        """The value that `to_files` made them from."""

    def measure(self, value: Any) -> dict[str, Any]:
        """Metadata of the materialization: rows, bytes."""
        return {"bytes": sum(len(data) for data in self.to_files(value).values() if isinstance(data, bytes))}

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        self.lake.write(context, self.to_files(obj))
        self._describe(context, self.measure(obj))

    def load_input(self, context: dg.InputContext) -> Any:
        asset = path_of(context.asset_key)
        files = self.lake.files(asset)
        if not files:
            raise _absent(asset, self.lake.ref)
        return self.from_files(files)


class ParquetIOManager(ObjectsIOManager):
    """An Arrow table as one parquet object."""

    def to_files(self, value: pa.Table) -> Mapping[str, Content]:
        import io

        import pyarrow.parquet as pq

        sink = io.BytesIO()
        pq.write_table(value, sink, compression="zstd", row_group_size=65_536, store_schema=True)
        return {PARQUET_FILE: sink.getvalue()}

    def from_files(self, files: Files) -> pa.Table:
        import pyarrow.parquet as pq

        return pq.read_table(pa.BufferReader(files[PARQUET_FILE]))

    def measure(self, value: pa.Table) -> dict[str, Any]:
        return {"dagster/row_count": value.num_rows, **super().measure(value)}


class IcebergIOManager(LakeIOManager):
    """An Arrow table as the Iceberg table `tables/<namespace>/<table>`; equal rows make no commit."""

    def handle_output(self, context: dg.OutputContext, obj: pa.Table) -> None:
        from dfp_platform.catalog import open_catalog, overwrite

        asset = path_of(context.asset_key)
        catalog = open_catalog(self.lake.writer(context, asset), self.lake.ref)
        written = overwrite(catalog, tuple(context.asset_key.path[1:]), obj)
        self._describe(context, {"dagster/row_count": written.rows, "bytes": obj.nbytes})

    def load_input(self, context: dg.InputContext) -> pa.Table:
        from dfp_platform.catalog import scan

        return scan(self.lake.store, self.lake.ref, tuple(context.asset_key.path[1:]))


class FilesIOManager(ObjectsIOManager):
    """An artifact that is a set of files already: names and bytes.

    Attributes:
        required: file names without which the artifact is not whole.
    """

    required: list[str]

    def to_files(self, value: Files) -> Mapping[str, Content]:
        self._whole(value)
        return dict(value)

    def from_files(self, files: Files) -> Files:
        self._whole(files)
        return files

    def _whole(self, files: Files) -> None:
        missing = sorted(set(self.required) - set(files))
        if missing:
            raise CorruptLakeError(
                f"an artifact of this kind needs {', '.join(missing)}",
                hint="materialize its asset again",
                path=missing[0],
                expected=self.required,
                actual=sorted(files),
            )


def io_managers(lake: LakeResource) -> dict[str, LakeIOManager]:
    """The IO manager of each artifact kind, by the key that assets name."""
    return {
        "parquet": ParquetIOManager(lake=lake),
        "iceberg": IcebergIOManager(lake=lake),
        "registry": FilesIOManager(lake=lake, required=["registry.pb"]),
        "weights": FilesIOManager(lake=lake, required=["card.json"]),
        "champions": FilesIOManager(lake=lake, required=[]),
        "mobile": FilesIOManager(lake=lake, required=["card.json"]),
        "report": FilesIOManager(lake=lake, required=["report.json"]),
    }


def _absent(asset: str, ref: str) -> NotFoundError:
    return NotFoundError(
        f"nothing lies at {asset} on {ref}, though Dagster may believe so",
        hint=f"materialize {asset} on this branch; `dfp lake show {ref}` lists what is there",
        path=asset,
        ref=ref,
    )
