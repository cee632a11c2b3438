"""The gate: one pure function decides whether a run's results may be published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dfp_platform.schemas import Verdict

Kind = Literal["status", "fence", "step", "check", "conflict", "moved-input", "unowned", "busy", "proposal"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that holds a run back: its kind, the asset it is about (if one) and a sentence for people."""

    kind: Kind
    sentence: str
    asset: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All the gate looks at. Assets are named by key path, contents by content id.

    Attributes:
        run_id: the run that asks.
        status: the run's status, read again just now.
        owner: run id in the branch's marker just now, if any.
        failed_steps: steps that failed.
        changed: assets whose content on the run's branch differs from its base, with that content ("" if removed).
        unowned: changed paths that belong to no asset.
        required: the ERROR checks of each asset.
        verdicts: what each check said, by (asset, check).
        moved: assets whose content on the target differs from the base, with the target's content.
        dependencies: the assets each changed asset was made from.
        overlap: changed assets that a merge cannot settle with what the target holds.
    """

    run_id: str
    status: str
    owner: str | None
    changed: Mapping[str, str]
    failed_steps: tuple[str, ...] = ()
    unowned: tuple[str, ...] = ()
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    verdicts: Mapping[tuple[str, str], Verdict] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    overlap: tuple[str, ...] = ()


def decide(evidence: Evidence, *, allowed_status: str = "STARTED") -> tuple[Reason, ...]:
    """Why the run must not be published; empty: publish.

    Args:
        evidence: gathered at one head of the run's branch and one head of the target.
        allowed_status: the status a run publishes in; `dfp publish` passes that of the ended run it retries.
    """
    return (
        *_life(evidence, allowed_status),
        *(Reason("step", f"step {step} failed") for step in evidence.failed_steps),
        *(Reason("unowned", f"{path} changed but belongs to no asset") for path in evidence.unowned),
        *(reason for asset in evidence.changed for reason in _checks(evidence, asset)),
        *(reason for asset in evidence.changed for reason in _target(evidence, asset)),
    )


def _life(evidence: Evidence, allowed_status: str) -> tuple[Reason, ...]:
    reasons = []
    if evidence.status != allowed_status:
        reasons.append(Reason("status", f"the run is {evidence.status}, not {allowed_status}"))
    if evidence.owner != evidence.run_id:
        reasons.append(Reason("fence", f"the branch belongs to {evidence.owner or 'nobody'} now"))
    return tuple(reasons)


def _checks(evidence: Evidence, asset: str) -> tuple[Reason, ...]:
    content = evidence.changed[asset]
    if not content:
        return ()
    reasons = []
    for check in evidence.required.get(asset, ()):
        verdict = evidence.verdicts.get((asset, check))
        if verdict is None or verdict.content != content:
            reasons.append(Reason("check", f"check {check} has not judged this content of {asset}", asset))
        elif not verdict.passed:
            figure = "" if verdict.figure is None else f": {verdict.figure:g} against {verdict.limit}"
            reasons.append(Reason("check", f"check {check} of {asset} failed{figure}", asset))
    return tuple(reasons)


def _target(evidence: Evidence, asset: str) -> tuple[Reason, ...]:
    if asset in evidence.overlap:
        return (Reason("conflict", f"{asset} changed on the target too since the run began", asset),)
    return tuple(
        Reason("moved-input", f"{asset} was made from {dep}, which moved on the target since the run began", asset)
        for dep in evidence.dependencies.get(asset, ())
        if dep in evidence.moved and dep not in evidence.changed
    )
