"""When models are trained anew: pure decisions over what stands on branches, what is remembered of them, and the time.

A branch is settled while its models were made from what stands on it. Else its inputs have changed; once they have
been quiet for a while, and no retraining of the branch is under way, one is asked for: once for each content, until
the content changes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True, slots=True)
class Look:
    """What stands at the head of a branch.

    Attributes:
        head: the commit.
        inputs: names the content of all that models are made from.
        stale: the assets, on the way to the models and these themselves, that were not made from what stands there.
    """

    head: str
    inputs: str
    stale: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Changed inputs that wait for quiet; times are seconds since the epoch.

    Attributes:
        since: when these inputs were first seen.
        first: when the first of the changes was seen that no retraining was asked for since.
        seen: the head at which these inputs were first seen; names the request.
    """

    since: float
    first: float
    seen: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a branch from tick to tick.

    Attributes:
        look: what stood at the head that was looked at last.
        waiting: its inputs changed, and no retraining was asked for yet.
        asked: the key of the request that was made for these inputs.
    """

    look: Look
    waiting: Waiting | None = None
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The newest retraining of a branch, or the newest try to run it again: its run, and the request it came from."""

    run_id: str
    status: str
    ended: bool
    key: str


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that inputs have to be quiet for, and seconds after which nobody waits for quiet any more."""

    quiet: float
    longest: float


@dataclass(frozen=True, slots=True)
class Request:
    """A retraining: of which branch, on what stands there, and a key that the same request has always."""

    branch: str
    look: Look
    key: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to ask for, what to remember, and a sentence about each branch, those first whose models are stale."""

    requests: tuple[Request, ...]
    watches: Mapping[str, Watch]
    sentences: tuple[str, ...]


def decide(
    watches: Mapping[str, Watch],
    looks: Mapping[str, Look | None],
    attempts: Mapping[str, Attempt],
    *,
    now: float,
    patience: Patience,
) -> Decision:
    """Which branches are trained anew now.

    Args:
        watches: what the tick before remembered.
        looks: every branch that is followed, as it stands; None: a later tick will look, until then all is as it was.
        attempts: the newest retraining of each branch that had one; those of settled branches are not needed.
    """
    steps = {
        branch: _step(branch, look, watches.get(branch), attempts.get(branch), now, patience)
        for branch, look in looks.items()
        if look is not None
    }
    later = [branch for branch, look in looks.items() if look is None]
    stale_first = sorted(steps, key=lambda branch: not steps[branch].watch.look.stale)
    return Decision(
        requests=tuple(step.request for step in steps.values() if step.request is not None),
        watches={branch: step.watch for branch, step in steps.items()}
        | {branch: watches[branch] for branch in later if branch in watches},
        sentences=tuple(f"{branch}: {steps[branch].sentence}" for branch in stale_first)
        + tuple(f"{branch}: looked at by a later tick" for branch in later),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    watch: Watch
    sentence: str
    request: Request | None = None


def _step(
    branch: str, look: Look, before: Watch | None, attempt: Attempt | None, now: float, patience: Patience
) -> _Step:
    if not look.stale:
        return _Step(Watch(look), "its models were made from what stands there")
    if before is not None and before.asked and before.look.inputs == look.inputs:
        return _asked(Request(branch, look, before.asked), attempt)
    waiting = _waiting(look, before, now)
    if attempt is not None and not attempt.ended:
        told = f"inputs changed; run {attempt.run_id} ({attempt.status}) trains earlier ones still"
        return _Step(Watch(look, waiting), told)
    left = min(waiting.since + patience.quiet, waiting.first + patience.longest) - now
    if left > 0:
        return _Step(Watch(look, waiting), f"inputs changed; trained anew after {left:.0f} s without another change")
    request = Request(branch, look, key=f"{branch}@{waiting.seen}")
    return _Step(Watch(look, asked=request.key), f"inputs changed; trained anew, from {look.stale[0]} on", request)


def _asked(request: Request, attempt: Attempt | None) -> _Step:
    """A request is made again until its run is there: Dagster starts one run a key, however often it is asked."""
    watch = Watch(request.look, asked=request.key)
    if attempt is None or attempt.key != request.key:
        return _Step(watch, "asked for, and its run is not there yet", request)
    return _Step(watch, f"asked for at these inputs already: run {attempt.run_id} is {attempt.status}")


def _waiting(look: Look, before: Watch | None, now: float) -> Waiting:
    """Since when inputs wait. Where the clock was put back, the wait begins anew."""
    if before is None or before.waiting is None:
        return Waiting(since=now, first=now, seen=look.head)
    waiting = before.waiting
    first = min(waiting.first, now)
    if before.look.inputs != look.inputs:
        return Waiting(since=now, first=first, seen=look.head)
    return Waiting(since=min(waiting.since, now), first=first, seen=waiting.seen)


# -- the cursor -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cursor:
    version: Literal[1]
    branches: dict[str, Watch] = field(default_factory=dict)


_CURSOR = TypeAdapter(_Cursor)


def to_cursor(watches: Mapping[str, Watch]) -> str:
    """What is remembered, as JSON."""
    return _CURSOR.dump_json(_Cursor(version=1, branches=dict(watches)), exclude_defaults=True).decode()


def from_cursor(text: str | None) -> dict[str, Watch]:
    """What a cursor remembers; nothing if there is none, or none that this version can read."""
    try:
        return _CURSOR.validate_json(text or "").branches
    except ValidationError:
        return {}
