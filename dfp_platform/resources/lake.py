"""The lake as assets and IO managers see it: at the branch of their run, and writable only there."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from dfp_platform.catalog import content_at
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.lake.ownership import OwnedLake, run_branch
from dfp_platform.resources.dagster_internals import Graph, path_of, step_config, step_graph
from dfp_platform.resources.links import PAGE, place_of, report_of
from dfp_platform.schemas import MAIN, CommitId
from dfp_platform.settings import settings


def lineage_of(lake: Lake, graph: Graph, ref: str, *assets: str) -> dict[str, Any]:
    """What is recorded of each asset as it stands at a ref: its code version, and the content of each input."""
    return {
        asset: {
            "code_version": graph.code_versions.get(asset),
            "inputs": {dep: content_at(lake, ref, dep) for dep in graph.dependencies.get(asset, ())},
        }
        for asset in assets
    }


class LakeResource(dg.ConfigurableResource):
    """One lake. In a run under the publishing executor `ref` is the run's branch; elsewhere it is read-only.

    Attributes:
        address: folder or URI of the lake; empty: the configured one.
        branch: what is read where there is no run, and by runs that were started without the publishing executor.
    """

    address: str = ""
    branch: str = MAIN

    _run_id: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        self._run_id = context.run.run_id if context.run else None

    @cached_property
    def _lake(self) -> Lake:
        return open_lake(self.address or settings().lake_uri, create=True)

    @cached_property
    def _on_branch(self) -> bool:
        return self._run_id is not None and run_branch(self._run_id) in self._lake.branches()

    @property
    def uri(self) -> str:
        """The lake's address, for another process."""
        return self._lake.uri

    @property
    def ref(self) -> str:
        """The branch to read and write."""
        return run_branch(str(self._run_id)) if self._on_branch else self.branch

    @property
    def store(self) -> Lake:
        """The lake, fenced: it writes only this run's branch, and only while this run owns it."""
        return OwnedLake(self._lake, self._run_id if self._on_branch else None, {"run": str(self._run_id)})

    def writer(self, context: dg.OutputContext | dg.AssetExecutionContext, *assets: str) -> Lake:
        """The lake for writing `assets`: every commit records code version, configuration and content of each input."""
        config = step_config(context)
        configured = {"config": config} if config else {}
        lineage = lineage_of(self._lake, step_graph(context), self.ref, *assets)
        lineage = {asset: {**told, **configured} for asset, told in lineage.items()}
        recorded = {"assets": json.dumps(list(assets)), "lineage": json.dumps(lineage, sort_keys=True)}
        return OwnedLake(self._lake, self._run_id if self._on_branch else None, {"run": str(self._run_id), **recorded})

    def content(self, asset: str) -> str:
        """Content id of an asset on the branch; empty if it is not there."""
        return content_at(self._lake, self.ref, asset)

    def files(self, asset: str) -> dict[str, bytes]:
        """The files of an asset on the branch, by their names below its path; empty if nothing is there."""
        return self._lake.files(self.ref, asset)

    def write(self, context: dg.OutputContext, files: Mapping[str, Content]) -> CommitId:
        """Put the files of an output's asset on the branch in one commit, instead of what lay there before."""
        asset = path_of(context.asset_key)
        old = {found.path for found in self._lake.list(self.ref, f"{asset}/")}
        new = {f"{asset}/{name}": content for name, content in files.items()}
        changes: dict[str, Content] = {**dict.fromkeys(old - new.keys()), **new}
        return self.writer(context, asset).commit(self.ref, changes, message=f"write {asset}")

    def located(self, asset: str) -> dict[str, Any]:
        """Metadata of a materialization: where its content is, and where a person sees it."""
        commit = self._lake.resolve(self.ref)
        report = f"{asset}/{PAGE}"
        links = {"lake/files": dg.MetadataValue.url(place_of(settings(), commit, asset))}
        if self._lake.exists(commit, report):
            links["report"] = dg.MetadataValue.url(report_of(settings(), commit, asset))
        return {
            "lake/branch": self.ref,
            "lake/commit": dg.MetadataValue.text(commit),
            "lake/content": self.content(asset),
            **links,
        }

    def table_metadata(self, asset: str) -> dict[str, Any]:
        """Rows, and columns with types and descriptions, of an asset that is a table, as Dagster shows them."""
        from dfp_platform.catalog import open_catalog
        from dfp_platform.catalog.describing import column_docs
        from dfp_platform.catalog.names import identifier_of

        catalog, name = open_catalog(self._lake, self._lake.resolve(self.ref)), identifier_of(asset)
        columns = [dg.TableColumn(column, kind, doc or None) for column, kind, doc in column_docs(catalog, name)]
        return {
            "dagster/row_count": catalog.pointer(name).rows,
            "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns)),
        }

    def materialized(self, asset: str, metadata: Mapping[str, Any] | None = None) -> dg.MaterializeResult:
        """The result of an asset whose body has written its content itself."""
        return dg.MaterializeResult(
            asset_key=asset.split("/"),
            metadata={**(metadata or {}), **self.located(asset)},
            data_version=dg.DataVersion(self.content(asset)),
        )
