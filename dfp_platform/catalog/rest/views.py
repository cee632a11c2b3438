"""Views over HTTP."""

from __future__ import annotations

import json
from typing import Any

from pyiceberg.exceptions import BadRequestError
from pyiceberg.schema import Schema
from pyiceberg.view.metadata import ViewMetadata, ViewVersion

from dfp_platform.catalog.rest.answers import NO_CONTENT, Answer
from dfp_platform.catalog.rest.call import Call, named, text_properties
from dfp_platform.catalog.rest.pages import paged
from dfp_platform.catalog.rest.tables import written


def list_views(call: Call) -> Answer:
    """The views of a namespace."""
    return paged(call, "identifiers", lambda catalog: catalog.list_views(call.namespace), written)


def create_view(call: Call) -> Answer:
    """A new view."""
    asked = call.document
    name = (*call.namespace, str(asked["name"]))
    call.catalog.create_view(
        name,
        Schema.model_validate(asked["schema"]),
        ViewVersion.model_validate(asked["view-version"]),
        location=asked.get("location"),
        properties=text_properties(asked.get("properties")),
    )
    return _load(call, name)


def load_view(call: Call) -> Answer:
    """The metadata of a view."""
    return _load(call, call.identifier)


def view_exists(call: Call) -> Answer:
    """204 or 404."""
    call.catalog.loaded_view(call.identifier)
    return NO_CONTENT


def replace_view(call: Call) -> Answer:
    """The next state of a view."""
    requirements, updates = call.document.get("requirements") or [], call.document.get("updates") or []
    if not all(isinstance(one, dict) for one in (*requirements, *updates)):
        raise BadRequestError("requirements and updates are JSON objects")
    pointer, metadata = call.catalog.commit_view(call.identifier, requirements, updates)
    return _answer(pointer.metadata_location, metadata)


def register_view(call: Call) -> Answer:
    """A view from a metadata file that is there."""
    name, location = (*call.namespace, str(call.document["name"])), str(call.document["metadata-location"])
    try:
        call.catalog.register_view(name, location)
    except FileNotFoundError as error:
        raise BadRequestError(f"no metadata file lies at {location}") from error
    return _load(call, name)


def rename_view(call: Call) -> Answer:
    """Another name, perhaps in another namespace."""
    call.catalog.rename_view(named(call.document.get("source")), named(call.document.get("destination")))
    return NO_CONTENT


def drop_view(call: Call) -> Answer:
    """Forget a view."""
    call.catalog.drop_view(call.identifier)
    return NO_CONTENT


def _load(call: Call, name: tuple[str, ...]) -> Answer:
    pointer, view = call.catalog.loaded_view(name)
    return _answer(pointer.metadata_location, view.metadata)


def _answer(location: str, metadata: ViewMetadata) -> Answer:
    document: dict[str, Any] = json.loads(metadata.model_dump_json())
    return Answer(body={"metadata-location": location, "metadata": document, "config": {}})
