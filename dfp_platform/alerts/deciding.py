"""What is worth a message: pure functions of how a run ended, what its checks said, and what was told before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from dfp_platform.alerts.alert import Alert
from dfp_platform.settings import ALERT_KINDS

KINDS_OF_CHECKS = {"drift": "drift", "live_drift": "drift", "fresh": "stale"}
"""What a failed check is called by its name; any other is `check_failed`."""

_HELD = "not published:"
"""How the failure of a step begins that only stands for what the gate held back."""

_NO_WORD = "it ended without a word: look at its log"

NEXT_OF_CHECKS = {
    "check_failed": "look at the check in Dagster's UI; what it said lies in the lake under checks/<asset>/<check>",
    "drift": "look at the report; if the data moved for good, train again: dfp run --from models",
    "stale": "bring new data: dfp run; if the source has none, raise DFP_OLD_AFTER_DAYS",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a check said in a run.

    Attributes:
        content: content id of what was judged.
        blocks: whether its failure holds back publication.
        report: address of the report that it looked at; empty if it looked at none.
    """

    asset: str
    check: str
    passed: bool
    content: str
    blocks: bool
    figure: float | None = None
    limit: float | None = None
    report: str = ""

    @property
    def sentence(self) -> str:
        figure = "" if self.figure is None else f": {self.figure:g} against {self.limit}"
        return f"check {self.check} of {self.asset} failed{figure}"


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended.

    Attributes:
        status: SUCCESS or FAILURE.
        time: when.
        reasons: why it was not published, as its branch says.
        redo: steps of it have to run again; otherwise it has only to be published.
        failed: why each failed step failed.
        checks: what its checks said, the last word of each.
        target: the branch it publishes to.
        branch: where its results are.
        commit: the commit that has them.
        ui: address of Dagster's UI.
    """

    run_id: str
    job: str
    status: str
    time: datetime
    reasons: tuple[str, ...] = ()
    redo: bool = True
    failed: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Judged, ...] = ()
    target: str = ""
    branch: str = ""
    commit: str = ""
    ui: str = ""

    @property
    def held_back(self) -> bool:
        """Every step did its work, and the gate did not publish it."""
        return bool(self.failed) and all(_HELD in message for message in self.failed.values())


@dataclass(frozen=True, slots=True)
class Told:
    """What was told, so that it is told once.

    Attributes:
        checks: by ``asset:check`` the content on which it last failed; without those that pass again.
        stale: by asset WARN or FAIL.
    """

    checks: Mapping[str, str] = field(default_factory=dict)
    stale: Mapping[str, str] = field(default_factory=dict)


def alerts_of_run(end: RunEnd, told: Told, *, wanted: Sequence[str] = ALERT_KINDS) -> tuple[list[Alert], Told]:
    """What to tell of a run that ended, and what is told then.

    A failed run is one alert with all its reasons, failed checks among them. Of a run that was published each kind of
    failed check is one, and a check that failed on the same content before is none.
    """
    news = [judged for judged in end.checks if not judged.passed and told.checks.get(_key(judged)) != judged.content]
    passed = {_key(judged) for judged in end.checks if judged.passed}
    kept = {key: content for key, content in told.checks.items() if key not in passed}
    after = replace(told, checks={**kept, **{_key(judged): judged.content for judged in news}})
    alerts: list[Alert] = []
    if end.status == "FAILURE" and (kind := "not_published" if end.held_back else "run_failed") in wanted:
        folded = [judged for judged in news if _kind(judged) == "check_failed"]
        alerts.append(_of_failure(end, kind, folded))
        news = [judged for judged in news if judged not in folded]
    for kind in ALERT_KINDS:
        of_kind = [judged for judged in news if _kind(judged) == kind]
        if of_kind and kind in wanted:
            alerts.append(_of_checks(end, kind, of_kind))
    return alerts, after


def alerts_of_states(
    states: Mapping[str, str],
    told: Told,
    *,
    time: datetime,
    branch: str,
    ui: str = "",
    wanted: Sequence[str] = ALERT_KINDS,
) -> tuple[list[Alert], Told]:
    """What to tell of assets' freshness, and what is told then: each that became old, or overdue, once; all in one.

    Args:
        states: PASS, WARN or FAIL by asset.
        branch: the branch of the lake that assets' pages speak of.
    """
    old = {asset: state for asset, state in states.items() if state != "PASS"}
    news = sorted(asset for asset, state in old.items() if told.stale.get(asset) not in (state, "FAIL"))
    after = replace(told, stale={**{a: s for a, s in told.stale.items() if a not in states}, **old})
    if not news or "stale" not in wanted:
        return [], after
    words = {"WARN": "is old", "FAIL": "is overdue"}
    alert = Alert(
        kind="stale",
        severity="warning",
        title=f"Stale data: {_few(news)}",
        reasons=tuple(f"{asset} {words[old[asset]]}" for asset in news),
        next=NEXT_OF_CHECKS["stale"],
        time=_iso(time),
        url=f"{ui}/assets/{news[0]}" if ui else "",
        branch=branch,
        assets=tuple(news),
    )
    return [alert], after


def _of_failure(end: RunEnd, kind: str, checks: Sequence[Judged]) -> Alert:
    steps = [f"{step}: {error}" for step, error in sorted(end.failed.items())]
    # of a run whose steps failed, its branch says only which
    said = ([*end.reasons] if kind == "not_published" else steps) or steps or [*end.reasons] or [_NO_WORD]
    said += [judged.sentence for judged in checks if judged.sentence not in end.reasons]
    again = "rerun" if end.redo else "publish"
    look = f"see what it left: dfp lake diff {end.target}..{end.branch}; " if end.branch and end.target else ""
    return Alert(
        kind=kind,
        severity="error",
        title=f"{end.job} was not published" if kind == "not_published" else f"{end.job} failed",
        reasons=tuple(said),
        next=f"{look}mend the cause, then: dfp {again} {end.run_id}",
        assets=tuple(dict.fromkeys(judged.asset for judged in checks)),
        **_place(end),
    )


def _of_checks(end: RunEnd, kind: str, checks: Sequence[Judged]) -> Alert:
    words = {"check_failed": "Checks failed", "drift": "Drift", "stale": "Stale data"}
    assets = tuple(dict.fromkeys(judged.asset for judged in checks))
    return Alert(
        kind=kind,
        severity="error" if any(judged.blocks for judged in checks) else "warning",
        title=f"{words[kind]}: {_few(assets)}",
        reasons=tuple(judged.sentence for judged in checks),
        next=NEXT_OF_CHECKS[kind],
        assets=assets,
        report=next((judged.report for judged in checks if judged.report), ""),
        **_place(end),
    )


def _place(end: RunEnd) -> dict[str, str]:
    return {
        "time": _iso(end.time),
        "job": end.job,
        "run_id": end.run_id,
        "url": f"{end.ui}/runs/{end.run_id}" if end.ui else "",
        "branch": end.branch,
        "commit": end.commit,
    }


def _key(judged: Judged) -> str:
    return f"{judged.asset}:{judged.check}"


def _kind(judged: Judged) -> str:
    return KINDS_OF_CHECKS.get(judged.check, "check_failed")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
