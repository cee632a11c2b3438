"""The report: one file, the same for equal inputs, that says what it is made of and hides nothing."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from dfp_platform.mobile.benchmark import HostLatency, LatencyRow, Machine
from dfp_platform.mobile.parity import Parity
from dfp_platform.models.evaluation import Evaluation, ModelEvaluation
from dfp_platform.models.metrics import Ranking, curves
from dfp_platform.models.rejection import rejection
from dfp_platform.models.reliability import reliability
from dfp_platform.models.scores import Judge, Told
from dfp_platform.reports import ReportInputs, render, score_distribution
from dfp_platform.reports.page import recall_at
from dfp_platform.schemas import Verdict

APPS = 120
COMMIT = "b625f4410557e24a6953eb8b70727b48aad040ac"
DATASET = {
    "rows": 700,
    "features": 480,
    "devices": [{"device": "real_device", "rows": 700, "malware": 300, "first": "2015-01-01", "last": "2020-02-01"}],
    "periods": [
        {"device": "real_device", "month": "2018-11", "benign": 300, "malware": 100},
        {"device": "real_device", "month": "2019-01", "benign": 100, "malware": 200},
    ],
}


def one_model(name: str, separation: float, labels: np.ndarray, months: np.ndarray) -> ModelEvaluation:
    scores = (np.random.default_rng(3).normal(size=len(labels)) + separation * labels).astype(np.float32)
    alarms, none = scores > 1, np.empty(0, np.int64)
    judge = Judge.of(labels, [Told(scores, alarms, None)], resamples=20, seed=0)
    roc, precision_recall = curves(Ranking.of(labels, scores), points=50)
    parts = [(str(month), np.flatnonzero(months == month)) for month in np.unique(months)]
    by_month, over_months = judge.over_time("month", parts)
    every = np.arange(len(labels))
    doubts = -np.abs(scores.astype(np.float64) - 1)
    return ModelEvaluation(
        model=name,
        kind="xgboost",
        threshold=1.0,
        seeds=(7,),
        overall=judge.slice("all", every),
        unseen_packages=judge.slice("unseen packages", every),
        seen_packages=judge.slice("seen packages", none),
        unseen_vectors=judge.slice("unseen vectors", every),
        seen_vectors=judge.slice("seen vectors", none),
        distinct=judge.slice("no duplicates", every),
        months=by_month,
        quarters=(),
        over_months=over_months,
        over_quarters=judge.over_time("quarter", [])[1],
        families=judge.families(np.where(labels == 1, "<b>boxer", "")),
        roc=tuple(roc),
        precision_recall=tuple(precision_recall),
        reliability=reliability(labels, 1 / (1 + np.exp(-scores)), probability=True),
        drift_alarm=None,
        rejection=rejection("nearness to the threshold", doubts, doubts, labels=labels, alarms=alarms),
    )


def evaluation_json(malware_share: float = 0.4) -> dict:
    """As models/ writes it: real records, dumped."""
    labels = (np.random.default_rng(0).random(APPS) < malware_share).astype(np.int8)
    months = np.sort(np.datetime64("2019-10", "M") + np.arange(APPS) % 5)
    models = tuple(one_model(name, by, labels, months) for name, by in (("autoencoder", 1.0), ("xgboost", 4.0)))
    record = Evaluation(
        device="real_device", synthetic=False, test_from="2019-10-01", resamples=20, seed=0, models=models
    )
    return json.loads(record.to_json())


def latency_json() -> dict:
    def row(runtime: str, p50: float, *, valid: bool) -> LatencyRow:
        known = {"runtime": runtime, "model": "autoencoder", "precision": "fp32", "p50_us": p50, "p90_us": 2 * p50}
        known |= {"p99_us": 3 * p50, "noise": 0.1 if valid else 0.6, "valid": valid, "size_bytes": 514_000}
        known |= {"reasons": () if valid else ("rounds differ by 60%",)}
        return LatencyRow(**dict.fromkeys(LatencyRow.model_fields, 1) | known)

    machine = Machine(cpu="a <fast> one", cores=2, system="Linux", python="3.11")
    rows = (row("ONNX Runtime", 10.0, valid=True), row("PyTorch", 100.0, valid=False))
    return json.loads(
        HostLatency(machine=machine, protocol_version="1", mode="glance", warm_up=128, rounds=4, rows=rows).to_json()
    )


def parity_json() -> dict:
    parity = Parity(
        artifact="autoencoder-onnx", precision="fp32", rows=1000, outliers=256, largest_difference=7.6e-6,
        share_of_tolerance=0.31, flipped=0, flipped_apps=0, roc_auc_change=None, threshold=0.5,
        original_threshold=0.5, passed=True,
    )  # fmt: skip
    return json.loads(parity.to_json())


def inputs(**changed: object) -> ReportInputs:
    scores = np.linspace(0.1, 9, 50, dtype=np.float32)
    told = ReportInputs(
        commit=COMMIT,
        branch="run-1",
        run="1f2e",
        source="sample",
        synthetic=False,
        dataset=DATASET,
        evaluation=evaluation_json(),
        latency=latency_json(),
        distributions=[score_distribution("autoencoder", scores, (scores > 5).astype(np.int8), threshold=4.0)],
        parity=[parity_json()],
        verdicts=[
            Verdict("tables/marts/dim", "not_null", "aa" * 32, True),
            Verdict("models/evaluation", "better_than_guessing", "bb" * 32, False, 0.4, 0.5),
        ],
        commands=["dfp run --base b625f44 && dfp lake show"],
    )
    return dataclasses.replace(told, **changed)


def page(**changed: object) -> str:
    return render(inputs(**changed)).decode()


class Outline(HTMLParser):
    """Open tags must close in order; remembers every address the page would load."""

    VOID = frozenset({"meta", "br", "link", "img", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag


def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_is_one_whole_file_that_loads_nothing() -> None:
    text = page()
    found = outline(text)
    assert found.loads == []
    assert not found.seen & {"script", "link", "iframe", "img"}
    assert not re.search(r"https?://|url\(|@import", text)


def test_every_drawing_is_well_formed() -> None:
    drawings = re.findall(r"<svg.*?</svg>", page(), flags=re.DOTALL)
    assert len(drawings) == 8
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.find("title") is not None
        assert "nan" not in drawing.lower().replace("finance", "")
        assert not re.search(r'="-?inf', drawing)


_RENDER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("reports_test", sys.argv[1])
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
sys.stdout.buffer.write(module.render(module.inputs()))
"""


def test_equal_inputs_are_equal_bytes_in_another_process() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _RENDER, __file__],
        capture_output=True,
        check=True,
        timeout=120,
        env={"PYTHONHASHSEED": "7"},
    )
    assert told.stdout == render(inputs())


def test_synthetic_data_are_said_to_be_synthetic_before_anything_else() -> None:
    text = page(synthetic=True)
    assert text.index("Synthetic data</strong>") < text.index("ROC-AUC")
    assert "(synthetic)" in text
    assert "Synthetic data</strong>" not in page(synthetic=False)


def test_the_page_is_named_by_its_commit() -> None:
    text = page()
    assert f"<code>{COMMIT}</code>" in text
    assert COMMIT[:12] in re.findall(r"<title>(.*?)</title>", text)[0]


def test_scores_stand_there_as_the_evaluation_has_them() -> None:
    told = evaluation_json()
    text = page(evaluation=told)
    for model in told["models"]:
        low, high = model["overall"]["roc_auc_interval"]
        assert f"{model['overall']['roc_auc']:.3f}<small>{low:.3f} to {high:.3f}</small>" in text


def test_a_failed_check_comes_first_and_is_counted() -> None:
    text = page()
    assert text.index("✗ failed") < text.index("✓ passed")
    assert "1 of 2" in text


def test_a_disturbed_measurement_is_marked() -> None:
    text = page()
    assert text.count(">quietly<") == 1
    assert "disturbed</span><small>&ensp;rounds differ by 60%" in text


def test_names_from_the_data_are_text_and_never_markup() -> None:
    text = page(branch="<script>alert(1)</script>", source="a & b")
    assert "<script" not in text
    assert "&lt;b&gt;boxer" in text
    assert "a &lt;fast&gt; one" in text
    assert "a &amp; b" in text
    outline(text)


def test_what_was_not_measured_is_left_out() -> None:
    text = page(latency=None, parity=(), verdicts=(), distributions=(), commands=(), run="")
    outline(text)
    for heading in ("Latency", "Exported models", "Checks", "Make it again"):
        assert f"<h2>{heading}" not in text


def test_a_test_without_malware_has_no_figures_and_still_a_page() -> None:
    text = page(evaluation=evaluation_json(malware_share=0.0))
    outline(text)
    assert "–" in text


def test_a_figure_rounds_up_to_one_only_if_it_is_one() -> None:
    told = evaluation_json()
    told["models"][0]["overall"]["roc_auc"] = 0.99991
    told["models"][1]["overall"]["roc_auc"] = 1.0
    text = page(evaluation=told)
    assert "of &gt;\u00a00.999" in text
    assert "of 1.000" in text


@pytest.mark.parametrize(
    ("roc", "expected"),
    [
        ([(0.0, 0.0), (0.0, 0.5), (0.02, 0.7), (1.0, 1.0)], 0.6),
        ([(0.0, 0.0), (1.0, 1.0)], 0.01),
        ([(0.0, 0.0), (0.01, 0.8), (0.5, 1.0)], 0.8),
        ([], None),
    ],
)
def test_recall_at_one_percent_is_read_off_the_curve(roc: list, expected: float | None) -> None:
    assert recall_at(roc, 0.01) == (None if expected is None else pytest.approx(expected))


def test_importing_the_room_brings_nothing_heavy() -> None:
    told = "import sys, dfp_platform.reports as r; assert not {'jinja2', 'numpy', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", told], check=True, timeout=60)
