"""The offline store on a Spark cluster: Feast's own Spark store, told what a `LakeSource` means in Spark's SQL.

Which ref is read, the session's catalog says (`spark_conf`): see docs/features.md. Feast loads the classes by name.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from feast import FeatureView, RepoConfig
from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkOfflineStore,
    SparkOfflineStoreConfig,
    SparkRetrievalJob,
    get_spark_session_or_start_new_with_repoconfig,
)
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.infra.offline_stores.offline_store import RetrievalJob
from pydantic import StrictStr

from dfp_platform.errors import InputError
from dfp_platform.features.repository import KEY, VECTOR
from dfp_platform.features.source import LakeSource
from dfp_platform.schemas import FEATURE_PREFIXES


class LakeSparkOfflineStoreConfig(SparkOfflineStoreConfig):
    """As Feast's Spark store, with the lake's catalog at a ref among the settings of `spark_conf`."""

    type: StrictStr = "dfp_platform.features.spark_offline.LakeSparkOfflineStore"


class LakeSparkRetrievalJob(SparkRetrievalJob):
    """A job of Feast's whose answer does not pass pandas: there NaN would be null, and a vector's floats doubles."""

    def __init__(self, job: Any) -> None:
        vars(self).update(vars(job))

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with _quietly():
            return self.to_spark_df().toArrow()


class LakeSparkOfflineStore(SparkOfflineStore):
    """Gives the answers of `LakeOfflineStore`, in no order; a query as entity rows is Spark's SQL."""

    @staticmethod
    def pull_latest_from_table_or_query(config: RepoConfig, data_source: Any, *asked: Any, **more: Any) -> RetrievalJob:
        with _quietly():
            source = _in_spark(config, data_source)
            job = SparkOfflineStore.pull_latest_from_table_or_query(config, source, *asked, **more)
        return LakeSparkRetrievalJob(job)

    @staticmethod
    def pull_all_from_table_or_query(config: RepoConfig, data_source: Any, *asked: Any, **more: Any) -> RetrievalJob:
        with _quietly():
            source = _in_spark(config, data_source)
            job = SparkOfflineStore.pull_all_from_table_or_query(config, source, *asked, **more)
        return LakeSparkRetrievalJob(job)

    @staticmethod
    def get_historical_features(
        config: RepoConfig, feature_views: list[FeatureView], *asked: Any, **more: Any
    ) -> RetrievalJob:
        with _quietly():
            views = [_on_spark(config, view) for view in feature_views]
            job = SparkOfflineStore.get_historical_features(config, views, *asked, **more)
        return LakeSparkRetrievalJob(job)


def versions_query(source: LakeSource, columns: Sequence[str]) -> str:
    """Spark's SQL for what `rows.read_versions` reads: one row for an app and an event time, an unknown value NaN.

    Names are not quoted: Feast has Spark take quoted ones for patterns.

    Args:
        columns: of the table, in its order; where nothing else decides, the values of its features do.
    """
    created = source.created_timestamp_column
    every = [name for name in columns if name in source.features or name.startswith(FEATURE_PREFIXES)]
    told = [KEY, f"cast({source.event_time} as timestamp) as {source.timestamp_field}"]
    told += [f"cast({created} as timestamp) as {created}"] if created else []
    told += [f"{_array(source.features)} as {VECTOR}", *(f"{_value(name)} as {name}" for name in source.features)]
    order = [f"{created} desc nulls last"] if created else []
    window = f"partition by {KEY}, {source.event_time} order by {', '.join([*order, _array(every) + ' desc'])}"
    device = source.device.replace("'", "\\'")
    kept = f"device = '{device}' and {KEY} is not null and {source.event_time} is not null"
    numbered = f"select *, row_number() over ({window}) as nth from {source.table} where {kept}"
    return f"select {', '.join(told)} from ({numbered}) where nth = 1"


def _array(names: Sequence[str]) -> str:
    return f"array({', '.join(map(_value, names))})"


def _value(name: str) -> str:
    return f"coalesce(cast({name} as float), float('nan'))"


def _on_spark(config: RepoConfig, view: FeatureView) -> FeatureView:
    translated = copy.copy(view)
    translated.batch_source = _in_spark(config, view.batch_source)
    return translated


def _in_spark(config: RepoConfig, source: Any) -> SparkSource:
    if not isinstance(source, LakeSource):
        raise InputError(
            f"{getattr(source, 'name', 'the view')} reads no table of the lake", hint="give the view a LakeSource"
        )
    at: Any = config.offline_store
    session = get_spark_session_or_start_new_with_repoconfig(at)
    session.conf.set("spark.sql.session.timeZone", "UTC")
    query = versions_query(source, session.table(source.table).columns)
    # of one app and event time there is one row left: Feast's own way of taking the one created last loses nulls
    return SparkSource(name=source.name, query=query, timestamp_field=source.timestamp_field)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Feast's word that its Spark store is young: what it answers here is tested."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        yield
