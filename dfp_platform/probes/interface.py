"""What a door is, how it is tried, and what is said of it: never longer than its seconds, never with a secret."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from dfp_platform.errors import DfpError
from dfp_platform.settings import Settings

Status = Literal["ok", "warning", "failed", "not used"]

SECONDS = 5.0
"""Within which a door has to answer unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found behind a door.

    Attributes:
        said: one line for people and logs, ``Redis ping ok: redis:6379``.
        facts: figures beside it, ``{"version": "7.2.5"}``.
        status: a probe that only raises where it failed leaves it at ``ok``.
        hint: what to do; for warnings and failures.
    """

    said: str
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    status: Status = "ok"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """One thing that a stack may need.

    Attributes:
        name: one or two words, ``redis``.
        tells: what it means if the door is open, one sentence.
        probe: tries it, within so many seconds for a single answer; raises where it is shut.
        remedy: what to do about errors that say nothing of it themselves, and about silence.
        unused: why these settings need nothing of it; empty if they do. Asks nobody.
        load: imports what the probe works with, so that its time is not taken for that of the door.
        seconds: within which it has to answer.
    """

    name: str
    tells: str
    probe: Callable[[Settings, float], Finding]
    remedy: str
    unused: Callable[[Settings], str] = lambda at: ""
    load: Callable[[Settings], object] = lambda at: None
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Result:
    """What became of trying a door. `ms`: the answer took so many milliseconds; None: nothing was asked."""

    door: str
    status: Status
    said: str
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    hint: str = ""
    ms: float | None = None

    @property
    def line(self) -> str:
        """What was found, figures included."""
        return ", ".join([self.said, *(f"{name} {value}" for name, value in self.facts.items())])


def load(door: Door, at: Settings) -> Result | None:
    """Import what a door's probe works with, if it is used; what came of it if that is the end. Call it in one thread:
    two that import at once can hand each other half a module."""
    try:
        unused = door.unused(at)
        if unused:
            return _told(door, Finding(unused, status="not used"), at, ms=None)
        door.load(at)
    except Exception as error:
        return _told(door, _failure(door, error), at, ms=None)
    return None


def tried(door: Door, at: Settings) -> Result:
    """Try one door. Never raises, and is back within its seconds: what hangs is left to itself in its thread."""
    if shut := load(door, at):
        return shut
    return _answered(door, at)


def tried_at_once(doors: Sequence[Door], at: Settings, tell: Callable[[Result], None] = lambda _: None) -> list[Result]:
    """Try all doors at once; results are in the order of the doors.

    Args:
        tell: called with each result as it comes, by whatever thread has it.
    """
    shut = {door.name: load(door, at) for door in doors}

    def ask(door: Door) -> Result:
        result = shut[door.name] or _answered(door, at)
        tell(result)
        return result

    with ThreadPoolExecutor(max(1, len(doors))) as pool:
        return list(pool.map(ask, doors))


def _answered(door: Door, at: Settings) -> Result:
    answers: queue.SimpleQueue[Finding] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(door.probe(at, door.seconds * 0.8))
        except Exception as error:
            answers.put(_failure(door, error))

    began = time.perf_counter()
    threading.Thread(target=ask, name=f"door {door.name}", daemon=True).start()
    try:
        found = answers.get(timeout=door.seconds)
    except queue.Empty:
        found = Finding(f"no answer within {door.seconds:g} s", status="failed", hint=door.remedy)
    return _told(door, found, at, ms=1000 * (time.perf_counter() - began))


def _failure(door: Door, error: Exception) -> Finding:
    if isinstance(error, DfpError):
        return Finding(error.message, status="failed", hint=error.hint or door.remedy)
    if isinstance(error, ImportError):
        return Finding(f"cannot be asked: {error}", status="failed", hint=f"install {error.name}: make env")
    said = str(error).strip() or "no reason given"
    return Finding(f"{type(error).__name__}: {said.splitlines()[0][:300]}", status="failed", hint=door.remedy)


def _told(door: Door, found: Finding, at: Settings, *, ms: float | None) -> Result:
    hidden = at.without_secrets  # libraries put addresses, passwords included, into their errors
    facts = {name: hidden(value) if isinstance(value, str) else value for name, value in found.facts.items()}
    took = None if ms is None else round(ms, 1)
    return Result(door.name, found.status, hidden(found.said), facts, hidden(found.hint), took)
