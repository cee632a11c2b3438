"""reports/traffic: what the inference API was asked since the last look; how a look is kept. Made where asked for."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import TRAFFIC, TRAFFIC_REPORT
from dfp_platform.assets.plots import traffic_plots
from dfp_platform.resources.checks import asset_check
from dfp_platform.resources.lake import LakeResource

if TYPE_CHECKING:
    from dfp_platform.models.parts import Parts
    from dfp_platform.serving.traffic import Look

WORST = 5
"""Features that the check names at most."""

Files = Mapping[str, bytes]


def new_traffic(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.Output[Files]]:
    """Predictions since the last look, as `serving/traffic` keeps them; nothing where none has come."""
    from dfp_platform.serving.traffic import look

    before = lake.files(TRAFFIC)
    found = look(lake.store, since=json.loads(before["report.json"])["until"] if before else "")
    if found is None:
        context.log.warning(
            "skipped: no prediction has come since the last look. next: dfp serve, and ask it something"
        )
        return
    yield dg.Output(taken(found), "traffic", metadata={"rows": found.rows.num_rows, "left out": found.left_out})


@dg.asset(
    key=TRAFFIC_REPORT.split("/"),
    ins={"predictions": dg.AssetIn(TRAFFIC.split("/"))},
    io_manager_key="report",
    group_name="serving",
    code_version="1",
    kinds={"html"},
)
def traffic_page(
    context: dg.AssetExecutionContext, lake: LakeResource, predictions: Mapping[str, bytes]
) -> Mapping[str, bytes]:
    """Drift, scores, alarms and latency of the traffic that was taken last, of the model that answered most of it."""
    from dfp_platform.reports.traffic import render_traffic, verdict
    from dfp_platform.serving.traffic import answering, traffic_report

    found = kept(predictions)
    by = answering(found.rows)
    trained, known, synthetic = trained_apps(lake, by.model, by.commit)
    report = traffic_report(found, by, trained, known=known, synthetic=synthetic)
    told = report.model_dump(mode="json")
    context.add_output_metadata(traffic_plots(told))
    context.add_output_metadata(
        {"verdict": verdict(told), "apps": report.rows, "alarms": sum(d.alarms for d in report.days)}
    )
    return {"index.html": render_traffic(told), "report.json": report.to_json()}


@asset_check(asset=TRAFFIC_REPORT.split("/"), name="live_drift")
def live_drift(report: Mapping[str, bytes]) -> dg.AssetCheckResult:
    """Live traffic lies like what the model was trained on; the features that moved most are named. It never blocks."""
    from dfp_platform.models.drift import DRIFTED_SHARE
    from dfp_platform.serving.traffic import TrafficReport

    told = TrafficReport.from_json(report["report.json"])
    return dg.AssetCheckResult(
        passed=told.drifted <= DRIFTED_SHARE,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "figure": told.drifted,
            "limit": DRIFTED_SHARE,
            "unit": "share of features that drifted",
            "worst (PSI)": {one.feature: one.psi for one in told.moved[:WORST]},
            "apps": told.rows,
        },
    )


def taken(found: "Look") -> dict[str, bytes]:
    """A look as files: the predictions, and between which commits of their branch they came."""
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(found.rows, sink, compression="zstd")
    told = {"since": found.since, "until": found.until, "left_out": found.left_out, "rows": found.rows.num_rows}
    report = json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"
    return {"predictions.parquet": sink.getvalue().to_pybytes(), "report.json": report}


def kept(files: Mapping[str, bytes]) -> "Look":
    """The look that these files hold."""
    from pyarrow import parquet

    from dfp_platform.serving.traffic import Look

    told = json.loads(files["report.json"])
    rows = parquet.read_table(pa.BufferReader(files["predictions.parquet"]))
    return Look(rows, told["since"], told["until"], told["left_out"])


def trained_apps(lake: LakeResource, model: str, commit: str) -> "tuple[Parts, pa.ChunkedArray, bool]":
    """What a model was trained on, where it was loaded from: its apps apart, every known app, whether made up."""
    from dfp_platform.assets.mobile import own_split
    from dfp_platform.catalog import scan
    from dfp_platform.models.weights import read_card

    files = lake.store.files(commit, f"models/{model}")
    dataset, places = (scan(lake.store, commit, ("marts", name)) for name in ("fct_training_dataset", "split_index"))
    return own_split(files, dataset, places), dataset["sha256"], read_card(files).synthetic


assets: list[dg.AssetsDefinition] = []
beyond = [traffic_page]
checks = [live_drift]
