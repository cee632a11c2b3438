"""The executor that gives every run its branch and ends it by publishing: a run succeeds only if it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
from dagster import Executor

from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.lake.ownership import renew_lease, run_branch
from dfp_platform.publishing.branching import begin_run
from dfp_platform.publishing.catching_up import Judge
from dfp_platform.publishing.gate import Reason
from dfp_platform.publishing.launch import JUDGES_TAG, judge_in
from dfp_platform.publishing.promotions import settle
from dfp_platform.publishing.publication import PUBLISHED_TAG, Outcome, Publisher
from dfp_platform.publishing.reconciler import reconcile
from dfp_platform.publishing.recovery import steps_to_fail
from dfp_platform.publishing.truth import tell_truth
from dfp_platform.publishing.workers import WORKER_TAG, this_worker
from dfp_platform.resources.dagster_internals import (
    config_of,
    note,
    plan_graph,
    step_failed,
    steps_by_asset,
)
from dfp_platform.resources.dagster_judging import repository_of
from dfp_platform.resources.kubernetes_access import step_pods
from dfp_platform.settings import settings


class PublishingExecutor(Executor):
    """Wraps any executor: opens the run's branch before it, publishes or holds back after it.

    Args:
        inner: the executor that runs the steps.
        lake: where results are published.
    """

    def __init__(self, inner: Executor, lake: Lake) -> None:
        self._inner = inner
        self._lake = lake

    @property
    def retries(self) -> Any:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        run_id = plan_context.run_id
        publisher = Publisher(
            self._lake, plan_context.instance, plan_graph(plan_context), settle, _judge_of(plan_context, run_id)
        )
        steps = tuple(execution_plan.step_keys_to_execute)
        inherited = {PUBLISHED_TAG: ""} if PUBLISHED_TAG in plan_context.dagster_run.tags else {}
        publisher.instance.add_run_tags(run_id, {WORKER_TAG: this_worker(), **inherited})
        try:
            if JUDGES_TAG not in plan_context.dagster_run.tags:  # one that judges runs inside a publication
                reconcile(publisher, except_run=run_id)
            begun = begin_run(publisher, plan_context.dagster_run, steps, steps_by_asset(execution_plan))
        except Exception as error:  # as in `_end`
            yield step_failed(plan_context, execution_plan, steps[0], str(error))
            return
        yield note(plan_context, begun.sentence)
        failed: list[str] = []
        try:
            for event in () if begun.only_publishes else self._inner.execute(plan_context, execution_plan):
                if event.is_step_failure:
                    failed.append(str(event.step_key))
                if event.is_step_start:
                    renew_lease(self._lake, run_id)
                yield event
        except BaseException as error:
            self._abandon(publisher, run_id, f"the run ended early: {type(error).__name__}", tuple(failed))
            raise
        yield from self._end(plan_context, execution_plan, publisher, tuple(failed))

    def _end(
        self, plan_context: Any, execution_plan: Any, publisher: Publisher, failed: tuple[str, ...]
    ) -> Iterator[Any]:
        run_id = plan_context.run_id
        if failed:
            self._abandon(publisher, run_id, f"steps failed: {', '.join(failed)}", failed)
            return
        try:
            outcome = publisher.publish(run_id, allowed_status="STARTED")
        except Exception as error:  # whatever went wrong, the record has to say so on a step that can be re-executed
            last = execution_plan.step_keys_to_execute[-1]
            reason = Reason("step", f"publication failed: {error}")
            publisher.hold(run_id, (reason,), steps=(last,), complete=True, redo=False)
            self._tell(publisher, run_id)
            yield step_failed(plan_context, execution_plan, last, str(error))
            return
        if not outcome.reasons:
            if outcome.commit is None:  # a publication has told it
                held = outcome.branch if outcome.target else None
                tell_truth(publisher.instance, self._lake, publisher.graph, held_back=held)
            yield note(plan_context, _sentence(outcome))
            return
        yield from self._held_back(plan_context, execution_plan, publisher, outcome)

    def _held_back(
        self, plan_context: Any, execution_plan: Any, publisher: Publisher, outcome: Outcome
    ) -> Iterator[Any]:
        again = steps_to_fail(execution_plan, outcome.reasons)
        steps = again or (execution_plan.step_keys_to_execute[-1],)
        publisher.hold(outcome.run_id, outcome.reasons, steps=steps, complete=True, redo=bool(again))
        self._tell(publisher, outcome.run_id)
        why = "; ".join(reason.sentence for reason in outcome.reasons)
        for step in steps:
            yield step_failed(plan_context, execution_plan, step, f"not published: {why}. Branch: {outcome.branch}")

    def _abandon(self, publisher: Publisher, run_id: str, why: str, steps: tuple[str, ...]) -> None:
        publisher.record_verdicts(run_id)
        publisher.hold(run_id, (Reason("step", why),), steps=steps, complete=False, redo=True)
        self._tell(publisher, run_id)

    def _tell(self, publisher: Publisher, run_id: str) -> None:
        tell_truth(publisher.instance, self._lake, publisher.graph, held_back=run_branch(run_id))


def _judge_of(plan_context: Any, run_id: str) -> Judge | None:
    repository = repository_of(plan_context)
    if repository is None:
        return None
    return judge_in(repository, plan_context.instance, run_id, plan_context.dagster_run.run_config)


def _sentence(outcome: Outcome) -> str:
    if outcome.target is None:
        return f"not published: this run has no target; its results are on {outcome.branch}"
    if outcome.commit is None:
        return f"a proposal, on {outcome.branch}: `dfp publish {outcome.run_id}` publishes it to {outcome.target}"
    if not outcome.changed:
        return f"nothing new to publish: {outcome.target} already holds equal content"
    return f"published to {outcome.target} as {outcome.commit}"


def publishing(inner: dg.ExecutorDefinition, **fixed: Any) -> dg.ExecutorDefinition:
    """An executor definition that publishes what `inner` ran; takes the same run config as `inner`.

    Args:
        fixed: config of `inner` that stands for every run.
    """

    @dg.executor(name="publishing", config_schema=config_of(inner), requirements=inner.get_requirements({}) or None)
    def publishing_executor(init_context: dg.InitExecutorContext) -> Executor:
        creation = inner.executor_creation_fn
        assert creation is not None
        context = init_context._replace(executor_config={**init_context.executor_config, **fixed})
        return PublishingExecutor(creation(context), open_lake(settings().lake_uri, create=True))

    return publishing_executor


EXECUTORS: dict[str, Callable[[], dg.ExecutorDefinition]] = {
    "in_process": lambda: publishing(dg.in_process_executor),
    "multiprocess": lambda: publishing(dg.multiprocess_executor),
    "forkserver": lambda: publishing(
        dg.multiprocess_executor, start_method={"forkserver": {"preload_modules": ["dfp_platform.definitions"]}}
    ),
    "kubernetes": lambda: publishing(step_pods(), enable_owner_references=True),
}
"""Where the steps of a run execute, by `Settings.step_process`."""
