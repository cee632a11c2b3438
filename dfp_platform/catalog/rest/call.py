"""One request, as the handlers see it: names decoded, a body parsed, a catalog at hand. No HTTP beyond this."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

from pyiceberg.exceptions import BadRequestError

from dfp_platform.catalog.lake_catalog import LakeCatalog
from dfp_platform.catalog.names import Identifier
from dfp_platform.catalog.rest.answers import Answer

LEVELS = "\x1f"
"""Joins the levels of a namespace in a path; a client sends it as ``%1F``."""


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        catalog: the tables at the ref that the prefix names.
        segments: the parts of the path that have names, still percent-encoded: ``/`` within a name is ``%2F`` there.
        query: parameters, decoded.
        headers: by lower-case name.
        body: bytes as they came.
        storage: properties that clients need to reach the warehouse, secrets among them.
    """

    catalog: LakeCatalog
    segments: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    storage: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def namespace(self) -> Identifier:
        """The namespace in the path."""
        return levels(unquote_plus(self.segments["namespace"]))

    @cached_property
    def identifier(self) -> Identifier:
        """The table or view in the path."""
        return (*self.namespace, unquote_plus(self.segments.get("table") or self.segments["view"]))

    @cached_property
    def document(self) -> dict[str, Any]:
        """The body, a JSON object. Raises BadRequestError."""
        try:
            found = json.loads(self.body, object_hook=_Document)
        except ValueError as error:
            raise BadRequestError(f"the body is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise BadRequestError("the body is no JSON object")
        return found

    def flag(self, name: str) -> bool:
        """Whether a parameter says ``true``."""
        return self.query.get(name, "").lower() == "true"


class _Document(dict[str, Any]):
    """A JSON object that says which of its fields is missing."""

    def __missing__(self, name: str) -> Any:
        raise BadRequestError(f"the request lacks {name!r}")


Handler = Callable[[Call], Answer]


def levels(text: str) -> Identifier:
    """The levels of a namespace, from their text with separators between."""
    return tuple(text.split(LEVELS))


def named(document: Any) -> Identifier:
    """The identifier that ``{"namespace": [...], "name": …}`` writes. Raises BadRequestError."""
    try:
        parts = (*document["namespace"], document["name"])
    except (TypeError, KeyError) as error:
        raise BadRequestError("an identifier is a JSON object with namespace and name") from error
    if not all(isinstance(part, str) for part in parts):
        raise BadRequestError("names are strings")
    return parts


def text_properties(found: Any) -> dict[str, str]:
    """Properties as strings; none where none are given. Raises BadRequestError."""
    if found is None:
        return {}
    if not isinstance(found, dict) or any(isinstance(value, dict | list) for value in found.values()):
        raise BadRequestError("properties are a JSON object of strings")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}
