"""The UI job `publish`: try again to publish a run that was held back."""

import dagster as dg

from dfp_platform.errors import HeldBackError
from dfp_platform.publishing.launch import publish_run
from dfp_platform.resources.dagster_internals import graph_of


class PublishConfig(dg.Config):
    """Which run to publish."""

    run_id: str


@dg.op
def publish_held_run(context: dg.OpExecutionContext, config: PublishConfig) -> str:
    """Publish a held-back run through the same gate; fails with the reasons if it is held back again."""
    outcome = publish_run(config.run_id, instance=context.instance, graph=graph_of(context.repository_def.asset_graph))
    if outcome.reasons:
        reasons = [reason.sentence for reason in outcome.reasons]
        raise HeldBackError(
            f"run {config.run_id} is held back: {'; '.join(reasons)}",
            hint=f"look at it with `dfp lake diff main..{outcome.branch}`",
            run_id=config.run_id,
            branch=outcome.branch,
            reasons=reasons,
        )
    context.log.info("run %s is published as %s", config.run_id, outcome.commit)
    return str(outcome.commit)


@dg.job(
    name="publish",
    executor_def=dg.in_process_executor,
    description="Try again to publish a run that was held back: the same checks, the same gate.",
)
def publish_job() -> None:
    """One op: `publish_held_run`."""
    publish_held_run()
