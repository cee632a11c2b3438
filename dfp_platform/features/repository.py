"""The Feast repository: what `feast apply` registers. Definitions are a function of the feature names alone."""

from __future__ import annotations

import importlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from dfp_platform.errors import InputError
from dfp_platform.models.configs import MODELS
from dfp_platform.models.data import feature_schema_hash
from dfp_platform.schemas import FEATURE_PREFIXES

PROJECT = "dfp"
ENTITY = "app"
KEY = "sha256"
TABLE = "marts.fct_training_dataset"
"""The Iceberg table that features are read from."""

EVENT_TIME = "highest_date"
"""When an app's features were true: its newest file date, taken as midnight UTC."""

VECTOR = "vector"
SERVICE = "malware_model"
PUSH = "app_push"
"""The push source through which values of one app come in between two publications."""

DEVICE = "real_device"
"""Whose rows the views hold: one app may have been run on both devices, so ``sha256`` is a key within one only."""

ALL = "app_all"
"""The view whose vector is stored online; what the others serve are elements of it."""

VIEWS: Mapping[str, tuple[str, ...]] = {
    "app_static": ("perm_", "app_"),
    "app_dynamic": ("sys_",),
    ALL: FEATURE_PREFIXES,
}
"""The feature views, and the prefixes of the columns in each."""

NAMES_TAG, HASH_TAG = "feature_names", "schema_hash"

_OWNER = "dfp"
_ABOUT = {
    "app_static": "What stands in an app's APK: {0} permissions and counts, as float32.",
    "app_dynamic": "What an app did while it ran on a real device: {0} counts of system calls, as float32.",
    ALL: "Everything known of an app on the real device: {0} counts and flags, as float32.",
}


def columns_of(view: str, features: Sequence[str]) -> tuple[str, ...]:
    """The columns of a view, in the table's order: what the elements of its vector are.

    Args:
        features: the feature columns of the table, in its order.
    Raises:
        InputError: there is no such view.
    """
    if view not in VIEWS:
        raise InputError(f"there is no feature view {view!r}", hint="there are: " + ", ".join(VIEWS))
    return tuple(name for name in features if name.startswith(VIEWS[view]))


def positions(view: str, feature: str, features: Sequence[str]) -> tuple[int, ...]:
    """Which elements of the stored vector (that of `ALL`) make a feature of a view: one, or for ``vector`` all of it.

    Args:
        feature: ``vector``, or the name of a column of the view.
        features: the feature columns of the table, in its order: what the elements of the stored vector are.
    Raises:
        InputError: no such view, or no such feature in it.
    """
    columns = columns_of(view, features)
    wanted = set(columns if feature == VECTOR else [feature])
    if not wanted <= set(columns):
        near = get_close_matches(feature, columns, n=1)
        hint = f"did you mean {view}:{near[0]}?" if near else f"it has {VECTOR} and {len(columns)} columns"
        raise InputError(f"there is no feature {view}:{feature}", hint=hint, column=feature)
    return tuple(place for place, name in enumerate(features) if name in wanted)


def import_feast() -> Any:
    """Feast, without what its import leaves in the environment, in the filters of warnings and on the screen.

    At import it makes a temporary folder for Prometheus and names it in two variables. Our child processes would
    inherit the name of a folder that goes with this process, and prometheus_client would keep every metric there.
    """
    untouched = [name for name in _PROMETHEUS if name not in os.environ]
    with warnings.catch_warnings():  # Feast's own filters, put first at import, go with it
        importlib.import_module("prometheus_client")  # before the variables are there: it keeps its values in memory
        feast = importlib.import_module("feast")
    for name in untouched:
        os.environ.pop(name, None)
    return feast


_PROMETHEUS = ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR")


def definitions(features: Sequence[str]) -> list[Any]:
    """The entity, the feature views with their sources, and the feature services of the models.

    A view has its columns twice: one by one (``app_dynamic:sys_read``), and as one ``vector`` in the table's order. The
    ordered names of the vector's elements and their hash are tags of view and service, so that a registry tells by
    itself which number means what. A view of which the table has no column is left out.

    Args:
        features: feature columns in the training table's order.
    """
    import_feast()
    from feast import Entity, ValueType

    entity = Entity(
        name=ENTITY,
        join_keys=[KEY],
        value_type=ValueType.STRING,
        description="One Android app, by the SHA-256 of its APK: package names repeat, digests do not.",
        owner=_OWNER,
        tags={"table": TABLE},
    )
    columns = {view: columns_of(view, features) for view in VIEWS}
    views = {view: _view(entity, view, held) for view, held in columns.items() if held}
    pushed = views[ALL].stream_source
    return [entity, pushed, *views.values(), *_services(views[ALL], features)]


def _view(entity: Any, name: str, columns: Sequence[str]) -> Any:
    from feast import FeatureView, Field, PushSource
    from feast.types import Array, Float32, String

    from dfp_platform.features.source import LakeSource

    told = {"description": _ABOUT[name].format(len(columns)), "owner": _OWNER}
    tags = {"device": DEVICE, "table": TABLE}
    source: Any = LakeSource(name=f"{TABLE}.{name}", table=TABLE, device=DEVICE, features=columns, tags=tags, **told)
    if name == ALL:
        about = "Values of single apps, as they come; what is newer by event time stays."
        source = PushSource(name=PUSH, batch_source=source, description=about, owner=_OWNER, tags=tags)
    fields = [Field(name=column, dtype=Float32) for column in columns]
    return FeatureView(
        name=name,
        entities=[entity],
        schema=[Field(name=KEY, dtype=String), Field(name=VECTOR, dtype=Array(Float32)), *fields],
        source=source,
        tags={**_tags(columns), **tags},
        **told,
    )


def _services(view: Any, features: Sequence[str]) -> list[Any]:
    """One service for models of any kind, and one for each kind: the vector alone, as a model reads nothing else."""
    from feast import FeatureService

    told = {SERVICE: "What the malware models were trained on and are served."}
    told |= {kind: f"What models of the kind {kind} were trained on and are served." for kind in MODELS}
    tags = _tags(features)
    return [
        FeatureService(name=name, features=[view[[VECTOR]]], tags=tags, description=about, owner=_OWNER)
        for name, about in told.items()
    ]


def _tags(features: Sequence[str]) -> dict[str, str]:
    return {HASH_TAG: feature_schema_hash(features), NAMES_TAG: json.dumps(list(features), separators=(",", ":"))}
