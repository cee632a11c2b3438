"""Where Feast's registry is kept: in memory for a store at one commit, or on a branch of the lake for `feast apply`.

Feast loads `LakeRegistryStore` by the name of its class.
"""

from __future__ import annotations

import json
from pathlib import Path

from feast.infra.registry.registry import REGISTRY_SCHEMA_VERSION as _SCHEMA_VERSION
from feast.infra.registry.registry_store import RegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.repo_config import RegistryConfig

from dfp_platform.errors import NotFoundError, StaleHeadError
from dfp_platform.features.intervals import keep_intervals, kept_intervals, with_intervals
from dfp_platform.features.registry import CODE_VERSION, REGISTRY, canonical
from dfp_platform.features.repository import TABLE
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.settings import settings

_ASSET = REGISTRY.rsplit("/", 1)[0]


class LakeRegistryStore(RegistryStore):
    """The registry at a ref of the lake, or the bytes that the config's `content` gives.

    Of `content`, changes stay in this object. Else the config's `lake` and `ref` say where the registry is (the
    configured lake and branch unless given), and a change is one commit on that branch; what is no change is no commit.
    When views were materialized is of this machine, not of the branch: a file beside the online versions holds it.
    """

    def __init__(self, config: RegistryConfig, repo_path: Path | None) -> None:
        told = config.model_extra or {}
        self._held: bytes = told.get("content", b"")
        self._lake: Lake | None = None if "content" in told else open_lake(told.get("lake") or settings().lake_uri)
        self._ref: str = told.get("ref") or settings().branch
        self._intervals = settings().home / "online" / "intervals" / f"{self._ref}.json"

    def get_registry_proto(self) -> Registry:
        if self._lake is None:
            if not self._held:
                raise FileNotFoundError("nothing is applied yet")  # what Feast expects of a registry to be made
            return Registry.FromString(self._held)  # a new one each time: Feast caches its lists by object
        self._held = _read(self._lake, self._lake.resolve(self._ref))
        found = Registry.FromString(self._held) if self._held else Registry(registry_schema_version=_SCHEMA_VERSION)
        return with_intervals(found, kept_intervals(self._intervals))

    def update_registry_proto(self, registry_proto: Registry) -> None:
        """Put the registry on the branch.

        Raises:
            ReadOnlyError: the ref is a tag or a commit. StaleHeadError, MergeConflictError: somebody else changed the
            registry of the branch since it was read.
        """
        if self._lake is None:
            self._held = registry_proto.SerializeToString()
            return
        told = canonical(registry_proto)
        if told != self._held and (self._held or _defines(registry_proto)):
            self._commit(self._lake, told)
        keep_intervals(self._intervals, registry_proto)

    def teardown(self) -> None:
        """Remove the registry from the branch; its history has it still."""
        if self._lake is None:
            self._held = b""
        elif self._held:
            self._commit(self._lake, b"")

    def _commit(self, lake: Lake, told: bytes) -> None:
        message = "feast apply" if told else "feast teardown"
        metadata = {"assets": json.dumps([_ASSET]), "lineage": json.dumps(_lineage(lake, self._ref), sort_keys=True)}
        with lake.transaction(self._ref, message=message, metadata=metadata) as branch:
            found = _read(lake, branch)
            if found != self._held:
                raise StaleHeadError(
                    f"the registry on {self._ref} was changed since it was read",
                    hint="feast apply again: it then starts from what stands there",
                    branch=self._ref,
                )
            lake.commit(branch, {REGISTRY: told or None}, message=message, metadata=metadata)
        self._held = told


def _read(lake: Lake, ref: str) -> bytes:
    return lake.read(ref, REGISTRY) if lake.exists(ref, REGISTRY) else b""


def _defines(registry: Registry) -> bool:
    """Whether there is more in it than the name of its project, which Feast stores before it looks at definitions."""
    named = ("projects", "project_metadata", "registry_schema_version", "version_id", "last_updated")
    return any(field.name not in named for field, _ in registry.ListFields())


def _lineage(lake: Lake, ref: str) -> dict[str, dict[str, object]]:
    """What is recorded of the registry: from which training table it was made, and by which version of the code."""
    from dfp_platform.catalog import content_of

    table = "tables/" + TABLE.replace(".", "/")
    try:
        content = content_of(lake, ref, table)
    except NotFoundError:
        content = ""
    return {_ASSET: {"code_version": CODE_VERSION, "inputs": {table: content}}}
