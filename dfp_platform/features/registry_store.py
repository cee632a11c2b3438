"""Feast's registry in memory: it came from a commit of the lake, and goes back by a commit, never by Feast.

Feast loads `LakeRegistryStore` by the name of its class.
"""

from __future__ import annotations

from pathlib import Path

from feast.infra.registry.registry_store import RegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.repo_config import RegistryConfig


class LakeRegistryStore(RegistryStore):
    """Holds the registry bytes that the config's `content` gives; changes stay in this object."""

    def __init__(self, config: RegistryConfig, repo_path: Path | None) -> None:
        self._registry: bytes = (config.model_extra or {})["content"]

    def get_registry_proto(self) -> Registry:
        if not self._registry:
            raise FileNotFoundError("nothing is applied yet")  # what Feast expects of a registry to be made
        return Registry.FromString(self._registry)  # a new one each time: Feast caches its lists by object

    def update_registry_proto(self, registry_proto: Registry) -> None:
        self._registry = registry_proto.SerializeToString()

    def teardown(self) -> None:
        self._registry = b""
