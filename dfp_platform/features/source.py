"""A Feast data source that names an Iceberg table of the lake; which ref of it is read, the offline store decides.

Feast loads `LakeSource` by the name of its class, which stands in the registry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from feast import RepoConfig, ValueType
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto

from dfp_platform.features.repository import EVENT_TIME, KEY, VECTOR

EVENT_TIMESTAMP = "event_timestamp"


class LakeSource(DataSource):
    """Rows of one device in an Iceberg table, each as key, event timestamp and one float32 vector.

    Args:
        name: unique in the project.
        table: Iceberg identifier, ``marts.fct_training_dataset``.
        device: only rows of this device; ``(sha256, device)`` is unique, so that ``sha256`` is a key.
        features: columns that make the vector, in its order.
    """

    def __init__(self, *, name: str, table: str, device: str, features: Sequence[str], **rest: Any) -> None:
        super().__init__(name=name, timestamp_field=EVENT_TIMESTAMP, **rest)
        self.table = table
        self.device = device
        self.features = tuple(features)

    def __eq__(self, other: object) -> bool:
        same_fields = isinstance(other, LakeSource) and super().__eq__(other)
        return same_fields and (self.table, self.device, self.features) == (other.table, other.device, other.features)

    __hash__ = DataSource.__hash__

    @property
    def columns(self) -> list[str]:
        """The columns that have to be read."""
        return [KEY, EVENT_TIME, *self.features]

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> LakeSource:
        """The source that a registry holds."""
        return LakeSource(
            name=data_source.name,
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
            **json.loads(data_source.custom_options.configuration),
        )

    def _to_proto_impl(self) -> DataSourceProto:
        told = {"table": self.table, "device": self.device, "features": self.features}
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=f"{LakeSource.__module__}.{LakeSource.__qualname__}",
            timestamp_field=self.timestamp_field,
            description=self.description,
            tags=self.tags,
            owner=self.owner,
            custom_options=DataSourceProto.CustomSourceOptions(
                configuration=json.dumps(told, separators=(",", ":")).encode()
            ),
        )

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        return DataSourceProto.CUSTOM_SOURCE

    def validate(self, config: RepoConfig) -> None:
        """Nothing to ask a server: `vectors.read_vectors` names what is missing when rows are read."""

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        return [(KEY, "string"), (EVENT_TIMESTAMP, "timestamp"), (VECTOR, "list<float>")]

    def get_table_query_string(self) -> str:
        return self.table

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        return _VALUE_TYPES.__getitem__


_VALUE_TYPES = {
    "string": ValueType.STRING,
    "timestamp": ValueType.UNIX_TIMESTAMP,
    "list<float>": ValueType.FLOAT_LIST,
}
