"""models/champions: which version of each model reigns."""

from collections.abc import Callable, Mapping
from functools import cache

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import every_choice
from dfp_platform.assets.models import TRAINING
from dfp_platform.assets.plots import champion_plot
from dfp_platform.models.champions import Reign, crowned
from dfp_platform.resources.checks import asset_check
from dfp_platform.resources.lake import LakeResource
from dfp_platform.serving.versions import files_of, reign_at, trained_models
from dfp_platform.settings import settings


@dg.asset(
    key=["models", "champions"],
    ins=TRAINING,
    deps=[["models", name] for name in every_choice()],
    io_manager_key="champions",
    group_name="models",
    code_version="1",
    kinds={"python"},
)
def champions(
    context: dg.AssetExecutionContext, lake: LakeResource, dataset: pa.Table, places: pa.Table
) -> Mapping[str, bytes]:
    """Who reigns over each model, and why: the first version, then whichever is better by more than the interval."""
    from dfp_platform.models.data import placed

    table = cache(lambda: placed(dataset, places))
    reigns = {name: _reign(lake, name, table) for name in trained_models(lake.store, lake.ref)}
    context.add_output_metadata(champion_plot(reigns.values()))
    context.add_output_metadata({f"{name} reigns": reign.reason for name, reign in reigns.items()})
    return {f"{name}.json": reign.to_json() for name, reign in reigns.items()}


@asset_check(asset=["models", "champions"], name="published_versions_reign")
def published_versions_reign(records: Mapping[str, bytes]) -> dg.AssetCheckResult:
    """Every version that is published is better than all before it by more than the interval, or the first."""
    beside = [reign for reign in map(Reign.from_json, records.values()) if reign.challenger is not None]
    lows = [told.difference.low for reign in beside if (told := reign.challenger) is not None and told.difference]
    return dg.AssetCheckResult(
        passed=not beside,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{reign.model}: {reign.challenger.reason}" for reign in beside if reign.challenger),
        metadata={
            **({"figure": min(lows), "limit": 0.0} if lows else {}),
            "unit": "lower end of the interval by which a version is better",
        },
    )


def _reign(lake: LakeResource, name: str, table: Callable[[], pa.Table]) -> Reign:
    from dfp_platform.models.comparison import Difference, compare
    from dfp_platform.models.evaluation import RESAMPLES
    from dfp_platform.models.weights import load_model

    store, ref = lake.store, lake.ref
    reign, content = reign_at(store, ref, name), lake.content(f"models/{name}")

    def compared() -> Difference | None:
        assert reign is not None
        reigning, candidate = (files_of(store, ref, name, each) for each in (reign.content, content))
        if reigning is None or candidate is None:
            return None
        return compare(load_model(reigning), load_model(candidate), table(), resamples=RESAMPLES, seed=settings().seed)

    made = store.provenance(ref, f"models/{name}/card.json").time
    return crowned(reign, model=name, content=content, made=made, compare=compared)


assets = [champions]
checks = [published_versions_reign]
