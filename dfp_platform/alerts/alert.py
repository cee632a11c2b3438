"""One message to people: its fields for programs, and how it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

VERSION = 1
"""Version of the fields that a webhook gets. A new field leaves it; one that goes or changes its meaning raises it."""

LONGEST = 3_500
"""Letters of a message at most: what every chat takes."""

_SHOWN = 20
"""Reasons that a message lists; the others are counted."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What happened and what to do next. A webhook gets these fields as JSON, with `version` and `id`.

    Attributes:
        kind: run_failed, not_published, check_failed, drift, stale, or test.
        severity: ``error`` or ``warning``.
        title: one line.
        reasons: what happened, a sentence each.
        next: what a person should do.
        time: when it happened, ISO 8601 in UTC.
        job: the job that ran; empty where it is about no run.
        run_id: the run; empty where it is about none.
        url: the run or the assets in Dagster's UI; empty if no address of the UI is set.
        report: the report that shows more; empty if there is none.
        branch: branch of the lake where the results are.
        commit: commit of the lake that it is about.
        assets: assets that it is about.
    """

    kind: str
    severity: str
    title: str
    reasons: tuple[str, ...]
    next: str
    time: str
    job: str = ""
    run_id: str = ""
    url: str = ""
    report: str = ""
    branch: str = ""
    commit: str = ""
    assets: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Names the happening: the same one told twice, after a crash perhaps, has the same id."""
        day = "" if self.run_id else self.time[:10]
        told = "\n".join((self.kind, self.run_id, day, self.title, *self.reasons))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def payload(self) -> dict[str, Any]:
        """Its fields as a webhook gets them."""
        return {"version": VERSION, "id": self.id, **asdict(self)}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Alert:
        """The alert that `payload` tells."""
        fields: dict[str, Any] = {name: payload[name] for name in cls.__dataclass_fields__}
        fields |= {name: tuple(payload[name]) for name in ("reasons", "assets")}
        return cls(**fields)

    def text(self) -> str:
        """Everything but the title, for people."""
        more = len(self.reasons) - _SHOWN
        lines = [f"• {reason}" for reason in self.reasons[:_SHOWN]]
        lines += [f"• and {more} more"] if more > 0 else []
        facts = {"run": self.run_id, "branch": self.branch, "commit": self.commit[:12]}
        facts |= {"see": self.url, "report": self.report}
        lines += [f"next: {self.next}", *(f"{name}: {value}" for name, value in facts.items() if value)]
        told = "\n".join(lines)
        return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"
