"""What every check says beside its verdict: commit, words, tables, charts; and the page of their history."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pytest

from dfp_platform.assets.checks import checks_report
from dfp_platform.assets.choices import CHECKS_REPORT, DRIFT_REPORT
from dfp_platform.definitions import defs
from dfp_platform.lake import Lake, open_lake
from dfp_platform.reports.check_page import render_checks, verdict
from dfp_platform.resources.checks import COLUMNS, LETTERS, PLOT, ROWS, asset_check, completed, in_words, sample
from dfp_platform.resources.dagster_internals import path_of
from dfp_platform.resources.dagster_judging import DescribedCheck, described_checks
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.verdicts import publications, verdict_path
from dfp_platform.schemas import CommitId, Verdict
from dfp_platform.sensors.jobs import MONITOR
from tests.check_results import named, table

ASSET, CHECK = "reports/a", "a_is_good"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def publish(lake: Lake, figure: float, *, passed: bool = True, check: str = CHECK, **more: bytes) -> CommitId:
    """A publication of a run that says this of the asset."""
    said = json.dumps(asdict(Verdict(ASSET, check, "c", passed, figure, 0.5)), sort_keys=True).encode()
    changes = {verdict_path(ASSET, check): said, f"{ASSET}/report.json": f"{figure}".encode(), **more}
    return lake.commit("main", changes, message="publish run r", metadata={"run": "r", "published": "[]"})


def judged(lake: Lake, **metadata: object) -> dg.AssetCheckResult:
    return completed(
        LakeResource(address=lake.uri), dg.AssetCheckResult(passed=True, metadata=metadata), asset=ASSET, check=CHECK
    )


def test_what_a_check_says_names_the_commit_it_judged_and_not_a_runs_marker(lake: Lake) -> None:
    head = publish(lake, 0.1)
    assert judged(lake).metadata["lake/commit"].value == head
    lake.commit("main", {"_run/owner": b"{}"}, message="run begins")
    assert judged(lake).metadata["lake/commit"].value == head


def test_the_sentence_tells_what_was_measured(lake: Lake) -> None:
    assert judged(lake, figure=0.25, limit=0.5, unit="share of apps").description == "Share of apps: 0.25, limit 0.5"
    assert judged(lake, figure=3).description == "Figure: 3"
    assert judged(lake).description is None
    assert in_words(2_000.0, None, "apps") == "Apps: 2000"


def test_a_flat_object_becomes_a_table_and_what_is_empty_is_left_out(lake: Lake) -> None:
    said = judged(lake, worst={"perm_f1": 5.9, "sys_f0": 0.3}, nothing={}, nested={"a": {"b": 1}}, text="as it is")
    assert named(said, "worst") == {"perm_f1": 5.9, "sys_f0": 0.3}
    assert "nothing" not in said.metadata
    assert isinstance(said.metadata["nested"], dg.JsonMetadataValue)
    assert said.metadata["text"].value == "as it is"


def test_a_sample_is_bounded_in_rows_columns_and_letters() -> None:
    shown = sample({f"column {at}": "x" * 1_000 for at in range(50)} for _ in range(1_000))
    assert shown is not None
    assert len(shown.records) == ROWS
    assert {len(row.data) for row in shown.records} == {COLUMNS}
    assert {len(str(cell)) for row in shown.records for cell in row.data.values()} == {LETTERS}
    assert sample([]) is None


def test_the_chart_shows_the_figure_over_publications_and_is_small(lake: Lake) -> None:
    for figure in (0.1, 0.2, 0.45):
        publish(lake, figure)
    chart = str(judged(lake, figure=0.3, limit=0.5).metadata[PLOT].value)
    assert chart.startswith("![a_is_good over publications](data:image/svg+xml;base64,")
    assert len(chart) < 20_000
    assert chart != judged(lake, figure=0.9, limit=0.5).metadata[PLOT].value
    assert PLOT not in judged(lake).metadata


def test_a_check_that_never_found_anything_has_no_chart(lake: Lake) -> None:
    publish(lake, 0.0)
    assert PLOT not in judged(lake, figure=0.0, limit=0.0).metadata
    publish(lake, 2.0, passed=False)
    assert PLOT in judged(lake, figure=0.0, limit=0.0).metadata


def test_the_decorator_adds_the_lake_to_a_function_that_asks_for_none_and_runs_in_dagster(lake: Lake) -> None:
    head = publish(lake, 0.1)

    @dg.asset(key=["reports", "a"])
    def made() -> int:
        return 7

    @asset_check(asset=["reports", "a"], name="is_seven")
    def is_seven(value: int) -> dg.AssetCheckResult:
        """It is seven."""
        return dg.AssetCheckResult(passed=value == 7, metadata={"figure": float(value), "unit": "sevens"})

    @asset_check(asset=["reports", "a"], name="sees_the_lake", description="It is there.")
    def sees_the_lake(lake: LakeResource) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=lake.store.exists("main", f"{ASSET}/report.json"))

    assert [spec.description for check in (is_seven, sees_the_lake) for spec in check.check_specs] == [
        "It is seven.",
        "It is there.",
    ]
    resources = {"lake": LakeResource(address=lake.uri)}
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([made, is_seven, sees_the_lake], resources=resources, instance=instance)
    said = {each.check_name: each for each in run.get_asset_check_evaluations()}
    assert {name: each.passed for name, each in said.items()} == {"is_seven": True, "sees_the_lake": True}
    assert {each.metadata["lake/commit"].value for each in said.values()} == {head}
    assert said["is_seven"].description == "Sevens: 7"


def test_every_check_of_the_code_location_is_described() -> None:
    described = described_checks(defs.resolve_asset_graph())
    assert len(described) > 100
    assert [name for name, told in described.items() if len(told.description) < 10] == []
    unique = described["tables/staging/stg_kronodroid__emulator", "unique_stg_kronodroid__emulator_sha256"]
    assert unique == DescribedCheck("No value of sha256 is there twice.", True)
    family = next(told for (_, check), told in described.items() if check.startswith("relationships_fct_malware"))
    assert family.description == "Every mal_family is a mal_family of dim_malware_families, where malware = 1."
    over_two = described["tables/marts/split_index", "past_is_older_than_future"]
    assert over_two.blocking
    assert over_two.description.startswith("Nothing is found: one row for each device on which")


def test_publications_are_those_that_changed_a_verdict_and_publishing_the_page_changes_nothing(lake: Lake) -> None:
    first = publish(lake, 0.1)
    lake.commit("main", {"raw/x/part.parquet": b"rows"}, message="no verdict")
    second = publish(lake, 0.7, passed=False)
    found = publications(lake, "main", most=10, without="reports/checks")
    assert [one.commit for one in found] == [first, second]
    assert [one.verdicts[ASSET, CHECK].figure for one in found] == [0.1, 0.7]
    page = {"reports/checks/index.html": b"page", "checks/reports/checks/own": b"{}"}
    lake.commit("main", page, message="publish the page")
    assert publications(lake, "main", most=10, without="reports/checks") == found
    assert [one.commit for one in publications(lake, "main", most=1, without="reports/checks")] == [second]


def test_a_verdict_of_another_version_is_left_out_and_breaks_nothing(lake: Lake) -> None:
    publish(lake, 0.1, **{verdict_path(ASSET, "later"): b'{"asset": "reports/a", "score": 3}'})
    [found] = publications(lake, "main", most=10)
    assert set(found.verdicts) == {(ASSET, CHECK)}


def test_the_history_of_a_branch_is_that_of_its_own_commits_not_of_runs(lake: Lake) -> None:
    publish(lake, 0.1)
    lake.create_branch("run-1")
    said = json.dumps(asdict(Verdict(ASSET, CHECK, "c", True, 0.2, 0.5)), sort_keys=True).encode()
    lake.commit("run-1", {verdict_path(ASSET, CHECK): said}, message="verdicts of run 1")
    lake.commit("run-1", {f"{ASSET}/more.json": b"1"}, message="work")
    merged = lake.merge("run-1", message="publish run 1", metadata={"run": "1"})
    found = publications(lake, "main", most=10)
    assert [one.commit for one in found][-1] == merged
    assert len(found) == 2


def test_the_page_shows_what_fails_first_with_figure_limit_commit_and_history(lake: Lake) -> None:
    publish(lake, 0.1)
    publish(lake, 0.2, check="another")
    publish(lake, 0.7, passed=False)
    found = publications(lake, "main", most=10)
    written = {name: lake.provenance("main", verdict_path(*name)) for name in found[-1].verdicts}
    described = {
        (ASSET, CHECK): DescribedCheck("It is <good>.", False),
        ("models/b", "waits"): DescribedCheck("", True),
    }
    report = checks_report(found, described, written, synthetic=True)
    assert report["waiting"] == [{"asset": "models/b", "check": "waits"}]
    failing = next(one for one in report["checks"] if one["check"] == CHECK)
    assert (failing["passed"], failing["figure"], failing["limit"], failing["run"]) == (False, 0.7, 0.5, "r")
    assert failing["commit"] == lake.resolve("main")
    assert [past and past["figure"] for past in failing["history"]] == [0.1, 0.1, 0.7]
    other = next(one for one in report["checks"] if one["check"] == "another")
    assert [past is None for past in other["history"]] == [True, False, False]
    assert verdict(report) == f"1 of 2 checks of what is published pass; not {CHECK} of {ASSET}."
    page = render_checks(report)
    assert page == render_checks(json.loads(json.dumps(report)))
    assert b"It is &lt;good&gt;." in page
    assert b"Synthetic data" in page
    assert page.count(b'class="failed"') >= 1
    assert failing["commit"][:12].encode() in page


def test_a_lake_without_a_verdict_has_a_page_that_says_so(lake: Lake) -> None:
    report = checks_report(publications(lake, "main", most=10), {}, {}, synthetic=False)
    assert b"No check has judged anything" in render_checks(report)


def test_rows_of_a_table_in_metadata_read_back(lake: Lake) -> None:
    shown = sample([{"sha256": "ab", "value": None, "share": 0.5}])
    assert table(judged(lake, rows=shown), "rows") == [{"sha256": "ab", "value": "", "share": 0.5}]


def test_the_daily_job_makes_drift_and_the_page_of_checks() -> None:
    made = {path_of(key) for key in defs.resolve_job_def(MONITOR).asset_layer.executable_asset_keys}
    assert {DRIFT_REPORT, CHECKS_REPORT} <= made
