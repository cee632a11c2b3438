"""What is told of models: who reigns, what they are worth, how far the data moved, and which checks fail."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client.core import Metric

from dfp_platform.assets.choices import DRIFT_REPORT
from dfp_platform.lake import Lake
from dfp_platform.metrics.families import gauge
from dfp_platform.models.champions import Reign
from dfp_platform.models.evaluation import EvaluationReport
from dfp_platform.resources.verdicts import read_verdicts
from dfp_platform.schemas import CommitId
from dfp_platform.serving.drift import DriftReport
from dfp_platform.serving.versions import CHAMPIONS, versions

FIGURES = ("roc_auc", "average_precision", "f1", "true_positive_rate", "false_positive_rate")
"""Figures of a judged model that are told, over all apps of the test."""


@dataclass(eq=False)
class ModelsPart:
    """The part `models` of the page; what stands on the branch is read again when its head has moved.

    Attributes:
        branch: the branch that runs publish to.
        drift_limit: from which score on a training is launched.
    """

    lake: Lake
    branch: str
    drift_limit: float
    _known: tuple[CommitId, list[Metric]] | None = field(default=None)

    def __call__(self) -> list[Metric]:
        """What is told now. Raises DfpError: the lake does not answer."""
        head = self.lake.resolve(self.branch)
        if self._known is None or self._known[0] != head:
            told = [*champions(self.lake, head), *scores(self.lake, head), *checks(self.lake, head)]
            self._known = head, [*told, *drift(self.lake, head)]
        limit = gauge("dfp_drift_limit", "DFP_DRIFT_LIMIT: from which score on models are trained.", self.drift_limit)
        return [*self._known[1], limit]


def champions(lake: Lake, head: CommitId) -> list[Metric]:
    """Which version of each model reigns, and since when."""
    reigns = [Reign.from_json(data) for data in lake.files(head, CHAMPIONS).values()]
    numbers = {(each.model, each.content): f"v{each.number}" for each in versions(lake)}
    return [
        gauge(
            "dfp_champion_info",
            "1 for the version of a model that reigns.",
            [((each.model, numbers.get((each.model, each.content), each.content[:12])), 1) for each in reigns],
            ["model", "version"],
        ),
        gauge(
            "dfp_champion_timestamp_seconds",
            "Since when it reigns, in seconds since 1970.",
            [((each.model,), each.since.timestamp()) for each in reigns],
            ["model"],
        ),
        gauge(
            "dfp_challengers",
            "1 if a version stands beside the champion that does not reign.",
            [((each.model,), float(each.challenger is not None)) for each in reigns],
            ["model"],
        ),
    ]


def scores(lake: Lake, head: CommitId) -> list[Metric]:
    """What the models that stand on the branch are worth on newer apps, as they were judged last."""
    report = EvaluationReport.found_in(lake.files(head, "models/evaluation").get("report.json"))
    judged = report.models if report is not None else {}
    told = [(model, name, getattr(each.overall, name)) for model, each in judged.items() for name in FIGURES]
    rows = [((model, name), figure) for model, name, figure in told if figure is not None]
    return [gauge("dfp_model_score", "What a model is worth on newer apps.", rows, ["model", "figure"])]


def checks(lake: Lake, head: CommitId) -> list[Metric]:
    """What each check last said of what stands there."""
    said = read_verdicts(lake, head)
    return [
        gauge(
            "dfp_check_passed",
            "1 if a check passed what stands on the branch, 0 if it failed.",
            [((each.asset, each.check), float(each.passed)) for each in said],
            ["asset", "check"],
        )
    ]


def drift(lake: Lake, head: CommitId) -> list[Metric]:
    """The drift report that stands there, if there is one."""
    data = lake.files(head, DRIFT_REPORT).get("report.json")
    reports = [DriftReport.from_json(data)] if data else []
    sides = [(report.model, each.name.replace(" ", "_"), each) for report in reports for each in report.sides]
    made = [lake.provenance(head, f"{DRIFT_REPORT}/report.json").time.timestamp() for _ in reports]
    return [
        gauge(
            "dfp_drift_score",
            "How far what a model sees has moved, 0 to 1.",
            [((report.model,), report.score) for report in reports if report.score is not None],
            ["model"],
        ),
        gauge(
            "dfp_drift_features_ratio",
            "Share of a model's features that drifted, by what was compared.",
            [((model, side), each.drifted) for model, side, each in sides if each.drifted is not None],
            ["model", "side"],
        ),
        gauge(
            "dfp_drift_error_rise_ratio",
            "Most by which the share of apps beyond some reconstruction error has grown.",
            [((model, side), each.error_rise) for model, side, each in sides if each.error_rise is not None],
            ["model", "side"],
        ),
        gauge(
            "dfp_drift_report_timestamp_seconds",
            "When that was found, in seconds since 1970.",
            [((report.model,), at) for report, at in zip(reports, made, strict=True)],
            ["model"],
        ),
    ]
