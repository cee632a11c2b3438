"""What is worth an alert: runs, checks and freshness, each told once."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from dfp_platform.alerts import Alert, Judged, RunEnd, Told, alerts_of_run, alerts_of_states
from dfp_platform.alerts.alert import LONGEST
from dfp_platform.settings import ALERT_KINDS, PROJECT_ROOT

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def judged(check: str = "is_good", *, passed: bool = False, content: str = "c1", blocks: bool = True) -> Judged:
    return Judged("reports/a", check, passed, content, blocks, figure=0.31, limit=0.3)


def ended(status: str = "FAILURE", **told: Any) -> RunEnd:
    place = {"target": "main", "branch": "run-r1", "commit": "f" * 40, "ui": "http://ui:3000"}
    return RunEnd("r1", "main_line", status, NOON, **{**place, **told})


def told_of(end: RunEnd, told: Told | None = None, **options: Any) -> list[Alert]:
    return alerts_of_run(end, told or Told(), **options)[0]


def test_a_run_that_failed_is_one_alert_with_its_steps_and_its_failed_checks() -> None:
    failed = {"reports__a": "RuntimeError: no", "reports__b": "RuntimeError: never"}
    (alert,) = told_of(ended(failed=failed, checks=(judged(), judged("other"))))
    assert (alert.kind, alert.severity, alert.title) == ("run_failed", "error", "main_line failed")
    assert alert.reasons == (
        "reports__a: RuntimeError: no",
        "reports__b: RuntimeError: never",
        "check is_good of reports/a failed: 0.31 against 0.3",
        "check other of reports/a failed: 0.31 against 0.3",
    )
    assert alert.next == ("see what it left: dfp lake diff main..run-r1; mend the cause, then: dfp rerun r1")
    assert (alert.run_id, alert.url, alert.branch, alert.commit) == (
        "r1",
        "http://ui:3000/runs/r1",
        "run-r1",
        "f" * 40,
    )


def test_a_run_that_was_held_back_says_the_gates_reasons_and_how_it_is_published() -> None:
    held = {"reports__a": "not published: reports/a was made from raw/x, which moved. Branch: run-r1"}
    reasons = ("reports/a was made from raw/x, which moved on the target since the run began",)
    (alert,) = told_of(ended(failed=held, reasons=reasons, redo=False))
    assert (alert.kind, alert.title, alert.reasons) == ("not_published", "main_line was not published", reasons)
    assert alert.next.endswith("then: dfp publish r1")


def test_a_run_that_died_without_a_failed_step_is_told_too() -> None:
    (alert,) = told_of(ended())
    assert (alert.kind, alert.reasons) == ("run_failed", ("it ended without a word: look at its log",))


def test_a_run_that_was_published_is_no_news_and_its_failed_checks_are_by_kind() -> None:
    assert told_of(ended("SUCCESS", checks=(judged(passed=True),))) == []
    warned = [judged(name, blocks=False) for name in ("drift", "live_drift", "fresh", "is_good")]
    alerts = told_of(ended("SUCCESS", checks=tuple(warned)))
    assert [(alert.kind, alert.severity, len(alert.reasons)) for alert in alerts] == [
        ("check_failed", "warning", 1),
        ("drift", "warning", 2),
        ("stale", "warning", 1),
    ]


def test_a_failed_check_of_a_report_leads_to_it() -> None:
    shown = Judged("reports/drift", "drift", False, "c1", False, report="http://pages/c/reports/drift/index.html")
    (alert,) = told_of(ended("SUCCESS", checks=(shown,)))
    assert alert.report == "http://pages/c/reports/drift/index.html"
    assert "report: http://pages/c/reports/drift/index.html" in alert.text()


def test_drift_is_told_apart_also_of_a_run_that_failed() -> None:
    alerts = told_of(ended(failed={"x": "no"}, checks=(judged("drift"), judged())))
    assert [alert.kind for alert in alerts] == ["run_failed", "drift"]


def test_a_check_that_fails_on_the_same_content_is_told_once_and_again_on_other_content() -> None:
    first, told = alerts_of_run(ended("SUCCESS", checks=(judged(),)), Told())
    again, told = alerts_of_run(ended("SUCCESS", checks=(judged(),)), told)
    other, told = alerts_of_run(ended("SUCCESS", checks=(judged(content="c2"),)), told)
    assert [len(alerts) for alerts in (first, again, other)] == [1, 0, 1]
    assert told.checks == {"reports/a:is_good": "c2"}


def test_a_check_that_passed_meanwhile_is_news_when_it_fails_again() -> None:
    told = Told(checks={"reports/a:is_good": "c1"})
    none, told = alerts_of_run(ended("SUCCESS", checks=(judged(passed=True, content="c2"),)), told)
    news, _ = alerts_of_run(ended("SUCCESS", checks=(judged(),)), told)
    assert (len(none), len(news)) == (0, 1)


def test_only_wanted_kinds_are_told_and_what_a_run_does_not_say_its_checks_do() -> None:
    end = ended(failed={"x": "no"}, checks=(judged(), judged("drift")))
    assert [alert.kind for alert in told_of(end, wanted=["drift"])] == ["drift"]
    assert [alert.kind for alert in told_of(end, wanted=["check_failed"])] == ["check_failed"]
    assert told_of(end, wanted=["stale"]) == []


def test_old_data_is_told_once_and_again_when_it_is_overdue_and_after_it_was_fresh() -> None:
    told, titles = Told(), []
    for state in ("PASS", "WARN", "WARN", "FAIL", "WARN", "PASS", "WARN"):
        alerts, told = alerts_of_states({"raw/a": state, "raw/b": "PASS"}, told, time=NOON, branch="main")
        titles.append([alert.reasons for alert in alerts])
    assert titles == [[], [("raw/a is old",)], [], [("raw/a is overdue",)], [], [], [("raw/a is old",)]]


def test_all_that_grew_old_is_one_alert() -> None:
    states = {f"raw/{name}": "WARN" for name in "dcba"}
    (alert,), _ = alerts_of_states(states, Told(), time=NOON, branch="main", ui="http://ui:3000")
    assert alert.title == "Stale data: raw/a, raw/b, raw/c and 1 more"
    assert alert.url == "http://ui:3000/assets/raw/a"


def test_an_alert_survives_being_stored_and_its_id_tells_the_same_happening() -> None:
    (alert,) = told_of(ended(failed={"x": "no"}))
    assert Alert.of(alert.payload()) == alert
    assert told_of(ended(failed={"x": "no"}))[0].id == alert.id
    assert told_of(ended(failed={"x": "other"}))[0].id != alert.id


def test_the_documented_fields_are_those_of_an_alert_and_the_documented_kinds_all_there_are() -> None:
    page = (PROJECT_ROOT / "docs/alerts.md").read_text()
    (block,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = json.loads(block)
    assert json.loads(json.dumps(Alert.of(shown).payload())) == shown
    assert tuple(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == ALERT_KINDS


def test_a_message_is_bounded_whatever_a_run_has_to_say() -> None:
    (alert,) = told_of(ended(failed={f"step{n:03}": "e" * 400 for n in range(100)}))
    assert len(alert.text()) == LONGEST
    (short,) = told_of(ended(failed={f"step{n:03}": "e" for n in range(100)}))
    assert "• and 80 more" in short.text()
    assert len(alert.reasons) == 100
