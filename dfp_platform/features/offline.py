"""Feast's offline store over the lake: reads Iceberg tables at one ref, and what was known at a moment.

Feast loads `LakeOfflineStore` and its config by name. Only reading is offered: tables are written by dbt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel
from feast.saved_dataset import SavedDatasetStorage

from dfp_platform.errors import InputError, ReadOnlyError
from dfp_platform.features.entity_rows import as_entity_rows, time_column
from dfp_platform.features.point_in_time import AskedView, point_in_time, told_each
from dfp_platform.features.repository import KEY
from dfp_platform.features.rows import FeatureRows, in_utc, newest_each, read_rows, read_versions, span
from dfp_platform.features.source import LakeSource
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.schemas import CommitId
from dfp_platform.settings import settings


class LakeOfflineStoreConfig(FeastConfigBaseModel):
    """Which lake, and which ref of it: a branch, a tag or, for reads that never move, a commit id.

    Attributes:
        lake: its address; the configured one (`DFP_LAKE`) if empty.
        ref: the configured branch (`DFP_BRANCH`) if empty.
    """

    type: Literal["dfp_platform.features.offline.LakeOfflineStore"] = "dfp_platform.features.offline.LakeOfflineStore"
    lake: str = ""
    ref: str = ""


class LakeRetrievalJob(RetrievalJob):
    """Rows that are read when they are asked for, at the commit that the ref named when the job was made."""

    def __init__(
        self,
        read: Callable[[], pa.Table],
        *,
        metadata: RetrievalMetadata | None = None,
        on_demand: Sequence[OnDemandFeatureView] = (),
        full_feature_names: bool = False,
    ) -> None:
        self._read = read
        self._metadata = metadata
        self._on_demand = list(on_demand)
        self._full_feature_names = full_feature_names

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._read()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._read().to_pandas()

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Refused: raises ReadOnlyError."""
        raise ReadOnlyError(
            "Feast's saved datasets are not kept in the lake",
            hint="take to_arrow() and write it to a table of a branch: catalog.overwrite",
        )


class LakeOfflineStore(OfflineStore):
    """Reads `LakeSource`s at the configured ref."""

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        (lake, commit), source = _place(config), _source(data_source)

        def read() -> pa.Table:
            columns = AskedView(source, tuple(feature_name_columns), (), KEY).columns
            rows = read_versions(lake, commit, source, columns=columns, since=start_date, until=end_date)
            return _table(newest_each(rows), source, feature_name_columns)

        return LakeRetrievalJob(read)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        (lake, commit), source = _place(config), _source(data_source)

        def read() -> pa.Table:
            columns = AskedView(source, tuple(feature_name_columns), (), KEY).columns
            rows = read_rows(lake, commit, source, columns=columns, since=start_date, until=end_date)
            return _table(rows, source, feature_name_columns)

        return LakeRetrievalJob(read)

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | pa.Table | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **window: datetime | None,
    ) -> RetrievalJob:
        """What was known of each entity row's app at its moment, in the order of the rows.

        Args:
            entity_df: a frame, an Arrow table, or a query over the tables at the ref (`catalog.query`). None: every
                app at each event time that a view has from `start_date` to `end_date`.
        """
        lake, commit = _place(config)
        asked = [_asked(view, feature_refs, full_feature_names) for view in feature_views]
        rows = as_entity_rows(lake, commit, entity_df, asked, **window)
        time = time_column(rows)
        return LakeRetrievalJob(
            partial(point_in_time, lake, commit, rows, time=time, asked=asked),
            metadata=_metadata(rows, time, feature_refs),
            on_demand=OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            full_feature_names=full_feature_names,
        )

    @staticmethod
    def offline_write_batch(
        config: RepoConfig, feature_view: FeatureView, table: pa.Table, progress: Callable[[int], Any] | None
    ) -> None:
        """Refused: raises ReadOnlyError."""
        raise ReadOnlyError(
            f"features are not written to {feature_view.name} offline",
            hint="tables of the lake are written by dbt; push to the online store only",
        )

    @staticmethod
    def write_logged_features(
        config: RepoConfig,
        data: pa.Table | Path,
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        """Refused: raises ReadOnlyError."""
        raise ReadOnlyError(
            "Feast's feature logs are not kept in the lake", hint="`dfp serve` logs predictions with their features"
        )


def _place(config: RepoConfig) -> tuple[Lake, CommitId]:
    """The lake, and the commit that the ref names now."""
    at = config.offline_store
    if not isinstance(at, LakeOfflineStoreConfig):
        raise TypeError(f"the offline store is configured as {type(at).__name__}, not as the lake's")
    lake = open_lake(at.lake or settings().lake_uri)
    return lake, lake.resolve(at.ref or settings().branch)


def _source(source: DataSource | None) -> LakeSource:
    if not isinstance(source, LakeSource):
        name, kind = getattr(source, "name", "the view"), type(source).__name__
        raise InputError(
            f"{name} reads a {kind}, not a table of the lake", hint="give the view a LakeSource as its (batch) source"
        )
    return source


def _asked(view: FeatureView, feature_refs: Sequence[str], full_feature_names: bool) -> AskedView:
    projection = view.projection
    prefix, base = f"{projection.name_to_use()}:", projection.name_alias or view.name
    features = tuple(ref.split(":", 1)[1] for ref in feature_refs if ref.startswith(prefix))
    names = tuple(f"{base}__{feature}" for feature in features) if full_feature_names else features
    key = (projection.join_key_map or {}).get(KEY, KEY)
    return AskedView(_source(view.batch_source), features, names, key, view.ttl or None)


def _table(rows: FeatureRows, source: LakeSource, features: Sequence[str]) -> pa.Table:
    """Rows as Feast reads them: keys, the features, event times, and when rows were created if the source says so."""
    columns = {KEY: rows.keys, **dict(zip(features, told_each(rows, source, features), strict=True))}
    columns[source.timestamp_field] = rows.times
    if rows.created is not None:
        columns[source.created_timestamp_column] = rows.created
    return pa.table(columns)


def _metadata(rows: pa.Table, time: str, feature_refs: Sequence[str]) -> RetrievalMetadata:
    keys = [name for name in rows.column_names if name != time]
    return RetrievalMetadata(list(feature_refs), keys, *span(in_utc(rows[time])))
