"""Dashboards and alerts ask only for metrics and labels that servers really print; each alert is in the runbook."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import numpy as np
import promql_parser as promql
import pytest
import yaml
from dagster._core.scheduler.instigation import TickStatus

from dfp_platform.lake import open_lake
from dfp_platform.models.evaluation import Evaluation, EvaluationReport
from dfp_platform.resources.dagster_internals import project_instance
from dfp_platform.serving.api import create_api
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.settings import PROJECT_ROOT
from tests.metric_pages import exporter_page, fill, names_on, sensor, spark_names
from tests.serving_api import Client, service
from tests.serving_rest import serving
from tests.unit.test_reports_page import one_model

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
RULES = sorted((ROOT / "deploy/prometheus").glob("*.rules.yaml"))
RUNBOOK = ROOT / "docs/runbooks/observability.md"

OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus gives every metric."""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every metric that there is, with its labels."""
    home = tmp_path_factory.mktemp("monitored")
    lake = open_lake(home / "lake", create=True)
    fill(lake)
    labels, months = np.arange(40) % 2, np.repeat(np.datetime64("2019-10", "M"), 40)
    model = one_model("autoencoder", 1.0, labels.astype(np.int8), months)
    device = Evaluation(device="d", synthetic=True, test_from=None, resamples=20, seed=0, models=(model,))
    lake.commit("main", {"models/evaluation/report.json": EvaluationReport(devices=(device,)).to_json()}, message="m")
    with project_instance(PROJECT_ROOT, home / "dagster") as instance, serving(lake) as uri:
        idle.execute_in_process(instance=instance)
        going = instance.create_run_for_job(idle)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", going.job_name), going.run_id)
        sensor(instance, "watch", {TickStatus.SKIPPED: 1_000.0})
        httpx.get(f"{uri}/v1/config")
        pages = [exporter_page(lake, instance), httpx.get(f"{uri}/metrics").text, api_page(home)]
    found: dict[str, set[str]] = {"up": set(), **spark_names()}
    for page in pages:
        if sys.platform == "linux":  # read from /proc
            assert "process_resident_memory_bytes" in page, "each server tells of its process, as Spark's do"
        for name, labels in names_on(page).items():
            found.setdefault(name, set()).update(labels)
    return found


@dg.job
def idle() -> None:
    """Does nothing, so that there is a run."""


def api_page(home: Path) -> str:
    """The API's page, of a service that has answered."""
    log = PredictionLog(None, spool=home / "spool", seconds=60.0)
    asked = service(open_lake(home / "empty", create=True), log=log)
    asked.metrics.name_models({"champion": ("autoencoder", "v1")})
    asked.metrics.count_answers(("autoencoder", "v1", "champion"), np.zeros(1, dtype=np.float32), 0)
    asked.metrics.failures.labels("shadow")
    api = Client(create_api(asked))
    api.post("/predict", json={"apps": []})
    page = api.get("/metrics").text
    log.close()
    return page


def alerts() -> Iterator[dict[str, Any]]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def expressions() -> Iterator[tuple[str, str, str]]:
    """Where each expression stands, what it says, and the words that show its labels."""
    for rule in alerts():
        words = re.sub(r"\$labels\.(\w+)", r"{{\1}}", rule["annotations"]["summary"])
        yield rule["alert"], rule["expr"], words
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                text = target["expr"].replace("$__rate_interval", "5m")
                yield f"{file.stem}: {panel['title']}", text, target["legendFormat"]


def asked_for(text: str) -> list[tuple[str, set[str]]]:
    """Each metric that an expression asks for, with the labels by which it chooses. Raises ValueError: no PromQL."""
    found: list[tuple[str, set[str]]] = []

    def visit(node: promql.Expr) -> bool:
        selector = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
        if isinstance(selector, promql.VectorSelector):
            found.append((selector.name, {matcher.name for matcher in selector.matchers.matchers}))
        return True

    promql.walk(promql.parse(text), pre_visit=visit)
    return found


def grouped_by(text: str) -> set[str]:
    """Labels by which an expression puts figures together or beside one another."""
    lists = re.findall(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)", text)
    return {label.strip() for each in lists for label in each.split(",") if label.strip()}


def faults(text: str, words: str, known: dict[str, set[str]]) -> list[str]:
    """What an expression asks for that nobody tells."""
    told = asked_for(text)
    if unknown := sorted({name for name, _ in told} - known.keys()):
        return [f"no metric {name}" for name in unknown]
    found = []
    for name, labels in told:
        found += [f"{name} has no label {label}" for label in labels - known[name] - OF_PROMETHEUS - {"le"}]
    every = {label for name, _ in told for label in known[name]} | OF_PROMETHEUS
    shown = set(re.findall(r"{{\s*(\w+)\s*[|}]", words))
    return found + [f"no metric has the label {label}" for label in (grouped_by(text) | shown) - every]


def test_every_expression_asks_for_what_is_told(known):
    told = list(expressions())
    assert len(told) > 100
    wrong = {place: found for place, text, words in told if (found := faults(text, words, known))}
    assert not wrong


@pytest.mark.parametrize(
    ("text", "words", "fault"),
    [
        ("rate(dfp_nothing_total[5m])", "", "no metric dfp_nothing_total"),
        ('dfp_lake_branches{color="red"}', "", "dfp_lake_branches has no label color"),
        ("sum by (color) (dfp_lake_branches)", "", "no metric has the label color"),
        ("dfp_lake_branches", "{{color}}", "no metric has the label color"),
        ("dfp_lake_operation_seconds", "", "no metric dfp_lake_operation_seconds"),
    ],
)
def test_an_expression_that_asks_for_something_else_is_found(known, text, words, fault):
    assert faults(text, words, known) == [fault]


def test_metrics_are_named_as_prometheus_asks_for(known):
    ours = {name for name in known if name.startswith("dfp_")}
    assert ours
    for name in ours:
        assert re.fullmatch(r"dfp_[a-z]+(_[a-z]+)*", name)
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name), "base units"
    assert not {label for name in ours for label in known[name]} & {"run", "run_id", "commit", "sha256", "request"}


def test_every_alert_is_in_the_runbook_and_has_a_test_in_which_it_fires():
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) > 20
    anchors = {heading.lower() for heading in re.findall(r"^### (\w+)$", RUNBOOK.read_text(), flags=re.MULTILINE)}
    tests = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "deploy/prometheus/tests").glob("*.yaml"))]
    fire = {
        case["alertname"]
        for file in tests
        for test in file["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    for rule in alerts():
        page, anchor = rule["annotations"]["runbook"].split("#")
        assert (ROOT / page, anchor in anchors) == (RUNBOOK, True), rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
    assert fire == set(names)
    assert anchors <= {name.lower() for name in names}, "an entry of an alert that is no more"


def test_panels_of_a_dashboard_lie_beside_one_another_and_say_what_they_show():
    for file in DASHBOARDS:
        told = json.loads(file.read_text())
        assert told["uid"] == file.stem
        taken: set[tuple[int, int]] = set()
        for panel in told["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken
            assert at["x"] + at["w"] <= 24
            assert panel["title"]
            taken |= cells
