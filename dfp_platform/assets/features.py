"""features/: one vector per app, registered with Feast and served online from versions that are switched."""

import json
from collections.abc import Mapping
from contextlib import closing

import dagster as dg

from dfp_platform.assets.freshness import freshness
from dfp_platform.features.registry import CODE_VERSION
from dfp_platform.publishing.automation import when_published
from dfp_platform.resources.checks import asset_check
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings


@dg.asset(
    key=["features", "registry"],
    deps=[["tables", "marts", "fct_training_dataset"]],
    io_manager_key="registry",
    group_name="features",
    code_version=CODE_VERSION,
    automation_condition=when_published(),
    kinds={"feast"},
)
def registry(lake: LakeResource) -> Mapping[str, bytes]:
    """Feast's registry for the training table of this branch: entities, views and services, and no time of writing."""
    from dfp_platform.features import apply

    return {"registry.pb": apply(lake.store, lake.ref)}


@dg.asset(
    key=["features", "online"],
    deps=[["features", "registry"], ["tables", "marts", "fct_training_dataset"]],
    io_manager_key="report",
    group_name="features",
    code_version="2",
    freshness_policy=freshness(),
    automation_condition=when_published(),
    kinds={"feast"},
)
def online(context: dg.AssetExecutionContext, lake: LakeResource) -> Mapping[str, bytes]:
    """The vectors as one online version, which nobody reads until publication switches to it."""
    from dfp_platform.features import open_keeper

    with closing(open_keeper(settings())) as keeper:
        written = keeper.materialize(lake.store, lake.ref)
    context.add_output_metadata({"dagster/row_count": written.rows, "version": written.version})
    told = {"version": written.version, "rows": written.rows, "schema_hash": written.schema_hash}
    return {"report.json": json.dumps(told, sort_keys=True).encode()}


@asset_check(asset=["features", "online"], name="served_equals_trained", blocking=True)
def served_equals_trained(lake: LakeResource) -> dg.AssetCheckResult:
    """What would be served is, bit for bit, what models are trained on."""
    from dfp_platform.features import open_keeper
    from dfp_platform.features import served_equals_trained as compare

    version = json.loads(lake.store.read(lake.ref, "features/online/report.json"))["version"]
    with closing(open_keeper(settings())) as keeper:
        found = compare(keeper, lake.store, lake.ref, version, seed=settings().seed)
    metadata = {
        "figure": float(found.differing),
        "limit": 0.0,
        "unit": "apps served otherwise",
        "apps compared": found.checked,
    }
    return dg.AssetCheckResult(passed=found.passed, metadata=metadata)


assets = [registry, online]
checks = [served_equals_trained]
