"""The job `maintain`: small files become big, old snapshots go, and what no ref reaches and no branch serves."""

import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from dfp_platform.errors import InputError, NotFoundError, StaleHeadError
from dfp_platform.lake import open_lake
from dfp_platform.lake.ownership import left_behind
from dfp_platform.resources.retrying import retries
from dfp_platform.settings import settings


class MaintainConfig(dg.Config):
    """What to do, and how much to keep."""

    branch: str = Field("", description="Branch whose tables are maintained; empty: the configured one.")
    compact: bool = Field(True, description="Rewrite small data files into big ones.")
    engine: str = Field("pyiceberg", description="Who rewrites them: pyiceberg, in this process, or spark.")
    snapshot_days: float = Field(30.0, ge=0, description="Snapshots older than this leave the tables' metadata.")
    delete: bool = Field(False, description="Remove what no ref reaches; otherwise it is only counted.")
    grace_hours: float = Field(24.0, ge=0, description="What was written since is never removed.")
    history_days: float | None = Field(None, description="Days of history whose files are kept; empty: all of it.")
    run_days: float = Field(
        30.0, ge=0, description="With delete: branches of runs that were not published, after these."
    )
    prediction_days: float | None = Field(
        None, ge=1, description="With delete: logged predictions go after these; empty: they stay."
    )
    online_days: float = Field(7.0, ge=0, description="With delete: online versions that nobody serves go after these.")


@dg.op
def maintain_tables(context: dg.OpExecutionContext, config: MaintainConfig) -> None:
    """Compaction and expiry, one commit each and a table, on one branch; a table that somebody else writes waits."""
    from dfp_platform.catalog import open_catalog
    from dfp_platform.catalog.maintenance import expire_snapshots
    from dfp_platform.resources.compaction import compaction

    lake, branch = open_lake(settings().lake_uri, create=True), config.branch or settings().branch
    catalog = open_catalog(lake, branch)
    engine = compaction(config.engine, lake, branch) if config.compact else nullcontext()
    with engine as compact:
        for identifier in catalog.all_tables():
            try:
                if compact is not None:
                    context.log.info("compacted: %s", compact(identifier))
                done = expire_snapshots(catalog, identifier, older_than_days=config.snapshot_days)
                context.log.info("expired: %s", done)
            except (StaleHeadError, InputError) as error:
                context.log.warning("%s is left as it is: %s", ".".join(identifier), error)


@dg.op(ins={"after": dg.In(dg.Nothing)})
def join_predictions(context: dg.OpExecutionContext, config: MaintainConfig) -> None:
    """Files of logged predictions become few once their day is over; days that are too old are forgotten."""
    from dfp_platform.serving.prediction_days import forget_days, join_days

    lake, now = open_lake(settings().lake_uri, create=True), datetime.now(UTC)
    if config.delete and config.prediction_days is not None:
        gone = forget_days(lake, before=now - timedelta(days=config.prediction_days))
        context.log.info("predictions forgotten: %s", ", ".join(gone) or "none")
    for joined in join_days(lake, now=now) if config.compact else ():
        context.log.info("predictions of %s: %d files became %d", joined.day, joined.files, joined.into)


@dg.op(ins={"after": dg.In(dg.Nothing)})
def delete_old_run_branches(context: dg.OpExecutionContext, config: MaintainConfig) -> None:
    """Branches of runs that were held back or died, once nobody has touched them for long; then their files can go."""
    lake = open_lake(settings().lake_uri, create=True)
    old = left_behind(lake, before=time.time() - timedelta(days=config.run_days).total_seconds())
    gone = []
    for branch, head in old.items() if config.delete else ():
        try:
            lake.delete_branch(branch, expect=head)
            gone.append(branch)
        except (StaleHeadError, NotFoundError) as error:
            context.log.warning("%s is left as it is: %s", branch, error)
    context.add_output_metadata({"old branches": len(old), "deleted": len(gone)})
    context.log.info("old run branches: %s; deleted: %s", ", ".join(old) or "none", ", ".join(gone) or "none")


@dg.op(ins={"after": dg.In(dg.Nothing)})
def collect_lake_garbage(context: dg.OpExecutionContext, config: MaintainConfig) -> None:
    """Garbage collection over all refs of the lake."""
    from dfp_platform.catalog.collection import collect_garbage

    found = collect_garbage(
        open_lake(settings().lake_uri, create=True),
        delete=config.delete,
        grace_hours=config.grace_hours,
        history_days=config.history_days,
    )
    context.add_output_metadata({"bytes": found.total.bytes, "files": found.total.files, "deleted": found.deleted})
    context.log.info("garbage: %s", asdict(found))


@dg.op(ins={"after": dg.In(dg.Nothing)})
def prune_online_features(context: dg.OpExecutionContext, config: MaintainConfig) -> None:
    """Online versions that no branch serves or would go back to, and what killed writers left of some."""
    from dfp_platform.features import open_keeper

    if not config.delete:
        return
    with closing(open_keeper(settings())) as keeper:
        gone = keeper.prune(before=datetime.now(UTC) - timedelta(days=config.online_days))
    context.log.info("online versions removed: %s", ", ".join(gone) or "none")


@dg.job(
    name="maintain",
    executor_def=dg.in_process_executor,
    op_retry_policy=retries().policy("maintain"),
    description="Compact tables, expire old snapshots, join files of predictions, find (or delete) run branches that "
    "nobody published, what no branch reaches, and online versions that none serves.",
)
def maintain_job() -> None:
    """Five ops, one after the other."""
    joined = join_predictions(after=maintain_tables())
    prune_online_features(after=collect_lake_garbage(after=delete_old_run_branches(after=joined)))


def maintenance(config: Mapping[str, bool | float | str]) -> dict[str, Any]:
    """The run config with which every op of the job is told the same."""
    return {"ops": {op.name: {"config": dict(config)} for op in maintain_job.graph.node_defs}}
