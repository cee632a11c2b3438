"""A small world in which others commit, ticks come, runs are queued and end; what asks for them is the real code.

Used by tests and by `benchmarks.retraining`. Trainings are not run: a model is a line of text that names what it was
trained on. A run reads the commit it was asked for, and publishes as runs do: only if what it read still stands.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from dfp_platform.lake import Lake
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.schemas import CommitId
from dfp_platform.sensors.looking import Looking
from dfp_platform.sensors.watching import Attempt, Decision, Patience, Request, decide, from_cursor, to_cursor

RAW, DATA, MODEL = "raw/apps", "data/training", "models/m"
GRAPH = Graph(
    dependencies={RAW: (), DATA: (RAW,), MODEL: (DATA,), "reports/r": (MODEL,)}, required={}, code_versions={}
)
PATIENCE = Patience(quiet=60.0, longest=600.0)


@dataclass
class Run:
    """A retraining in Dagster's queue."""

    number: int
    request: Request
    epoch: int
    status: str = "QUEUED"


@dataclass
class World:
    """A lake, a clock, a queue and the cursor of the sensor.

    Attributes:
        epochs: how often the inputs of a branch changed.
        asked: how many runs were started for each epoch of a branch.
    """

    lake: Lake
    patterns: tuple[str, ...] = ("main", "feature-*")
    now: float = 0.0
    cursor: str = ""
    runs: list[Run] = field(default_factory=list)
    looking: Looking = field(default_factory=lambda: Looking(GRAPH, [MODEL]))
    epochs: Counter[str] = field(default_factory=Counter)
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)

    def text(self, ref: str, asset: str) -> str:
        """What an asset holds; empty if it is not there."""
        return self.lake.read(ref, asset).decode() if self.lake.exists(ref, asset) else ""

    def put(self, branch: str, asset: str, text: str) -> None:
        """A commit by somebody; equal text makes none."""
        before = self.lake.resolve(branch)
        if self.lake.commit(branch, {asset: text.encode()}, message=f"{asset} = {text}") != before:
            self.epochs[branch] += asset in (RAW, DATA)

    def decided(self) -> Decision:
        """One tick; runs that Dagster has not had yet are queued, one for each key."""
        watches = from_cursor(self.cursor)
        looks = self.looking.looks(self.lake, self.patterns, watches, draw=random.Random(self.now))
        newest = {run.request.branch: run for run in self.runs}
        attempts = {
            branch: Attempt(f"run {run.number}", run.status, run.status not in ("QUEUED", "STARTED"), run.request.key)
            for branch, run in newest.items()
        }
        decision = decide(watches, looks, attempts, now=self.now, patience=PATIENCE)
        self.cursor = to_cursor(decision.watches)
        known = {run.request.key for run in self.runs}
        for request in decision.requests:
            if request.key not in known:
                epoch = self.epochs[request.branch]
                self.runs.append(Run(len(self.runs), request, epoch))
                self.asked[request.branch, epoch] += 1
        return decision

    def waiting(self) -> list[Run]:
        """Runs that have not ended, oldest first."""
        return [run for run in self.runs if run.status == "QUEUED"]

    def finish(self, run: Run, *, fails: bool = False) -> None:
        """Let a run do its work on a branch of the commit it was asked for, and publish it if nothing moved."""
        branch, base = run.request.branch, CommitId(run.request.look.head)
        moved = branch not in self.lake.branches() or any(
            self.text(base, asset) != self.text(branch, asset) for asset in (RAW, DATA)
        )
        if fails or moved:
            run.status = "FAILURE"
            return
        name, data = f"run-{run.number}", self.text(base, DATA)
        self.lake.create_branch(name, base)
        if DATA in run.request.look.stale:
            data = f"made of {self.text(base, RAW)}"
            self.epochs[branch] += data != self.text(base, DATA)
            self.lake.commit(name, {DATA: data.encode()}, message="tables")
        self.lake.commit(name, {MODEL: f"trained on {data}".encode()}, message="models")
        self.lake.merge(name, branch, message=f"publish run {run.number}")
        self.lake.delete_branch(name)
        run.status = "SUCCESS"

    def settled(self, branch: str) -> bool:
        """Whether the models of a branch were made from what stands there, by a look that remembers nothing."""
        return not Looking(GRAPH, [MODEL]).look(self.lake, self.lake.resolve(branch)).stale

    def come_to_rest(self) -> None:
        """Nobody commits any more; ticks come, and every run that is asked for succeeds."""
        for _ in range(4):
            self.now += PATIENCE.quiet
            self.decided()
            for run in self.waiting():
                self.finish(run)
