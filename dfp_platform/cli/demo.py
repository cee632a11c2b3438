"""`dfp demo`: the whole line, and at its end what came out of it, read back from the lake at the published commit."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from dfp_platform.cli.lake import opened
from dfp_platform.cli.runs import Source, launched, report, told_by
from dfp_platform.cli.screen import Json, err, out, print_json, print_table

if TYPE_CHECKING:
    from dfp_platform.lake import Lake
    from dfp_platform.publishing.launch import RunOutcome

PAGE = "reports/summary/index.html"
DATASETS = ("kronodroid_real_device", "kronodroid_emulator")
SYNTHETIC = "SYNTHETIC DATA: these rows were generated. The scores say that the line works, nothing about real malware."


@dataclass(frozen=True, slots=True)
class Summary:
    """What a demo left on its target.

    Attributes:
        commit: the commit that names all of it.
        synthetic: whether any row was generated.
        sources: one sentence a data set about where its rows came from.
        rows: apps landed, by data set.
        scores: by model, on apps newer than all it was trained on; None where there was too little to say.
        latencies: one row a runtime, microseconds for one app on one thread.
        report: the page for a browser.
        run_id: the run, in Dagster.
        seconds: wall-clock of the run.
        steps: seconds of each of its steps.
    """

    commit: str
    synthetic: bool
    sources: tuple[str, ...]
    rows: Mapping[str, int]
    scores: tuple[Mapping[str, Any], ...]
    latencies: tuple[Mapping[str, Any], ...]
    report: Path | None
    run_id: str
    seconds: float
    steps: Mapping[str, float]


def demo(source: Source = None, as_json: Json = False) -> None:
    """Run the whole line, from raw apps to a measured, published model, and say what came out."""
    from dfp_platform.settings import choose, settings

    nobody_chose = source is None and "source" not in settings().model_fields_set
    _announce(choose(source="sample" if nobody_chose else source).source)
    outcome = launched(None, told_by())
    if not outcome.success:
        report(outcome, as_json=as_json)
    summary = summarised(opened(), outcome)
    if as_json:
        return print_json(summary)
    return show(summary)


def _announce(source: str) -> None:
    from dfp_platform.ingest.sources.archives import ANNOUNCEMENT
    from dfp_platform.settings import settings

    console = err()
    if source in ("auto", "archives"):
        console.print(f"Rows come from {ANNOUNCEMENT}. On two cores the whole set takes minutes.")
    if source == "sample":
        console.print("Rows are generated, so that this is quick. Real apps: DFP_SOURCE=archives make demo")
    if source == "auto":
        console.print(
            "If they cannot be reached, generated rows stand in. Quick in any case: DFP_SOURCE=sample make demo"
        )
    console.print(f"Results go to the lake at {settings().lake_uri}")


def summarised(lake: Lake, outcome: RunOutcome) -> Summary:
    """Read what a run published back from the lake, and lay its page out for a browser."""
    from dfp_platform.assets.choices import LINE
    from dfp_platform.ingest.origin import origin
    from dfp_platform.mobile.benchmark import HostLatency
    from dfp_platform.models.evaluation import EvaluationReport
    from dfp_platform.settings import settings

    commit = outcome.published_commit or lake.resolve(settings().branch)
    origins = {dataset: origin(lake, commit, dataset) for dataset in DATASETS}
    evaluation = EvaluationReport.from_json(lake.read(commit, "models/evaluation/report.json")).of(*LINE)
    latency = HostLatency.from_json(lake.read(commit, "reports/host_latency/report.json"))
    return Summary(
        commit=commit,
        synthetic=any(each.synthetic for each in origins.values()),
        sources=tuple(dict.fromkeys(each.note for each in origins.values())),
        rows={dataset: each.rows for dataset, each in origins.items()},
        scores=tuple(
            {
                "model": judged.model,
                "apps": judged.overall.apps,
                "roc_auc": judged.overall.roc_auc,
                "average_precision": judged.overall.average_precision,
            }
            for judged in evaluation.models
        ),
        latencies=tuple(
            {
                "runtime": row.runtime,
                "model": row.model,
                "p50_us": row.p50_us,
                "p90_us": row.p90_us,
                "p99_us": row.p99_us,
            }
            for row in latency.rows
        ),
        report=_laid_out(lake, commit, settings().home / "reports"),
        run_id=outcome.run_id,
        seconds=outcome.seconds,
        steps=outcome.steps,
    )


def _laid_out(lake: Lake, commit: str, folder: Path) -> Path | None:
    """A copy of the summary's page under the name of its commit."""
    if not lake.exists(commit, PAGE):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{commit[:12]}.html"
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as unfinished:
        unfinished.write(lake.read(commit, PAGE))
    os.chmod(unfinished.name, 0o644)
    Path(unfinished.name).replace(place)
    return place


def show(summary: Summary) -> None:
    """Print the summary for a person."""
    console = out()
    if summary.synthetic:
        console.print(Text(f"\n{SYNTHETIC}", style="bold yellow"))
    console.print(Text("\nrows", style="bold"), *(f"({note})" for note in summary.sources if note))
    print_table(["", ""], [(f"  {dataset}", f"{rows:,}") for dataset, rows in summary.rows.items()], for_people=True)
    console.print(Text("\nscores", style="bold"), "on apps newer than all the models were trained on")
    print_table(
        ["  model", "apps", "ROC-AUC", "average precision"],
        [
            (f"  {s['model']}", s["apps"], _rounded(s["roc_auc"]), _rounded(s["average_precision"]))
            for s in summary.scores
        ],
        for_people=True,
    )
    console.print(Text("\nlatency", style="bold"), "of one app on one thread, microseconds")
    print_table(
        ["  runtime", "model", "p50", "p90", "p99"],
        [
            (f"  {row['runtime']}", row["model"], *(round(row[f"{p}_us"], 1) for p in ("p50", "p90", "p99")))
            for row in summary.latencies
        ],
        for_people=True,
    )
    console.print(Text("\ncommit ", style="bold") + Text(f"{summary.commit} ({summary.seconds:.0f} s)"))
    if summary.report is not None:
        console.print(Text("report ", style="bold") + Text(str(summary.report)))
    console.print(Text("look   ", style="bold") + Text("make dev, then http://localhost:3000"))


def _rounded(figure: float | None) -> str:
    return "too few apps" if figure is None else f"{figure:.3f}"


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(demo)
