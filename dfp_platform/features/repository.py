"""The Feast repository: what `feast apply` registers. Definitions are a function of the feature names alone."""

from __future__ import annotations

import importlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from dfp_platform.models.data import feature_schema_hash

PROJECT = "dfp"
ENTITY = "app"
KEY = "sha256"
TABLE = "marts.fct_training_dataset"
"""The Iceberg table that features are read from."""

EVENT_TIME = "highest_date"
"""When an app's features were true: its newest file date, taken as midnight UTC."""

VECTOR = "vector"
SERVICE = "malware_model"

VIEWS: Mapping[str, str] = {"real_device": "app_vector"}
"""The feature view of each device. One app may have been run on both, so a view holds one device's rows only; the
emulator gets a view of its own by one more line here."""

NAMES_TAG, HASH_TAG = "feature_names", "schema_hash"


def import_feast() -> Any:
    """Feast, without what its import leaves in the environment, in the filters of warnings and on the screen.

    At import it makes a temporary folder for Prometheus and names it in two variables. Our child processes would
    inherit the name of a folder that goes with this process, and prometheus_client would keep every metric there.
    """
    untouched = [name for name in _PROMETHEUS if name not in os.environ]
    with warnings.catch_warnings():  # Feast's own filters, put first at import, go with it
        warnings.simplefilter("ignore", DeprecationWarning)  # of sqlglotrs, which ibis brings; not ours to mend
        importlib.import_module("ibis")  # before Feast's filters hide ours
        importlib.import_module("prometheus_client")  # before the variables are there: it keeps its values in memory
        feast = importlib.import_module("feast")
    for name in untouched:
        os.environ.pop(name, None)
    return feast


_PROMETHEUS = ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR")


def definitions(features: Sequence[str]) -> list[Any]:
    """The entity, one feature view a device, and the feature service of the models.

    The ordered names of the vector's elements and their hash are tags of view and service, so that a registry tells by
    itself which number means what.

    Args:
        features: feature columns in the training table's order.
    """
    import_feast()
    from feast import Entity, FeatureService, ValueType

    entity = Entity(
        name=ENTITY,
        join_keys=[KEY],
        value_type=ValueType.STRING,
        description="One Android app, by the SHA-256 of its APK: package names repeat, digests do not.",
    )
    views = [_view(entity, device, name, features) for device, name in VIEWS.items()]
    service = FeatureService(
        name=SERVICE,
        features=[views[0]],
        tags=_tags(features),
        description="What the malware models were trained on and are served.",
    )
    return [entity, *views, service]


def _view(entity: Any, device: str, name: str, features: Sequence[str]) -> Any:
    from feast import FeatureView, Field
    from feast.types import Array, Float32, String

    from dfp_platform.features.source import LakeSource

    return FeatureView(
        name=name,
        entities=[entity],
        schema=[Field(name=KEY, dtype=String), Field(name=VECTOR, dtype=Array(Float32))],
        source=LakeSource(name=f"{TABLE}.{device}", table=TABLE, device=device, features=features),
        tags={**_tags(features), "device": device},
        description=f"{len(features)} counts and flags of an app on the {device.replace('_', ' ')}, as float32.",
    )


def _tags(features: Sequence[str]) -> dict[str, str]:
    return {HASH_TAG: feature_schema_hash(features), NAMES_TAG: json.dumps(list(features), separators=(",", ":"))}
