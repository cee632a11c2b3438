"""The applied registry as an object of the lake: equal definitions are equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dfp_platform.features.repository import PROJECT, definitions, import_feast
from dfp_platform.features.vectors import features_at
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    from feast import FeatureStore

REGISTRY = "features/registry/registry.pb"
"""Where a branch keeps what was applied on it."""

CODE_VERSION = "2"
"""Version of what `apply` makes of a table; another one is applied anew."""

_OF_THE_MOMENT = frozenset(
    {"created_timestamp", "last_updated_timestamp", "last_updated", "version_id", "project_uuid"}
)
"""Fields that differ between two applications of equal definitions."""

_NOT_DEFINED = frozenset(
    {"infra", "feature_view_version_history", "materialization_intervals", "state", "project_metadata"}
)
"""Fields that tell what was done with the definitions, or by which way of Feast, not what they are."""


def apply(lake: Lake, ref: str, *, features: Sequence[str] | None = None) -> bytes:
    """`feast apply` of the repository for the training table at `ref`: the registry's canonical bytes.

    Nothing is written, to the lake or elsewhere: the caller commits the bytes at `REGISTRY`.

    Args:
        features: names of the vector's elements; the feature columns of the table at `ref` unless given.
    Raises:
        NotFoundError: the training table is not at `ref`.
    """
    told = definitions(features_at(lake, ref) if features is None else features)
    store = store_from(b"", lake_uri=lake.uri, ref=ref, online=None)
    store.apply(told)
    return canonical(store.registry.proto())


def canonical(registry: Any) -> bytes:
    """A registry message as bytes without times, random ids and deeds, every list of objects in one order."""
    kept = type(registry)()
    kept.CopyFrom(registry)
    _settle(kept)
    return kept.SerializeToString(deterministic=True)


def open_store(lake: Lake, ref: str, *, online: Mapping[str, Any] | None = None) -> FeatureStore:
    """A Feast store whose registry and tables are those of the commit that `ref` names now.

    Args:
        online: the online store's part of ``feature_store.yaml``; without it the store reads offline only.
    Raises:
        NotFoundError: no registry at `ref`.
    """
    commit = lake.resolve(ref)
    return store_from(lake.read(commit, REGISTRY), lake_uri=lake.uri, ref=commit, online=online)


def store_from(registry: bytes, *, lake_uri: str, ref: str, online: Mapping[str, Any] | None) -> FeatureStore:
    """A Feast store over registry bytes held in memory, the lake at `ref`, and the online store that is configured."""
    feast = import_feast()
    config = feast.RepoConfig(
        project=PROJECT,
        registry={"registry_store_type": _REGISTRY_STORE, "path": "", "content": registry, "cache_ttl_seconds": 0},
        offline_store={"type": _OFFLINE_STORE, "lake": lake_uri, "ref": ref},
        online_store=None if online is None else dict(online),
        provider=_VERSIONED_PROVIDER if online and online["type"] == VERSIONED_STORE else "local",
        entity_key_serialization_version=3,
    )
    return feast.FeatureStore(config=config)


VERSIONED_STORE = "dfp_platform.features.feast_online.VersionedOnlineStore"
"""The online store over the keeper's versions, by the name that Feast loads it by."""

_VERSIONED_PROVIDER = "dfp_platform.features.feast_online.VersionedProvider"
_REGISTRY_STORE = "dfp_platform.features.registry_store.LakeRegistryStore"
_OFFLINE_STORE = "dfp_platform.features.offline.LakeOfflineStore"


def _settle(message: Any) -> None:
    """Clear what is of the moment in `message` and all beneath it, and sort its lists of messages by their bytes."""
    for field, value in message.ListFields():
        if field.name in _OF_THE_MOMENT | _NOT_DEFINED or _is_said_by_chance(field.name, value):
            message.ClearField(field.name)
        elif field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        elif field.is_repeated:
            for item in value:
                _settle(item)
            value.sort(key=lambda item: item.SerializeToString(deterministic=True))
        else:
            _settle(value)


def _is_said_by_chance(name: str, value: Any) -> bool:
    """Feast names the class of its own sources when they are applied first, and leaves it out the next time."""
    return name == "data_source_class_type" and value.startswith("feast.")
