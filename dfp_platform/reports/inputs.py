"""What a report is made of: plain records, as other rooms write them to JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dfp_platform.schemas import Verdict

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """Everything on the page. Equal inputs are equal bytes: nothing here is the time of writing.

    Attributes:
        commit: the lake commit everything was read from; it names the report.
        branch: the branch that commit was on.
        run: id of the run that made it, empty outside a run.
        source: where the apps came from, in words: ``sample``, ``archives``.
        synthetic: whether the apps were generated; the page says so in a banner that cannot be overlooked.
        dataset: what `summaries.describe_dataset` gives.
        evaluation: `models.evaluation.Evaluation` as JSON.
        latency: `mobile.benchmark.HostLatency` as JSON, if it was measured.
        distributions: what `summaries.score_distribution` gives, one a model.
        parity: `mobile.parity.Parity` as JSON, one an exported artifact.
        verdicts: what the checks said of the contents at `commit`.
        commands: how to make the same again, line by line.
    """

    commit: str
    branch: str
    run: str
    source: str
    synthetic: bool
    dataset: Json
    evaluation: Json
    latency: Json | None = None
    distributions: Sequence[Json] = ()
    parity: Sequence[Json] = ()
    verdicts: Sequence[Verdict] = ()
    commands: Sequence[str] = ()
    title: str = "Malware models"
