"""The UI job `smoke_test`: `dfp doctor` inside the stack, one step a door."""

from collections.abc import Iterator
from contextlib import nullcontext

import dagster as dg

from dfp_platform.probes import DOORS, Door, Result, tried
from dfp_platform.publishing.instance_doors import Dagster, instance_doors
from dfp_platform.resources.dagster_internals import Graph, graph_of
from dfp_platform.settings import settings


def _doors_in(context: dg.OpExecutionContext) -> tuple[Door, ...]:
    """Every door, as it is seen from inside a run: its own instance, its own code location."""

    def graph() -> Graph:
        return graph_of(context.repository_def.asset_graph)

    return (*DOORS, *instance_doors(Dagster(lambda: nullcontext(context.instance), graph, context.run_id)))


def _graph_elsewhere() -> Graph:
    raise LookupError("no run is under way")


_NAMED = (*DOORS, *instance_doors(Dagster(dg.DagsterInstance.ephemeral, _graph_elsewhere)))
"""The same doors by name; what they ask is found once a run is under way."""


def _step(name: str) -> str:
    return name.replace(" ", "_")


@dg.op(
    name="doors_in_use",
    out={_step(door.name): dg.Out(dg.Nothing, is_required=False) for door in _NAMED},
    description="Which doors this stack needs, by its settings; the steps of the others are skipped.",
)
def doors_in_use(context: dg.OpExecutionContext) -> Iterator[dg.Output]:
    """One output a door that is used; the log says why the others are not."""
    for door in _doors_in(context):
        if why := door.unused(settings()):
            context.log.info("%s is not used: %s", door.name, why)
        else:
            yield dg.Output(None, _step(door.name))


def door_step(named: Door) -> dg.OpDefinition:
    """The step that tries one door, and fails with what to do if it is shut. No other step waits for it.

    In the job it goes by the door's own name, which as a name of an op could be that of a job: `features` is one.
    """

    @dg.op(name=f"{_step(named.name)}_door", ins={"needed": dg.In(dg.Nothing)}, description=named.tells)
    def step(context: dg.OpExecutionContext) -> None:
        [door] = (door for door in _doors_in(context) if door.name == named.name)
        found = tried(door, settings())
        metadata = {"status": found.status, "found": found.said, **found.facts, "ms": found.ms or 0.0}
        if found.status == "failed":
            raise dg.Failure(
                f"{found.line}\n  next: {found.hint}", metadata={**metadata, "next": found.hint}, allow_retries=False
            )
        context.add_output_metadata({**metadata, **({"next": found.hint} if found.hint else {})})
        (context.log.warning if found.status == "warning" else context.log.info)(_told(found))

    return step


def _told(found: Result) -> str:
    return f"{found.line}\n  next: {found.hint}" if found.hint else found.line


_STEPS = tuple((door, door_step(door)) for door in _NAMED)


@dg.job(
    name="smoke_test",
    executor_def=dg.in_process_executor,
    description="Whether everything that this stack needs answers: one step a door, skipped where it is not used. "
    "`dfp doctor` is the same from a shell.",
)
def smoke_test() -> None:
    """One op that says which doors are used, and one op a door."""
    used = doors_in_use()
    for door, step in _STEPS:
        step.alias(_step(door.name))(getattr(used, _step(door.name)))
