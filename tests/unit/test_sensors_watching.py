"""When models are trained anew: once for each change, after quiet, and never for what was asked for already."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dfp_platform.sensors.watching import (
    Attempt,
    Decision,
    Look,
    Patience,
    Request,
    Waiting,
    Watch,
    decide,
    from_cursor,
    to_cursor,
)

PATIENCE = Patience(quiet=60.0, longest=600.0)
SETTLED = Look("c0", "A")


def changed(head: str, inputs: str) -> Look:
    return Look(head, inputs, ("models/m",))


class Ticks:
    """The branch main, tick by tick; a cursor is all that is kept between two."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.attempt: Attempt | None = None

    def at(self, now: float, look: Look) -> Decision:
        attempts = {"main": self.attempt} if self.attempt else {}
        told = decide(from_cursor(self.cursor), {"main": look}, attempts, now=now, patience=PATIENCE)
        self.cursor = to_cursor(told.watches)
        return told

    def keys(self, now: float, look: Look) -> list[str]:
        return [request.key for request in self.at(now, look).requests]

    def runs(self, key: str, status: str = "STARTED") -> None:
        self.attempt = Attempt("r1", status, status not in ("QUEUED", "STARTED"), key)


@pytest.fixture
def ticks() -> Ticks:
    ticks = Ticks()
    assert ticks.keys(0, SETTLED) == []
    return ticks


def test_a_change_is_trained_from_once_it_was_quiet_for_long_enough(ticks: Ticks) -> None:
    assert ticks.keys(10, changed("c1", "B")) == []
    assert ticks.keys(69, changed("c1", "B")) == []
    [request] = ticks.at(70, changed("c2", "B")).requests
    assert request == Request("main", changed("c2", "B"), "main@c1"), "it reads the head, and is named by the change"


def test_each_change_begins_the_quiet_anew_but_nobody_waits_for_ever(ticks: Ticks) -> None:
    asked = [now for now in range(0, 1_300, 30) if ticks.keys(now, changed(f"c{now}", f"B{now}"))]
    assert asked == [600, 1_230]


def test_without_any_patience_the_tick_that_sees_a_change_asks(ticks: Ticks) -> None:
    told = decide({}, {"main": changed("c1", "B")}, {}, now=5.0, patience=Patience(0.0, 0.0))
    assert len(told.requests) == 1


def test_a_branch_that_is_seen_for_the_first_time_is_judged_by_what_the_lake_tells() -> None:
    ticks = Ticks()
    assert "60 s" in ticks.at(0, changed("c1", "B")).sentences[0]
    assert ticks.keys(60, changed("c1", "B")) == ["main@c1"]


def test_a_request_is_made_again_until_its_run_is_there_and_then_never_more(ticks: Ticks) -> None:
    ticks.at(0, changed("c1", "B"))
    assert ticks.keys(60, changed("c1", "B")) == ["main@c1"]
    assert ticks.keys(61, changed("c1", "B")) == ["main@c1"], "Dagster starts one run of a key"
    for status in ("QUEUED", "STARTED", "FAILURE", "CANCELED", "SUCCESS"):
        ticks.runs("main@c1", status)
        told = ticks.at(1e6, changed("c9", "B"))
        assert told.requests == ()
        assert f"run r1 is {status}" in told.sentences[0]


def test_while_a_retraining_is_under_way_the_next_waits_and_then_reads_the_newest(ticks: Ticks) -> None:
    ticks.at(0, changed("c1", "B"))
    ticks.at(60, changed("c1", "B"))
    ticks.runs("main@c1", "QUEUED")
    for now, head in ((100, "c2"), (200, "c3"), (5_000, "c3")):
        assert ticks.keys(now, changed(head, head)) == []
    ticks.runs("main@c1", "FAILURE")
    assert ticks.keys(5_030, changed("c3", "c3")) == ["main@c3"]


def test_content_that_failed_and_returned_later_is_a_change_like_any_other(ticks: Ticks) -> None:
    ticks.at(0, changed("c1", "B"))
    ticks.at(60, changed("c1", "B"))
    ticks.runs("main@c1", "FAILURE")
    assert ticks.keys(70, SETTLED) == [], "reverted to what the models were trained on"
    assert ticks.keys(80, changed("c3", "B")) == []
    assert ticks.keys(140, changed("c3", "B")) == ["main@c3"]


def test_what_was_published_settles_the_branch(ticks: Ticks) -> None:
    ticks.at(0, changed("c1", "B"))
    ticks.at(60, changed("c1", "B"))
    ticks.runs("main@c1", "SUCCESS")
    assert ticks.keys(70, Look("c2", "B")) == []
    assert from_cursor(ticks.cursor) == {"main": Watch(Look("c2", "B"))}


def test_days_without_a_tick_lose_nothing(ticks: Ticks) -> None:
    ticks.at(0, changed("c1", "B"))
    assert ticks.keys(1e6, changed("c1", "B")) == ["main@c1"]


def test_a_clock_that_was_put_back_delays_by_one_quiet_at_most(ticks: Ticks) -> None:
    ticks.at(1e6, changed("c1", "B"))
    assert ticks.keys(0, changed("c1", "B")) == []
    assert ticks.keys(60, changed("c1", "B")) == ["main@c1"]


def test_each_branch_is_decided_by_itself_and_one_that_is_gone_is_forgotten() -> None:
    looks = {"main": SETTLED, "x": changed("c1", "B"), "y": changed("c2", "C")}
    first = decide({}, looks, {}, now=0.0, patience=PATIENCE)
    later = decide(first.watches, {"x": looks["x"], "main": SETTLED}, {}, now=60.0, patience=PATIENCE)
    assert [request.branch for request in later.requests] == ["x"]
    assert list(later.watches) == ["x", "main"]


def test_a_branch_that_is_looked_at_later_is_as_it_was() -> None:
    before = {"x": Watch(changed("c1", "B"), Waiting(0.0, 0.0, "c1"))}
    told = decide(before, {"x": None, "new": None}, {}, now=1e6, patience=PATIENCE)
    assert (told.requests, told.watches) == ((), before)


OTHER_FORMS = (
    None,
    "",
    "not json",
    "[]",
    "null",
    "65ce58eb9b7b",
    '{"branches":{"main":{}}}',
    '{"version":0,"main":"c1"}',
    '{"version":2,"branches":{}}',
    '{"version":1,"branches":{"main":{"look":"c1"}}}',
)


@pytest.mark.parametrize("text", OTHER_FORMS)
def test_a_cursor_of_another_form_is_as_none(text: str | None) -> None:
    assert from_cursor(text) == {}


def test_a_cursor_says_all_it_was_told_and_stays_small() -> None:
    look = Look("a" * 40, "b" * 16, ("models/autoencoder", "models/xgboost"))
    watches = {
        "main": Watch(look, Waiting(1.5, 0.5, "c" * 40)),
        "x": Watch(look, asked="x@c1"),
        "settled": Watch(replace(look, stale=())),
    }
    assert from_cursor(to_cursor(watches)) == watches
    assert len(to_cursor({f"feature-{n}": watches["main"] for n in range(200)})) < 60_000


@dataclass
class Line:
    """One branch: what its inputs are, what its models were trained on, and the runs that were asked for."""

    inputs: str = "A"
    trained_on: str = "A"
    head: int = 0
    changes: int = 0
    now: float = 0.0
    cursor: str | None = None
    runs: list[tuple[Request, int]] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)

    def change(self, inputs: str) -> None:
        self.head += 1
        self.changes += inputs != self.inputs
        self.inputs = inputs

    def tick(self) -> None:
        stale = () if self.trained_on == self.inputs else ("models/m",)
        looks = {"main": Look(f"c{self.head}", self.inputs, stale)}
        attempts = {}
        if self.runs:
            key = self.runs[-1][0].key
            attempts["main"] = Attempt("r", self.status[key], self.status[key] != "QUEUED", key)
        told = decide(from_cursor(self.cursor), looks, attempts, now=self.now, patience=PATIENCE)
        self.cursor = to_cursor(told.watches)
        for request in told.requests:
            if request.key not in self.status:  # as Dagster does
                assert "QUEUED" not in self.status.values(), "one at a time"
                self.status[request.key] = "QUEUED"
                self.runs.append((request, self.changes))

    def finish(self, *, fails: bool) -> None:
        for request, _ in self.runs:
            if self.status[request.key] == "QUEUED":
                published = not fails and request.look.inputs == self.inputs
                self.status[request.key] = "SUCCESS" if published else "FAILURE"
                if published:
                    self.trained_on, self.head = self.inputs, self.head + 1


_STEP = st.tuples(
    st.sampled_from(("", "A", "B", "C")), st.sampled_from((1.0, 60.0)), st.sampled_from(("", "succeeds", "fails"))
)


@hypothesis_settings(max_examples=300)
@given(st.lists(_STEP, max_size=30))
def test_whatever_happens_a_change_is_trained_from_once_and_the_last_one_for_sure(steps: list[tuple]) -> None:
    line = Line()
    for inputs, seconds, run in steps:
        if inputs:
            line.change(inputs)
        line.now += seconds
        line.tick()
        if run:
            line.finish(fails=run == "fails")
        assert max(Counter(changes for _, changes in line.runs).values(), default=0) <= 1
    failed = {changes for request, changes in line.runs if line.status[request.key] == "FAILURE"}
    for _ in range(4):
        line.now += PATIENCE.quiet
        line.tick()
        line.finish(fails=False)
    assert max(Counter(changes for _, changes in line.runs).values(), default=0) <= 1
    assert line.trained_on == line.inputs or line.changes in failed
