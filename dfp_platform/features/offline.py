"""Feast's offline store over the lake: reads an Iceberg table at one ref, joins point in time by DuckDB through ibis.

Feast loads `LakeOfflineStore` and its config by name. Only reading is offered: tables are written by dbt.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Literal, NoReturn

import pandas as pd
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.ibis import (
    get_historical_features_ibis,
    pull_all_from_table_or_query_ibis,
    pull_latest_from_table_or_query_ibis,
)
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel

from dfp_platform.errors import ReadOnlyError
from dfp_platform.features.source import LakeSource
from dfp_platform.features.vectors import read_vectors
from dfp_platform.lake import open_lake


class LakeOfflineStoreConfig(FeastConfigBaseModel):
    """Which lake, and which ref of it: a branch, a tag or, for reads that never move, a commit id."""

    type: Literal["dfp_platform.features.offline.LakeOfflineStore"] = "dfp_platform.features.offline.LakeOfflineStore"
    lake: str
    ref: str


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
        return pull_latest_from_table_or_query_ibis(
            config=config,
            data_source=data_source,
            join_key_columns=join_key_columns,
            feature_name_columns=feature_name_columns,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            start_date=start_date,
            end_date=end_date,
            data_source_reader=_reader(config),
            data_source_writer=_refuse,
        )

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
    ) -> RetrievalJob:
        if not isinstance(entity_df, pd.DataFrame):
            raise TypeError("give the entity rows as a DataFrame; `features.historical` makes one of every app")
        return get_historical_features_ibis(
            config=config,
            feature_views=feature_views,
            feature_refs=feature_refs,
            entity_df=entity_df,
            registry=registry,
            project=project,
            full_feature_names=full_feature_names,
            data_source_reader=_reader(config),
            data_source_writer=_refuse,
        )

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
        return pull_all_from_table_or_query_ibis(
            config=config,
            data_source=data_source,
            join_key_columns=join_key_columns,
            feature_name_columns=feature_name_columns,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            start_date=start_date,
            end_date=end_date,
            data_source_reader=_reader(config),
            data_source_writer=_refuse,
        )


@atexit.register
def _close_duckdb() -> None:
    """Drop the DuckDB connection that ibis keeps: left to the interpreter's end, it complains of leaks beside torch."""
    import ibis

    backend, ibis.options.default_backend = ibis.options.default_backend, None
    if backend is not None:
        backend.disconnect()


def _reader(config: RepoConfig) -> Callable[[DataSource, str], Any]:
    at = config.offline_store
    if not isinstance(at, LakeOfflineStoreConfig):
        raise TypeError(f"the offline store is configured as {type(at).__name__}, not as the lake's")
    return partial(_read, at)


def _read(at: LakeOfflineStoreConfig, source: DataSource, _repo_path: str) -> Any:
    import ibis

    if not isinstance(source, LakeSource):
        raise TypeError(f"{source.name} is a {type(source).__name__}; the lake's offline store reads LakeSource only")
    rows = read_vectors(open_lake(at.lake), at.ref, table=source.table, device=source.device, features=source.features)
    return ibis.memtable(rows)


def _refuse(_table: Any, source: DataSource, *_rest: Any) -> NoReturn:
    raise ReadOnlyError(f"features are not written to {source.name}", hint="tables of the lake are written by dbt")
