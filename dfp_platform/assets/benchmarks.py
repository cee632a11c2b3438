"""reports/: what artifacts for phones cost on this machine and on phones, and which of them to take."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa
from pydantic import Field

from dfp_platform.assets.choices import PHONE_NETWORKS, artifacts_of
from dfp_platform.assets.mobile import own_split
from dfp_platform.assets.models import TRAINING
from dfp_platform.assets.plots import benchmark_plots
from dfp_platform.errors import NotFoundError
from dfp_platform.resources.checks import asset_check
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.mobile.host import Measured

HOST_REPORT = "reports/host_benchmark"
DEVICE_REPORT = "reports/device_benchmark"


class HostBenchmarkConfig(dg.Config):
    """How the host is measured."""

    mode: str = Field("full", pattern="^(quick|full)$", description="quick: seconds; full: minutes")


@dg.asset(
    key=HOST_REPORT.split("/"),
    ins=TRAINING,
    deps=[asset.split("/") for name in PHONE_NETWORKS for asset in (f"models/{name}", *artifacts_of(name))],
    io_manager_key="report",
    group_name="benchmarks",
    code_version="1",
    kinds={"python"},
)
def host_benchmark(
    context: dg.AssetExecutionContext,
    config: HostBenchmarkConfig,
    lake: LakeResource,
    dataset: pa.Table,
    places: pa.Table,
) -> Mapping[str, bytes]:
    """Every artifact of the phone networks on the branch by the whole protocol, on this machine; asked for only."""
    from dfp_platform.mobile.host import HostBenchmark, benchmark_host
    from dfp_platform.mobile.protocol import MODES

    before = lake.files(HOST_REPORT).get("report.json")
    told = benchmark_host(
        _measured(lake, dataset, places),
        lake_commit=lake.store.resolve(lake.ref),
        mode=MODES[config.mode],
        seed=settings().seed,
        before=HostBenchmark.rows_in(before),
        progress=context.log.info,
    )
    context.add_output_metadata({f"{row.artifact} p50 (us)": row.p50_us for row in told.rows})
    context.add_output_metadata({f"{name} since last time": change for name, change in told.changes.items()})
    context.add_output_metadata(benchmark_plots([row.model_dump(mode="json") for row in told.rows]))
    return {"report.json": told.to_json()}


@asset_check(asset=HOST_REPORT.split("/"), name="quiet_machine")
def quiet_machine(report: Mapping[str, bytes]) -> dg.AssetCheckResult:
    """No measurement was disturbed; a disturbed row is kept, says why, and is not recommended."""
    from dfp_platform.mobile.host import HostBenchmark

    rows = HostBenchmark.from_json(report["report.json"]).rows
    disturbed = {row.artifact: "; ".join(row.reasons) for row in rows if not row.valid}
    return dg.AssetCheckResult(
        passed=not disturbed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"figure": len(disturbed), "limit": 0, "unit": "disturbed rows", "disturbed": disturbed},
    )


@dg.multi_asset(
    name="phones",
    deps=[HOST_REPORT.split("/")],
    outs={
        "device_benchmark": dg.AssetOut(
            key=DEVICE_REPORT.split("/"),
            is_required=False,
            io_manager_key="report",
            group_name="benchmarks",
            code_version="1",
            kinds={"android"},
            description="Rows that phones and emulators measured; skipped where none has been pulled yet.",
        ),
        "page": dg.AssetOut(
            key=["reports", "phones"],
            io_manager_key="report",
            group_name="benchmarks",
            code_version="1",
            kinds={"html"},
            description="Devices, runtimes and precisions side by side, and the artifact to take.",
        ),
    },
    internal_asset_deps={
        "device_benchmark": set(),
        "page": {dg.AssetKey(HOST_REPORT.split("/")), dg.AssetKey(DEVICE_REPORT.split("/"))},
    },
)
def phones(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.Output[Mapping[str, bytes]]]:
    """The rows of phones, if there are any, and the page of all rows."""
    from dfp_platform.mobile.host import HostBenchmark
    from dfp_platform.mobile.phone_rows import FOLDER, rows_in
    from dfp_platform.reports.phones import phones_report, render_phones

    folder = settings().home / FOLDER
    rows = [row.model_dump(mode="json") for row in rows_in(folder)]
    if rows:
        yield dg.Output(
            {"report.json": _json(rows)}, "device_benchmark", metadata={**benchmark_plots(rows), "rows": len(rows)}
        )
    else:
        context.log.warning(f"skipped: no phone has been measured, {folder} holds no row. next: dfp device run")
        kept = lake.files(DEVICE_REPORT).get("report.json")
        rows = json.loads(kept) if kept else []
    host = HostBenchmark.from_json(lake.files(HOST_REPORT)["report.json"]).model_dump(mode="json")
    report = phones_report([*host["rows"], *rows], host["quality"], synthetic=host["synthetic"])
    choices = {f"choice, {choice['model']}, {choice['place']}": choice["sentence"] for choice in report["choices"]}
    page = render_phones(report, machine=host["machine"], content=lake.content(HOST_REPORT))
    yield dg.Output(
        {"index.html": page, "report.json": _json(report)},
        "page",
        metadata={**benchmark_plots(report["rows"]), **choices},
    )


def _json(told: object) -> bytes:
    return (json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _measured(lake: LakeResource, dataset: pa.Table, places: pa.Table) -> "list[Measured]":
    """What stands on the branch of the phone networks, with the test apps of each."""
    from dfp_platform.mobile.artifact import MobileArtifact
    from dfp_platform.mobile.host import Measured

    found = []
    for name in PHONE_NETWORKS:
        there = {asset: lake.files(asset) for asset in artifacts_of(name)}
        artifacts = tuple(MobileArtifact.from_files(files) for files in there.values() if files)
        if artifacts:
            weights = lake.files(f"models/{name}")
            test = own_split(weights, dataset, places).test
            found.append(Measured(weights, artifacts, test.matrix, test.labels))
    if not found:
        raise NotFoundError("no artifact of a phone network is on this branch", hint="make some first: dfp export")
    return found


assets: list[dg.AssetsDefinition] = []
beyond = [host_benchmark, phones]
checks = [quiet_machine]
