"""How the conformance target judges what Iceberg's compatibility kit says."""

from __future__ import annotations

import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tests.conformance.kit import ARTIFACTS, HERE, SUITES, Outcome, judged, outcome, pom, said

REPORT = """<testsuite>
  <testcase name="good()"/>
  <testcase name="bad()"><failure message="expected: 1"/></testcase>
  <testcase name="broken()"><error>java.lang.Error</error></testcase>
  <testcase name="odd()"><skipped>assumption</skipped></testcase>
</testsuite>"""


def test_a_report_is_read_by_what_became_of_each_test(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    found = outcome(tmp_path / "report.xml")
    assert found == Outcome({"good()"}, {"bad()": "expected: 1", "broken()": "java.lang.Error"}, {"odd()"})


def test_whatever_was_not_expected_is_wrong() -> None:
    found = Outcome({"good()", "late()"}, {"bad()": "why", "known()": "gc"}, {"odd()", "skipped()"})
    expected = {"late()": "gc", "known()": "gc", "skipped()": "empty", "vanished()": "kit"}
    told = judged(found, expected)
    assert told.wrong == [
        "bad(): why",
        "late(): passed, though it should not apply",
        "odd(): was skipped",
        "vanished(): is no test of the kit",
    ]
    assert said(told) == "2 passed, 4 failed, 2 not applicable"


def test_all_as_expected_is_said_so_that_a_script_reads_it() -> None:
    told = judged(Outcome({"good()"}, {"known()": "gc"}, set()), {"known()": "gc"})
    assert (told.wrong, said(told)) == ([], "1 passed, 0 failed, 1 not applicable")


def test_every_exception_has_a_reason_that_is_written_down() -> None:
    told = tomllib.loads((HERE / "not_applicable.toml").read_text())
    assert told.keys() == {*SUITES, "reasons"}
    assert {reason for suite in SUITES for reason in told[suite].values()} == told["reasons"].keys()


def test_the_project_that_fetches_the_kit_names_every_artifact_once() -> None:
    parsed = ElementTree.fromstring(pom())
    names = [node.text for node in parsed.iter() if node.tag.endswith("artifactId")]
    assert names[1:] == [artifact.split(":")[1] for artifact in ARTIFACTS]
