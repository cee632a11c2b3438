"""Checks of raw rows beside the one that there are some: do they keep the contract, and has a part of them gone."""

import dagster as dg

from dfp_platform.assets.raw import DATASETS
from dfp_platform.resources.checks import asset_check, sample
from dfp_platform.resources.lake import LakeResource

LOST = 0.1
"""Share of a data set's rows that a new load may lack before the check warns."""


def contract(dataset: str) -> dg.AssetChecksDefinition:
    """The pandera schema of the border, over the rows of the table as they stand."""

    @asset_check(
        asset=["tables", "raw", dataset],
        name="contract",
        description="Every row keeps the contract (pandera): columns, types, ranges, labels, dates. The border refuses "
        "what does not; this finds what came by another way.",
    )
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        from dfp_platform.catalog import open_catalog
        from dfp_platform.ingest.standing import breaches

        table = open_catalog(lake.store, lake.ref).load_table(("raw", dataset))
        found = breaches(table.scan().to_arrow_batch_reader())
        return dg.AssetCheckResult(
            passed=not found.cells,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "figure": float(found.cells),
                "limit": 0.0,
                "unit": "cells that break the contract",
                "rows": found.rows,
                **({"sample of bad cells": shown} if (shown := sample(found.shown)) else {}),
            },
        )

    return check


def volume(dataset: str) -> dg.AssetChecksDefinition:
    """How many rows a load has against what stood there before it."""

    @asset_check(
        asset=["raw", dataset],
        name="volume",
        description="The newest load did not leave many fewer rows than had landed before it.",
    )
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        from dfp_platform.ingest import origin
        from dfp_platform.ingest.standing import rows_before

        now, before = origin(lake.store, lake.ref, dataset).rows, rows_before(lake.store, lake.ref, dataset)
        lost = max(0.0, 1 - now / before) if before else 0.0
        return dg.AssetCheckResult(
            passed=lost <= LOST,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "figure": lost,
                "limit": LOST,
                "unit": "share of the rows that is gone",
                "rows": now,
                **({"rows before": before} if before is not None else {}),
            },
        )

    return check


checks = [make(dataset) for make in (contract, volume) for dataset in DATASETS]
