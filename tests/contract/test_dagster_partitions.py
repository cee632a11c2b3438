"""What `resources/dagster_partitions.py` takes from the pinned Dagster that is not its public interface."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dfp_platform.resources import dagster_internals as internals
from dfp_platform.resources import dagster_partitions as partitions
from dfp_platform.resources.dagster_internals import ASSET_JOB, path_of, project_instance
from dfp_platform.resources.dagster_launching import launch_here
from dfp_platform.resources.dagster_partitions import Span
from dfp_platform.settings import PROJECT_ROOT

MONTHS = dg.MonthlyPartitionsDefinition("2012-01-01", end_date="2012-07-01")
SEEN: dict[str, object] = {}


@dg.multi_asset(
    specs=[
        dg.AssetSpec(["t", "whole"], skippable=True),
        dg.AssetSpec(["t", "parted"], skippable=True, partitions_def=MONTHS),
    ],
    check_specs=[dg.AssetCheckSpec("judged", asset=["t", "parted"])],
    can_subset=True,
)
def both(context: dg.AssetExecutionContext) -> Iterator[object]:
    """One step with two assets, of which one is partitioned; as the step of dbt."""
    span = SEEN["span"] = partitions.span_of(context.run)
    SEEN["parted"] = [path_of(key) for key in context.selected_asset_keys if partitions.partitions_of(context, key)]
    stated = {"code_version": "1", "inputs": {}, "metadata": {"lake/content": "all of it"}}
    for part in ("2012-02-01", "2012-03-01"):
        if span and part in span:
            yield internals.materialization("t/parted", content=f"{part}@1", partition=part, **stated)
    if span is None:
        yield internals.materialization("t/parted", content="all of it", **stated)
        yield internals.output_with_content("t__whole", metadata={}, content="whole@1")
    yield dg.AssetCheckResult(passed=True, asset_key=["t", "parted"], check_name="judged")


def defs() -> dg.Definitions:
    """The code location."""
    return dg.Definitions(assets=[both], executor=dg.in_process_executor)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    SEEN.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def launch(instance: dg.DagsterInstance, span: Span | None, *assets: str) -> str:
    ids: list[str] = []
    selection = [internals.key_of(asset) for asset in assets] or None
    tags = partitions.tags_of(span) if span else {}
    list(launch_here(instance, __name__, job=ASSET_JOB, selection=selection, tags=tags, on_start=ids.append))
    run = instance.get_run_by_id(ids[0])
    assert run is not None
    assert run.is_success
    return run.run_id


@pytest.mark.parametrize("span", [Span("2012-02-01", "2012-02-01"), Span("2012-02-01", "2012-03-01")])
def test_a_run_of_partitions_knows_them_and_tells_the_page_of_each(instance: dg.DagsterInstance, span: Span) -> None:
    run_id = launch(instance, span, "t/parted")
    assert {"span": span, "parted": ["t/parted"]} == SEEN
    made = {part: f"{part}@1" for part in ("2012-02-01", "2012-03-01") if part in span}
    assert partitions.latest_partition_versions(instance, "t/parted") == made
    assert instance.get_materialized_partitions(internals.key_of("t/parted")) == set(made)
    [said] = internals.evaluations(instance, run_id)
    assert said.content == "all of it", "a check judges the table, not its last partition"


def test_a_run_without_partitions_makes_both_kinds_of_asset_and_speaks_of_the_whole(
    instance: dg.DagsterInstance,
) -> None:
    run_id = launch(instance, None)
    assert SEEN["span"] is None
    assert partitions.latest_partition_versions(instance, "t/parted") == {}
    shown = internals.latest_data_versions(instance, ["t/parted", "t/whole"])
    assert {asset: version for asset, (version, _) in shown.items()} == {"t/parted": "all of it", "t/whole": "whole@1"}
    [said] = internals.evaluations(instance, run_id)
    assert said.content == "all of it"


def test_the_page_of_an_asset_whose_partition_was_made_last_does_not_speak_of_the_whole(
    instance: dg.DagsterInstance,
) -> None:
    launch(instance, None)
    launch(instance, Span("2012-02-01", "2012-02-01"), "t/parted")
    assert set(internals.latest_data_versions(instance, ["t/parted", "t/whole"])) == {"t/whole"}


def test_the_graph_knows_which_assets_are_partitioned() -> None:
    assert internals.graph_of(defs().resolve_asset_graph()).partitioned == {"t/parted"}


def test_another_process_finds_the_same_records(tmp_path: Path) -> None:
    with project_instance(PROJECT_ROOT, tmp_path) as instance:
        assert partitions.latest_records(instance, ["t/parted"]) == {}
        launch(instance, Span("2012-02-01", "2012-03-01"), "t/parted")
        with partitions.instance_from_text(partitions.instance_to_text(instance)) as other:
            shown = partitions.latest_partition_versions(other, "t/parted")
            records = partitions.latest_records(other, ["t/parted", "t/whole"])
        assert shown == {"2012-02-01": "2012-02-01@1", "2012-03-01": "2012-03-01@1"}
        assert records == partitions.latest_records(instance, ["t/parted"])
        assert records["t/parted"] > 0
