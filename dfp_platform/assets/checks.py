"""reports/checks: what every check says, and said over the last publications, from the lake's own record.

A publication that changed no verdict does not count, so that publishing this page does not change it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from dfp_platform.assets.choices import CHECKS_REPORT
from dfp_platform.ingest.origin import DATASETS, origins
from dfp_platform.resources.dagster_judging import DescribedCheck, described_checks
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.verdicts import CheckName, Publication, publications, verdict_path
from dfp_platform.schemas import Commit, Verdict

SHOWN = 20
"""Publications that the page goes back at most."""


@dg.asset(key=CHECKS_REPORT.split("/"), io_manager_key="report", group_name="reports", code_version="1", kinds={"html"})
def checks_page(context: dg.AssetExecutionContext, lake: LakeResource) -> Mapping[str, bytes]:
    """What every check says: figure, limit, verdict, commit, and its history over the last publications."""
    from dfp_platform.reports.check_page import render_checks, verdict

    found = publications(lake.store, lake.ref, most=SHOWN, without=CHECKS_REPORT)
    standing = found[-1].verdicts if found else {}
    written = {name: lake.store.provenance(lake.ref, verdict_path(*name)) for name in standing}
    loads = [load for dataset in DATASETS for load in origins(lake.store, lake.ref, dataset)]
    report = checks_report(
        found,
        described_checks(context.repository_def.asset_graph),
        written,
        synthetic=any(load.synthetic for load in loads),
    )
    failing = {f"{one['asset']} {one['check']}": one["figure"] or 0.0 for one in report["checks"] if not one["passed"]}
    context.add_output_metadata({"verdict": verdict(report), "checks": len(report["checks"]), **failing})
    told = json.dumps(report, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"
    return {"index.html": render_checks(report), "report.json": told}


def checks_report(
    found: Sequence[Publication],
    described: Mapping[CheckName, DescribedCheck],
    written: Mapping[CheckName, Commit],
    *,
    synthetic: bool,
) -> dict[str, Any]:
    """The record of the page: publications oldest first, the checks that stand by name, those that wait.

    Args:
        found: see `resources.verdicts.publications`.
        described: every check that the code declares.
        written: the commit that wrote each verdict that stands.
        synthetic: whether apps that were judged were generated.
    """
    standing = found[-1].verdicts if found else {}
    return {
        "synthetic": synthetic,
        "publications": [
            {"commit": one.commit, "time": one.time.isoformat(timespec="seconds"), "run": one.run} for one in found
        ],
        "checks": [
            _told(standing[name], described.get(name), written[name], [one.verdicts.get(name) for one in found])
            for name in sorted(standing)
        ],
        "waiting": [{"asset": asset, "check": check} for asset, check in sorted(described.keys() - standing.keys())],
    }


def _told(
    verdict: Verdict, described: DescribedCheck | None, written: Commit, history: Sequence[Verdict | None]
) -> dict[str, Any]:
    return {
        "asset": verdict.asset,
        "check": verdict.check,
        "description": described.description if described else "no longer declared",
        "blocking": bool(described and described.blocking),
        "passed": verdict.passed,
        "figure": verdict.figure,
        "limit": verdict.limit,
        "commit": written.id,
        "time": written.time.isoformat(timespec="seconds"),
        "run": written.metadata.get("run", ""),
        "history": [{"passed": one.passed, "figure": one.figure} if one else None for one in history],
    }


assets: list[dg.AssetsDefinition] = []
beyond = [checks_page]
checks: list[dg.AssetChecksDefinition] = []
