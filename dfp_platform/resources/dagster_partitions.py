"""Partitions of assets as Dagster 1.13 records them: like `dagster_internals`, what is not its public interface."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from dagster._serdes import deserialize_value, serialize_value

from dfp_platform.resources.dagster_internals import key_of


@dataclass(frozen=True, slots=True)
class Span:
    """Partition keys that lie next to one another, both ends included."""

    first: str
    last: str

    def __contains__(self, key: str) -> bool:
        """Whether a key of a time-partitioned asset lies in it: such keys sort as their times do."""
        return self.first <= key <= self.last


def span_of(run: dg.DagsterRun) -> Span | None:
    """The partitions that a run was started for; None for a run without partitions."""
    if key := run.tags.get(PARTITION_NAME_TAG):
        return Span(key, key)
    if first := run.tags.get(ASSET_PARTITION_RANGE_START_TAG):
        return Span(first, run.tags[ASSET_PARTITION_RANGE_END_TAG])
    return None


def tags_of(span: Span) -> dict[str, str]:
    """The run tags that `span_of` reads: of one partition, or of a range that one run makes."""
    if span.first == span.last:
        return {PARTITION_NAME_TAG: span.first}
    return {ASSET_PARTITION_RANGE_START_TAG: span.first, ASSET_PARTITION_RANGE_END_TAG: span.last}


def partitions_of(context: dg.AssetExecutionContext, key: dg.AssetKey) -> dg.TimeWindowPartitionsDefinition | None:
    """How an asset of a running step is partitioned by time, if it is."""
    found = context.job_def.asset_layer.asset_graph.get(key).partitions_def
    return found if isinstance(found, dg.TimeWindowPartitionsDefinition) else None


def latest_partition_versions(instance: dg.DagsterInstance, asset: str) -> dict[str, str]:
    """What the page of each materialized partition of an asset shows: its latest data version."""
    tags: Mapping[str, Mapping[str, str]] = instance.event_log_storage.get_latest_tags_by_partition(
        key_of(asset), dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG]
    )
    return {partition: said.get(DATA_VERSION_TAG, "") for partition, said in tags.items()}


def latest_records(instance: dg.DagsterInstance, assets: Sequence[str]) -> dict[str, int]:
    """Storage id of the latest materialization of each asset, or of any partition of it."""
    entries = [record.asset_entry for record in instance.get_asset_records([key_of(asset) for asset in assets])]
    return {"/".join(entry.asset_key.path): entry.last_materialization_storage_id or 0 for entry in entries}


def instance_to_text(instance: dg.DagsterInstance) -> str:
    """Where an instance's records are, for another process."""
    return serialize_value(instance.get_ref())


def instance_from_text(text: str) -> dg.DagsterInstance:
    """The reverse of `instance_to_text`."""
    return dg.DagsterInstance.from_ref(deserialize_value(text, InstanceRef))
