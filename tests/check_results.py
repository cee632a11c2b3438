"""What checks say, read back as a person sees it on their page."""

from __future__ import annotations

from typing import Any

import dagster as dg


def table(said: dg.AssetCheckResult | dg.AssetCheckEvaluation, name: str) -> list[dict[str, Any]]:
    """The rows of a table in the metadata of a check."""
    shown = said.metadata[name]
    assert isinstance(shown, dg.TableMetadataValue)
    return [dict(row.data) for row in shown.records]


def named(said: dg.AssetCheckResult | dg.AssetCheckEvaluation, name: str) -> dict[str, Any]:
    """A table of names and values as a dict."""
    return {row["name"]: row["value"] for row in table(said, name)}
