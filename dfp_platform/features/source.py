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
    """Rows of one device in an Iceberg table, each as key, event timestamp, feature columns and a vector of them.

    Args:
        name: unique in the project.
        table: Iceberg identifier, ``marts.fct_training_dataset``.
        device: only rows of this device; ``(sha256, device)`` is unique, so that ``sha256`` is a key.
        features: columns of the view, and in this order the elements of its vector.
        event_time: the column that says from when on a row was true, a date or a timestamp; without a zone it is UTC.
        created_timestamp_column: says of two rows of one app and event time which came later, if there is one.
    """

    def __init__(
        self,
        *,
        name: str,
        table: str,
        device: str,
        features: Sequence[str],
        event_time: str = EVENT_TIME,
        **rest: Any,
    ) -> None:
        super().__init__(name=name, timestamp_field=EVENT_TIMESTAMP, **rest)
        self.table = table
        self.device = device
        self.features = tuple(features)
        self.event_time = event_time

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LakeSource) and super().__eq__(other) and self._told() == other._told()

    __hash__ = DataSource.__hash__

    def _told(self) -> dict[str, Any]:
        told = {"table": self.table, "device": self.device, "features": self.features}
        return told if self.event_time == EVENT_TIME else {**told, "event_time": self.event_time}

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> LakeSource:
        """The source that a registry holds."""
        return LakeSource(
            name=data_source.name,
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
            created_timestamp_column=data_source.created_timestamp_column,
            **json.loads(data_source.custom_options.configuration),
        )

    def _to_proto_impl(self) -> DataSourceProto:
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=f"{LakeSource.__module__}.{LakeSource.__qualname__}",
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            description=self.description,
            tags=self.tags,
            owner=self.owner,
            custom_options=DataSourceProto.CustomSourceOptions(
                configuration=json.dumps(self._told(), separators=(",", ":")).encode()
            ),
        )

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        return DataSourceProto.CUSTOM_SOURCE

    def validate(self, config: RepoConfig) -> None:
        """Nothing to ask a server: `rows.read_rows` names what is missing when rows are read."""

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        columns = [(name, "float") for name in self.features]
        return [(KEY, "string"), (EVENT_TIMESTAMP, "timestamp"), (VECTOR, "list<float>"), *columns]

    def get_table_query_string(self) -> str:
        return self.table

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        return _VALUE_TYPES.__getitem__


_VALUE_TYPES = {
    "string": ValueType.STRING,
    "timestamp": ValueType.UNIX_TIMESTAMP,
    "float": ValueType.FLOAT,
    "list<float>": ValueType.FLOAT_LIST,
}
