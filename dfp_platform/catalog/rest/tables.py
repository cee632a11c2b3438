"""Tables over HTTP: made, staged, loaded, committed one by one or several at once, registered, renamed, dropped."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from pydantic import TypeAdapter
from pyiceberg.exceptions import BadRequestError, NoSuchTableError
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.table.update import AssertCreate, TableRequirement, TableUpdate

from dfp_platform.catalog.committing import TableChange
from dfp_platform.catalog.durable import make_folders
from dfp_platform.catalog.metadata_json import metadata_document
from dfp_platform.catalog.names import Identifier
from dfp_platform.catalog.resolving import UNASSIGNED
from dfp_platform.catalog.rest.answers import NO_CONTENT, Answer
from dfp_platform.catalog.rest.call import Call, named, text_properties
from dfp_platform.catalog.rest.credentials import credentials_for, table_config
from dfp_platform.catalog.rest.pages import paged

_LOG = logging.getLogger(__name__)

_UPDATES: TypeAdapter[tuple[TableUpdate, ...]] = TypeAdapter(tuple[TableUpdate, ...])
_REQUIREMENTS: TypeAdapter[tuple[TableRequirement, ...]] = TypeAdapter(tuple[TableRequirement, ...])


def list_tables(call: Call) -> Answer:
    """The tables of a namespace."""
    return paged(call, "identifiers", lambda catalog: catalog.list_tables(call.namespace), written)


def written(identifier: Identifier) -> dict[str, Any]:
    """An identifier as the specification writes it."""
    return {"namespace": list(identifier[:-1]), "name": identifier[-1]}


def create_table(call: Call) -> Answer:
    """A new table; staged, it is only thought out, and the client's first commit makes it."""
    asked = call.document
    name, schema = (*call.namespace, str(asked["name"])), Schema.model_validate(asked["schema"])
    spec, order = asked.get("partition-spec"), asked.get("write-order")
    make = call.catalog._create_staged_table if asked.get("stage-create") else call.catalog.create_table
    table = make(
        name,
        schema,
        location=asked.get("location"),
        partition_spec=_spec(spec) if spec else UNPARTITIONED_PARTITION_SPEC,
        sort_order=SortOrder.model_validate(order) if order else UNSORTED_SORT_ORDER,
        properties=text_properties(asked.get("properties")),
    )
    call.catalog.refuse_location(f"{table.metadata.location}/data")
    make_folders(table.metadata.location, table.io)
    location = None if asked.get("stage-create") else table.metadata_location
    return _loaded(call, metadata_document(table.metadata), location)


def load_table(call: Call) -> Answer:
    """The metadata of a table, with all its snapshots or only those that refs name."""
    pointer = call.catalog.pointer(call.identifier)
    snapshots = call.query.get("snapshots", "all")
    if snapshots not in ("all", "refs"):
        raise BadRequestError(f"snapshots is all or refs, not {snapshots!r}")
    shown = f"{pointer.metadata_location} {call.catalog.ref} {snapshots}"
    tag = f'"{hashlib.sha256(shown.encode()).hexdigest()[:32]}"'
    if call.headers.get("if-none-match") == tag:
        return Answer(304, headers={"ETag": tag})
    document = call.catalog.document(pointer)
    if snapshots == "refs":
        named_ids = {ref["snapshot-id"] for ref in (document.get("refs") or {}).values()}
        kept = [snapshot for snapshot in document.get("snapshots") or () if snapshot["snapshot-id"] in named_ids]
        document = {**document, "snapshots": kept}
    return _loaded(call, document, pointer.metadata_location, {"ETag": tag})


def load_credentials(call: Call) -> Answer:
    """What a client needs to read and write the files of a table."""
    table = call.catalog.load_table(call.identifier)
    return Answer(body={"storage-credentials": credentials_for(table.metadata.location, call.storage)})


def table_exists(call: Call) -> Answer:
    """204 or 404."""
    call.catalog.pointer(call.identifier)
    return NO_CONTENT


def commit_table(call: Call) -> Answer:
    """The next state of a table, or the first one of a staged table."""
    if "identifier" in call.document and named(call.document["identifier"]) != call.identifier:
        raise BadRequestError("the identifier in the body is another than in the path")
    change = _change(call, call.identifier, call.document)
    done = call.catalog.commit_tables([change])[0]
    return Answer(body={"metadata-location": done.metadata_location, "metadata": metadata_document(done.metadata)})


def commit_transaction(call: Call) -> Answer:
    """The next states of several tables, in one commit of the lake."""
    changes = [_change(call, named(one.get("identifier")), one) for one in call.document["table-changes"]]
    if not changes:
        raise BadRequestError("table-changes is empty")
    call.catalog.commit_tables(changes)
    return NO_CONTENT


def register_table(call: Call) -> Answer:
    """A table from a metadata file that is there."""
    name, location = (*call.namespace, str(call.document["name"])), str(call.document["metadata-location"])
    try:
        call.catalog.register_table(name, location, overwrite=bool(call.document.get("overwrite")))
    except FileNotFoundError as error:
        raise BadRequestError(f"no metadata file lies at {location}") from error
    pointer = call.catalog.pointer(name)
    return _loaded(call, call.catalog.document(pointer), pointer.metadata_location)


def rename_table(call: Call) -> Answer:
    """Another name, perhaps in another namespace."""
    call.catalog.rename_table(named(call.document.get("source")), named(call.document.get("destination")))
    return NO_CONTENT


def drop_table(call: Call) -> Answer:
    """Forget a table at this branch; files stay, as other refs may need them, until the lake's collection."""
    call.catalog.drop_table(call.identifier)
    return NO_CONTENT


def report_metrics(call: Call) -> Answer:
    """What a client measured: into the log."""
    _LOG.debug("metrics of %s: %s", call.identifier, call.document)
    return NO_CONTENT


def _loaded(
    call: Call, document: dict[str, Any], location: str | None, headers: dict[str, str] | None = None
) -> Answer:
    body: dict[str, Any] = {"metadata-location": location} if location else {}
    body |= {"metadata": document, "config": table_config(call.storage)}
    if "vended-credentials" in call.headers.get("x-iceberg-access-delegation", ""):
        body["storage-credentials"] = credentials_for(document["location"], call.storage)
    return Answer(body=body, headers=headers or {})


def _change(call: Call, identifier: Identifier, asked: dict[str, Any]) -> TableChange:
    requirements = _REQUIREMENTS.validate_python(asked.get("requirements") or ())
    updates = _UPDATES.validate_python([_kept_whole(update) for update in asked.get("updates") or ()])
    created = any(isinstance(requirement, AssertCreate) for requirement in requirements)
    if not created and not call.catalog.table_exists(identifier):
        raise NoSuchTableError(f"Table does not exist: {'.'.join(identifier)} (at {call.catalog.ref})")
    return TableChange(identifier, requirements, updates)


def _kept_whole(update: Any) -> Any:
    """An update as pyiceberg's models take it. Raises BadRequestError: they would lose a part of it."""
    if not isinstance(update, dict):
        raise BadRequestError("an update is a JSON object")
    if update.get("action") == "add-spec":
        return {**update, "spec": _spec(update["spec"])}
    if update.get("action") == "add-snapshot" and "key-id" in update["snapshot"]:
        raise BadRequestError("encrypted tables cannot be kept here: the snapshot names a key")
    return update


def _spec(document: dict[str, Any]) -> PartitionSpec:
    """A partition spec whose fields may still want their ids."""
    fields = [{**field, "field-id": field.get("field-id", UNASSIGNED)} for field in document["fields"]]
    return PartitionSpec.model_validate({**document, "fields": fields})
