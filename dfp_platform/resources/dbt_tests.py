"""dbt's tests as people read them: what each asks, and some of the rows that broke it."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation

from dfp_platform.errors import DfpError
from dfp_platform.resources.checks import ROWS, completed, sample
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings

QUERY_LETTERS = 4_000
"""Of the query behind a failed test, so many are shown."""

_WORDS = {
    "not_null": "No row lacks {column_name}.",
    "unique": "No value of {column_name} is there twice.",
    "accepted_values": "{column_name} is one of {values}.",
    "relationships": "Every {column_name} is a {field} of {to}.",
    "unique_together": "No two rows agree in {columns}.",
    "at_least": "There are at least {rows} rows.",
    "share_at_most": "{condition} holds for no larger share of the rows than {share}.",
}
"""What a generic test asks, by its name and the words it is told."""


def description(test: Mapping[str, Any]) -> str:
    """What a test asks: as its description says, else by its kind, else by the comment that its SQL begins with.

    Args:
        test: a node of dbt's manifest.
    """
    if told := test.get("description"):
        return str(told)
    kind = test.get("test_metadata") or {}
    words = _WORDS.get(kind.get("name", ""))
    if words:
        where = test["config"].get("where")
        asked = words.format_map({name: _listed(value) for name, value in kind["kwargs"].items()})
        return f"{asked[:-1]}, where {where}." if where else asked
    lines = str(test.get("raw_code", "")).strip().splitlines()
    comment = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    text = " ".join(line.removeprefix("--").strip() for line in lines[:comment])
    return f"Nothing is found: {text[:1].lower()}{text[1:]}" if text else ""


def failing_queries(invocation: DbtCliInvocation) -> dict[str, str]:
    """The compiled query of each test that found rows, by its unique id."""
    results = invocation.get_artifact("run_results.json")["results"]
    return {
        result["unique_id"]: result.get("compiled_code") or ""
        for result in results
        if result["unique_id"].startswith("test.") and result["status"] in ("fail", "warn")
    }


def judged(lake: LakeResource, said: dg.AssetCheckResult, queries: Mapping[str, str]) -> dg.AssetCheckResult:
    """What a test said, with the number of rows that broke it, some of them, and the query that finds them.

    Args:
        queries: see `failing_queries`.
    """
    found, unique_id = (said.metadata.get(name) for name in ("dagster_dbt/failed_row_count", "unique_id"))
    told: dict[str, dg.MetadataValue[Any]] = {}
    if isinstance(found, dg.IntMetadataValue) and found.value is not None:
        told["figure"], told["limit"] = dg.MetadataValue.float(float(found.value)), dg.MetadataValue.float(0.0)
        told["unit"] = dg.MetadataValue.text("rows that break the rule")
    if sql := queries.get(str(unique_id.value), "") if unique_id else "":
        told["query"] = dg.MetadataValue.md(f"```sql\n{_cut(sql)}\n```")
    if rows := _bad_rows(lake, sql):
        told["sample of bad rows"] = rows
    return completed(lake, said, also=told)


def _bad_rows(lake: LakeResource, sql: str) -> dg.TableMetadataValue | None:
    """Some rows that a query finds on the run's branch; None where another engine than DataFusion made the tables."""
    if not sql or settings().engine != "datafusion":
        return None
    from dfp_platform.catalog import query

    try:
        return sample(query(lake.store, lake.ref, f"select * from ({sql}) as found limit {ROWS}").to_pylist())
    except DfpError:  # a sample is no reason to fail: the verdict stands without it
        return None


def _listed(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
    return text.removeprefix("ref('").removesuffix("')")


def _cut(sql: str) -> str:
    text = sql.strip()
    return text if len(text) <= QUERY_LETTERS else f"{text[:QUERY_LETTERS]}\n-- …"
