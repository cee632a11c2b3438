"""Namespaces over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

from pyiceberg.catalog import LOCATION

from dfp_platform.catalog.rest.answers import NO_CONTENT, Answer
from dfp_platform.catalog.rest.call import LEVELS, Call, levels, text_properties
from dfp_platform.catalog.rest.pages import paged


def list_namespaces(call: Call) -> Answer:
    """The namespaces directly within one, or the outermost ones."""
    parent = _parent(call.query.get("parent", ""))
    return paged(call, "namespaces", lambda catalog: catalog.list_namespaces(parent), list)


def create_namespace(call: Call) -> Answer:
    """A new namespace with its properties; what is above it need not be there."""
    name, properties = tuple(call.document["namespace"]), text_properties(call.document.get("properties"))
    call.catalog.create_namespace(name, properties)
    return Answer(body={"namespace": list(name), "properties": properties})


def load_namespace(call: Call) -> Answer:
    """The properties of a namespace, and where its tables lie: Trino makes none where nobody says so."""
    found = {LOCATION: call.catalog.namespace_location(call.namespace)}
    found |= call.catalog.load_namespace_properties(call.namespace)
    return Answer(body={"namespace": list(call.namespace), "properties": found})


def namespace_exists(call: Call) -> Answer:
    """204 or 404."""
    call.catalog.require_namespace(call.catalog.head(), call.namespace)
    return NO_CONTENT


def drop_namespace(call: Call) -> Answer:
    """Forget a namespace with nothing in it."""
    call.catalog.drop_namespace(call.namespace)
    return NO_CONTENT


def update_properties(call: Call) -> Answer:
    """Set and remove properties of a namespace."""
    removals = set(call.document.get("removals") or ())
    updates: dict[str, Any] = text_properties(call.document.get("updates"))
    done = call.catalog.update_namespace_properties(call.namespace, removals, updates)
    return Answer(body={"updated": done.updated, "removed": done.removed, "missing": done.missing})


def _parent(told: str) -> tuple[str, ...]:
    """Some clients encode this parameter once, some twice."""
    if not told:
        return ()
    return levels(told if LEVELS in told or "%1F" not in told.upper() else unquote_plus(told))
