"""The UI job `maintain`: small files become big, old snapshots go, and what no ref reaches any more is removed."""

from contextlib import nullcontext
from dataclasses import asdict

import dagster as dg
from pydantic import Field

from dfp_platform.errors import InputError, StaleHeadError
from dfp_platform.lake import open_lake
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


@dg.job(
    name="maintain",
    executor_def=dg.in_process_executor,
    description="Compact tables, expire old snapshots, and find (or delete) what no branch or tag reaches.",
)
def maintain_job() -> None:
    """Two ops, one after the other."""
    collect_lake_garbage(after=maintain_tables())


maintain_weekly = dg.ScheduleDefinition(
    name="maintain_weekly",
    job=maintain_job,
    cron_schedule="0 3 * * 0",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Maintenance every Sunday at three; off until somebody turns it on.",
)
