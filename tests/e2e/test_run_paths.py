"""The ways people start runs, on the toy line: the `dagster` program, and the UI with its launcher over GraphQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from dfp_platform.catalog import content_at
from dfp_platform.lake.ownership import read_ownership, run_branch
from dfp_platform.publishing.publication import PUBLISHED_TAG
from dfp_platform.publishing.truth import ABSENT
from dfp_platform.publishing.workers import WORKER_TAG
from dfp_platform.resources.dagster_internals import failed_steps, project_instance
from dfp_platform.settings import PROJECT_ROOT, settings
from tests.e2e.conftest import end
from tests.local_servers import PATIENCE, free_port, until
from tests.toy_harness import ASSETS, Toy

LOCATION = "tests.toy_location"

LAUNCH = """mutation ($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
REEXECUTE = """mutation ($params: ReexecutionParams!) { launchPipelineReexecution(reexecutionParams: $params) {
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
TERMINATE = """mutation ($run: String!) {
    terminateRun(runId: $run, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename } }"""
PAGES = """query ($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) {
    assetKey { path } dataVersion staleStatus assetMaterializations(limit: 1) { runId } } }"""

pytestmark = [pytest.mark.timeout(700), pytest.mark.xdist_group("ui")]  # one server for all of them


def environment_for(root: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DFP_", "DAGSTER_", "KAGGLE_", "LAKEFS_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    ours = {"DFP_HOME": str(root / ".dfp"), "DAGSTER_HOME": str(root), "PYTHONPATH": str(PROJECT_ROOT)}
    return kept | ours | {"PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the `dagster.yaml` of the checkout: the state of one person."""
    root = tmp_path_factory.mktemp("person")
    shutil.copy(PROJECT_ROOT / "dagster.yaml", root)
    return root


@pytest.fixture(scope="module")
def toy(root: Path) -> Iterator[Toy]:
    """Lake and records of that person, seen from here."""
    home = root / ".dfp"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFP_HOME", str(home))
        settings.cache_clear()
        with project_instance(PROJECT_ROOT, home / "dagster") as instance:
            yield Toy(home, instance)
    settings.cache_clear()


@pytest.fixture(autouse=True)
def as_at_first(toy: Toy) -> None:
    """Every test begins with steps that wait for nobody."""
    shutil.rmtree(toy.home / "toy", ignore_errors=True)


# -- the `dagster` program --------------------------------------------------------------------------------------


def dagster(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["dagster", *arguments, "-m", LOCATION]
    return subprocess.run(command, cwd=root, env=environment_for(root), capture_output=True, text=True, check=False)


def test_dagster_job_execute_fails_where_a_check_is_missing_and_asset_materialize_publishes(
    root: Path, toy: Toy
) -> None:
    held = dagster(root, "job", "execute", "-j", "without_checks")
    assert held.returncode != 0
    assert "has not judged this content of reports/a" in held.stderr
    assert toy.text("a") is None
    done = dagster(root, "asset", "materialize", "--select", "key:reports/a")
    assert done.returncode == 0, done.stderr
    assert (toy.text("a"), toy.text("b")) == ("a1", None)
    assert toy.pages_equal_main()


# -- the UI -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A running `dagster dev`."""

    port: int
    toy: Toy

    def ask(self, question: str, **variables: Any) -> dict[str, Any]:
        asked = {"query": question, "variables": variables}
        answer = httpx.post(f"http://127.0.0.1:{self.port}/graphql", json=asked, timeout=60).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(self, *assets: str, job: str = "__ASSET_JOB") -> str:
        """Materialize assets, as the button of the lineage page does."""
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "pipelineName": job,
            "assetSelection": [{"path": asset.split("/")} for asset in assets],
        }
        params = {"selector": selector, "mode": "default", "runConfigData": {}}
        answer = self.ask(LAUNCH, params=params)["launchPipelineExecution"]
        return answer["run"]["runId"]

    def reexecute(self, run_id: str) -> str:
        params = {"parentRunId": run_id, "strategy": "FROM_FAILURE"}
        return self.ask(REEXECUTE, params=params)["launchPipelineReexecution"]["run"]["runId"]

    def ended(self, run_id: str) -> str:
        """The status a run ends with."""

        def status() -> str | None:
            run = self.toy.instance.get_run_by_id(run_id)
            return run.status.value if run is not None and run.is_finished else None

        return until(status, said=lambda: f"waited for the end of run {run_id}")

    def waiting(self, step: str, run_id: str) -> psutil.Process:
        """The process that leads a run, once a step of it waits."""
        until((self.toy.home / "toy" / f"{step}.waiting").exists, said=lambda: f"waited for {step} to begin")
        run = self.toy.instance.get_run_by_id(run_id)
        assert run is not None
        return psutil.Process(int(run.tags[WORKER_TAG].split(":")[1]))

    def pages(self) -> dict[str, dict[str, Any]]:
        keys = [{"path": asset.split("/")} for asset in ASSETS]
        return {"/".join(node["assetKey"]["path"]): node for node in self.ask(PAGES, keys=keys)["assetNodes"]}

    def assert_pages_say_what_main_holds(self) -> None:
        for asset, node in self.pages().items():
            held = content_at(self.toy.lake, "main", asset)
            never_made = (None,) if not held else ()
            assert node["dataVersion"] in (held or ABSENT, *never_made), asset


@pytest.fixture(scope="module")
def ui(root: Path, toy: Toy) -> Iterator[Server]:
    port = free_port()
    command = ["dagster", "dev", "-m", LOCATION, "--port", str(port)]
    with (root / "dev.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env=environment_for(root), stdout=log, stderr=log)

    def answers() -> bool:
        assert process.poll() is None, (root / "dev.log").read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=5).is_success
        except httpx.TransportError:
            return False

    try:
        until(answers)
        yield Server(port, toy)
    finally:
        end(process)


def test_a_run_from_the_ui_is_published_and_its_assets_are_fresh(ui: Server) -> None:
    run_id = ui.launch(*ASSETS)
    assert ui.ended(run_id) == "SUCCESS", failed_steps(ui.toy.instance, run_id)
    assert ui.toy.text("c") == "a1>b1>c1"
    run = ui.toy.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags[PUBLISHED_TAG] == ui.toy.lake.resolve("main")
    ui.assert_pages_say_what_main_holds()
    assert {node["staleStatus"] for node in ui.pages().values()} == {"FRESH"}


def test_a_failed_check_holds_a_run_of_the_ui_back_and_its_reexecution_publishes(ui: Server) -> None:
    toy = ui.toy
    before = toy.text("c")
    toy.turn("a.value", "a2")
    toy.turn("b.check", "fail")
    held = ui.launch(*ASSETS)
    assert ui.ended(held) == "FAILURE"
    assert toy.text("c") == before
    assert toy.text("b", run_branch(held)) == "a2>b1", "its branch stays, to be looked at"
    ui.assert_pages_say_what_main_holds()
    toy.turn("b.check", "")
    toy.turn("a.value", "not made again")
    again = ui.reexecute(held)
    assert ui.ended(again) == "SUCCESS", failed_steps(toy.instance, again)
    assert toy.text("c") == "a2>b1>c1"
    ui.assert_pages_say_what_main_holds()
    assert {node["staleStatus"] for node in ui.pages().values()} == {"FRESH"}


@pytest.mark.parametrize("worker_hears", [True, False], ids=["its worker hears of it", "its worker lives on"])
def test_a_run_that_was_terminated_by_force_never_publishes(ui: Server, worker_hears: bool) -> None:
    toy = ui.toy
    head = toy.lake.resolve("main")
    toy.turn("a.value", "terminated")
    toy.turn("a", "wait")
    run_id = ui.launch(*ASSETS)
    worker = ui.waiting("a", run_id)
    if worker_hears:
        assert ui.ask(TERMINATE, run=run_id)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    else:  # what the mutation does where the launcher cannot reach the worker
        started = toy.instance.get_run_by_id(run_id)
        assert started is not None
        toy.instance.report_run_canceled(started)
    assert ui.ended(run_id) == "CANCELED"
    toy.turn("a", "")
    psutil.wait_procs([worker], timeout=PATIENCE)
    assert not worker.is_running()
    run = toy.instance.get_run_by_id(run_id)
    assert run is not None
    assert not run.is_success, "a worker that lives on may end it as failed, never as published"
    assert PUBLISHED_TAG not in run.tags
    assert toy.lake.resolve("main") == head
    ui.assert_pages_say_what_main_holds()


def test_a_worker_that_was_killed_in_mid_step_leaves_a_run_that_can_be_carried_on(ui: Server) -> None:
    toy = ui.toy
    head = toy.lake.resolve("main")
    toy.turn("a.value", "a3")
    toy.turn("b", "wait")
    killed = ui.launch(*ASSETS)
    ui.waiting("b", killed).kill()
    assert ui.ended(killed) == "FAILURE"
    assert toy.lake.resolve("main") == head
    toy.turn("b", "")
    toy.turn("a.value", "not made again")
    again = ui.reexecute(killed)
    assert ui.ended(again) == "SUCCESS", failed_steps(toy.instance, again)
    assert toy.text("c") == "a3>b1>c1"
    ui.assert_pages_say_what_main_holds()
    assert read_ownership(toy.lake, "main") is None
    assert run_branch(killed) not in toy.lake.branches()
