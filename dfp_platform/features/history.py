"""Features as they were: point-in-time reads through Feast's offline store at a ref of the lake."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import InputError
from dfp_platform.features.registry import open_store
from dfp_platform.features.repository import ALL, VECTOR
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    import pyarrow as pa

EVERYTHING = (f"{ALL}:{VECTOR}",)


def historical(
    lake: Lake, ref: str, entity_rows: pa.Table | str | None = None, *, features: str | Sequence[str] = EVERYTHING
) -> pa.Table:
    """What was known of each asked app at the asked moment, read through Feast at `ref`.

    Args:
        entity_rows: columns ``sha256`` and ``event_timestamp`` (a date or timestamp; without a zone it is UTC), further
            columns come back as they are; or a query over the tables at `ref` that gives such rows. Every app at each
            of its own times unless given.
        features: references such as ``app_dynamic:vector`` or ``app_static:app_activities``, or the name of a feature
            service.
    Returns:
        The entity rows, in their order, and a column for each feature (a vector is a list of float32): null where
        nothing was known yet, NaN where a value is unknown.
    Raises:
        NotFoundError: the registry or the training table is not at `ref`.
        InputError: there is no such column, feature or service.
    """
    store: Any = open_store(lake, lake.resolve(ref))
    asked = _service(store, features) if isinstance(features, str) else _registered(store, features)
    return store.get_historical_features(entity_df=entity_rows, features=asked).to_arrow()


def _service(store: Any, name: str) -> Any:
    services = {service.name: service for service in store.list_feature_services()}
    if name not in services:
        raise InputError(f"there is no feature service {name!r}", hint="there are: " + ", ".join(sorted(services)))
    return services[name]


def _registered(store: Any, references: Sequence[str]) -> list[str]:
    known = [f"{view.name}:{field.name}" for view in store.list_feature_views() for field in view.features]
    for reference in references:
        if reference not in known:
            near = get_close_matches(reference, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "write view:feature, as in app_all:vector"
            raise InputError(f"there is no feature {reference}", hint=hint, column=reference)
    return list(references)
