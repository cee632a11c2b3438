"""A view's metadata and the updates that make its next state, as Iceberg's view specification has them.

pyiceberg has the models, and no updates: those are here. Ids of schemas and versions are given as Iceberg's Java
library gives them: what equals something known reuses its id, and -1 stands for what the same commit added last.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.schema import Schema
from pyiceberg.typedef import Properties
from pyiceberg.view.metadata import ViewHistoryEntry, ViewMetadata, ViewVersion

from dfp_platform.catalog.requirements import check_uuid

LAST_ADDED = -1

VERSIONS_KEPT = "version.history.num-entries"
"""Property: how many versions a view keeps (10 unless told)."""

MAY_DROP_DIALECT = "replace.drop-dialect.allowed"
"""Property: whether a new version may lack a dialect that the one before had (no unless told)."""


def first_view(
    schema: Schema, version: ViewVersion, *, location: str, properties: Properties, view_uuid: uuid.UUID
) -> ViewMetadata:
    """The state of a view that is made. Raises ValueError: a version without a query, or two of one dialect."""
    draft = ViewDraft(None, location=location, view_uuid=str(view_uuid))
    draft.properties.update(properties)
    draft.add_schema(schema)
    draft.add_version(version.model_copy(update={"schema_id": LAST_ADDED}))
    draft.set_current(LAST_ADDED)
    return draft.built()


def next_view(base: ViewMetadata, updates: Sequence[Mapping[str, Any]]) -> ViewMetadata:
    """What a view becomes; an equal object where nothing changes.

    Args:
        updates: as the REST specification writes them, ``{"action": "add-view-version", …}``.
    Raises:
        ValueError: updates that make no view (KeyError where a part of one is missing).
    """
    draft = ViewDraft(base, location=base.location, view_uuid=base.view_uuid)
    for update in updates:
        draft.apply(update)
    return draft.built()


def check_view_requirements(requirements: Sequence[Mapping[str, Any]], base: ViewMetadata) -> None:
    """Raises CommitFailedException: one does not hold. ValueError: one that no view can have."""
    for requirement in requirements:
        kind = requirement.get("type")
        if kind == "assert-create":
            raise CommitFailedException("Requirement failed: view already exists")
        if kind not in ("assert-view-uuid", "assert-table-uuid"):
            raise ValueError(f"Unknown requirement of a view: {kind}")
        check_uuid(requirement["uuid"], base.view_uuid)


class ViewDraft:
    """A view between two states."""

    def __init__(self, base: ViewMetadata | None, *, location: str, view_uuid: str) -> None:
        self._base = base
        self._location = location
        self._uuid = view_uuid
        self.properties = dict(base.properties) if base else {}
        self._schemas = list(base.schemas) if base else []
        self._versions = list(base.versions) if base else []
        self._log = list(base.version_log) if base else []
        self._current = base.current_version_id if base else LAST_ADDED
        self._added_schema: int | None = None
        self._added_version: int | None = None
        self._young: set[int] = set()

    def apply(self, update: Mapping[str, Any]) -> None:
        """One update. Raises ValueError."""
        match update.get("action"):
            case "assign-uuid":
                check_uuid(update["uuid"], self._uuid)
            case "upgrade-format-version":
                if update["format-version"] != 1:
                    raise ValueError(f"Cannot upgrade view to unsupported format version: v{update['format-version']}")
            case "add-schema":
                self.add_schema(Schema.model_validate(update["schema"]))
            case "set-location":
                self._location = str(update["location"])
            case "set-properties":
                self.properties.update({name: str(value) for name, value in update["updates"].items()})
            case "remove-properties":
                for name in update["removals"]:
                    self.properties.pop(name, None)
            case "add-view-version":
                self.add_version(ViewVersion.model_validate(update["view-version"]))
            case "set-current-view-version":
                self.set_current(int(update["view-version-id"]))
            case unknown:
                raise ValueError(f"Unknown update of a view: {unknown}")

    def add_schema(self, schema: Schema) -> None:
        """A schema that a version may have; the same one again keeps its id."""
        same = next((known for known in self._schemas if known.as_struct() == schema.as_struct()), None)
        if same is None:
            taken = [known.schema_id for known in self._schemas]
            same = schema.model_copy(update={"schema_id": max(taken, default=-1) + 1})
            self._schemas.append(same)
        self._added_schema = same.schema_id

    def add_version(self, version: ViewVersion) -> None:
        """A version that may become the current one; the same one again keeps its id. Raises ValueError."""
        if version.schema_id == LAST_ADDED:
            if self._added_schema is None:
                raise ValueError("Cannot set last added schema: no schema has been added")
            version = version.model_copy(update={"schema_id": self._added_schema})
        if version.schema_id not in {schema.schema_id for schema in self._schemas}:
            raise ValueError(f"Cannot add version with unknown schema: {version.schema_id}")
        _refuse_repeated_dialects(version)
        same = next((known for known in self._versions if _same(known, version)), None)
        if same is None:
            taken = [known.version_id for known in self._versions]
            same = version.model_copy(update={"version_id": max(taken, default=0) + 1})
            self._versions.append(same)
            self._young.add(same.version_id)
        self._added_version = same.version_id

    def set_current(self, version_id: int) -> None:
        """Make a version the one that readers see. Raises ValueError: there is none of this id."""
        if version_id == LAST_ADDED:
            if self._added_version is None:
                raise ValueError("Cannot set last version id: no current version id has been set")
            version_id = self._added_version
        chosen = next((version for version in self._versions if version.version_id == version_id), None)
        if chosen is None:
            raise ValueError(f"Cannot set current version to unknown version: {version_id}")
        if version_id == self._current:
            return
        self._current = version_id
        moment = chosen.timestamp_ms if version_id in self._young else int(time.time() * 1000)
        self._log.append(ViewHistoryEntry.model_validate({"timestamp-ms": moment, "version-id": version_id}))

    def built(self) -> ViewMetadata:
        """The state after all updates. Raises ValueError: no current version, or a dialect would be lost."""
        if not any(version.version_id == self._current for version in self._versions):
            raise ValueError("Invalid view: no versions were added")
        self._refuse_lost_dialects()
        versions = self._kept()
        fields = {
            "view-uuid": self._uuid,
            "format-version": 1,
            "location": self._location.rstrip("/"),
            "schemas": self._schemas,
            "current-version-id": self._current,
            "versions": versions,
            "version-log": _log_of(self._log, {version.version_id for version in versions}),
            "properties": self.properties,
        }
        return ViewMetadata.model_validate(fields)

    def _refuse_lost_dialects(self) -> None:
        if self._base is None or self.properties.get(MAY_DROP_DIALECT, "false").lower() == "true":
            return
        before, after = _dialects(self._base.versions, self._base.current_version_id), self._current_dialects()
        if before - after:
            raise ValueError(
                f"Cannot replace view due to loss of view dialects ({MAY_DROP_DIALECT}=false):\n"
                f"Previous dialects: {sorted(before)}\nNew dialects: {sorted(after)}"
            )

    def _current_dialects(self) -> set[str]:
        return _dialects(self._versions, self._current)

    def _kept(self) -> list[ViewVersion]:
        """The current version, what this commit added, and the newest others, as many as the view keeps."""
        told = self.properties.get(VERSIONS_KEPT, "10")
        if not told.isdigit() or int(told) < 1:
            raise ValueError(f"{VERSIONS_KEPT} must be positive but was {told}")
        room = max(int(told), len(self._young))
        newest = sorted(self._versions, key=lambda version: (version.version_id != self._current, -version.version_id))
        kept = {version.version_id for version in newest[:room]}
        return [version for version in self._versions if version.version_id in kept]


def _same(one: ViewVersion, other: ViewVersion) -> bool:
    ignored = {"version_id", "timestamp_ms"}
    return one.model_dump(exclude=ignored) == other.model_dump(exclude=ignored)


def _dialects(versions: Sequence[ViewVersion], current: int) -> set[str]:
    found = next(version for version in versions if version.version_id == current)
    return {representation.root.dialect.lower() for representation in found.representations}


def _refuse_repeated_dialects(version: ViewVersion) -> None:
    if not version.representations:
        raise ValueError("Invalid view version: it has no query")
    seen: set[str] = set()
    for dialect in (representation.root.dialect.lower() for representation in version.representations):
        if dialect in seen:
            raise ValueError(f"Invalid view version: Cannot add multiple queries for dialect {dialect}")
        seen.add(dialect)


def _log_of(log: Sequence[ViewHistoryEntry], kept: set[int]) -> list[ViewHistoryEntry]:
    """History from where it is without gaps: an entry of a forgotten version hides all before it."""
    forgotten = [place for place, entry in enumerate(log) if entry.version_id not in kept]
    return list(log[forgotten[-1] + 1 :] if forgotten else log)
