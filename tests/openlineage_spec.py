"""What the OpenLineage specification (2-0-2) wants of an event, as far as dfp sends any: for receivers in tests.

Facets are built anew by the client's own classes, which know the fields of each; the rest is written down here.
"""

from __future__ import annotations

import importlib
import pkgutil
from datetime import datetime
from typing import Any
from urllib.parse import urlparse
from uuid import UUID

import attr
from openlineage.client import generated

STATES = {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}


def _classes() -> dict[str, Any]:
    """The client's class of each schema, by the schema's address."""
    modules = [
        importlib.import_module(f"{generated.__name__}.{found.name}")
        for found in pkgutil.iter_modules(generated.__path__)
    ]
    every = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return {kind._get_schema(): kind for kind in every if attr.has(kind) and hasattr(kind, "_get_schema")}


CLASSES = _classes()


def validate(event: dict[str, Any]) -> None:
    """Raise AssertionError: an event that the specification does not allow."""
    assert set(event) <= {"eventType", "eventTime", "run", "job", "inputs", "outputs", "producer", "schemaURL"}
    assert event["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
    assert event["eventType"] in STATES
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert urlparse(event["producer"]).scheme, "an URI"
    UUID(event["run"]["runId"])
    _facets(event["run"].get("facets", {}))
    _named(event["job"])
    for name, own in (("inputs", "inputFacets"), ("outputs", "outputFacets")):
        for dataset in event.get(name, []):
            assert set(dataset) <= {"namespace", "name", "facets", own}
            _named(dataset)
            _facets(dataset.get(own, {}))


def _named(thing: dict[str, Any]) -> None:
    assert thing["namespace"]
    assert thing["name"]
    _facets(thing.get("facets", {}))


def _facets(facets: dict[str, Any]) -> None:
    for facet in facets.values():
        assert urlparse(facet["_producer"]).scheme
        _filled(facet, CLASSES[facet["_schemaURL"]])


def _filled(told: dict[str, Any], kind: Any) -> None:
    """A facet has every field that its class demands, none that it does not know, and texts where it wants texts."""
    fields = {field.name: field for field in attr.fields(kind)}
    assert set(told) <= set(fields), f"{kind.__name__} knows no {set(told) - set(fields)}"
    for name, field in fields.items():
        if field.default is attr.NOTHING:
            assert told.get(name) is not None, f"{kind.__name__} wants {name}"
        if field.type in ("str", "str | None") and name in told:
            assert isinstance(told[name], str), f"{kind.__name__}.{name} is a text"
        if field.type in ("int | None",) and name in told:
            assert isinstance(told[name], int), f"{kind.__name__}.{name} is a number"
