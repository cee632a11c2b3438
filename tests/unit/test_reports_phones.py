"""The page on artifacts for phones: the rule that chooses, what is never mixed, and what a reader is told."""

from __future__ import annotations

import pytest
from markupsafe import escape

from dfp_platform.reports.phones import chosen, phones_report, render_phones
from tests.benchmark_rows import quality, row

MACHINE = {"cpu": "a <fast> processor", "cores": 2, "system": "Linux", "python": "3.11"}


def told(name: str, **changed):
    """A row as JSON, whose bytes are its own."""
    return row(artifact=name, artifact_sha256=f"{sum(name.encode()):064x}", **changed).model_dump(mode="json")


def report(*rows, **judged):
    known = [quality(each["artifact"], each["artifact_sha256"], **judged.get(each["artifact"], {})) for each in rows]
    return phones_report(rows, known, synthetic=False)


def choice(*rows, **judged):
    (only,) = report(*rows, **judged)["choices"]
    return only


def test_the_fastest_p99_is_taken():
    assert choice(told("slow", p99_us=30.0), told("fast", p99_us=12.0))["artifact"] == "fast"


def test_among_those_nearly_as_fast_the_smallest_file_is_taken():
    rows = told("fast", p99_us=12.0, size_bytes=500_000), told("small", p99_us=13.1, size_bytes=140_000)
    assert choice(*rows)["artifact"] == "small"
    assert "140 kB" in choice(*rows)["sentence"]
    slower = told("small", p99_us=13.3, size_bytes=140_000)
    assert choice(rows[0], slower)["artifact"] == "fast"


@pytest.mark.parametrize(
    ("changed", "judged"),
    [
        ({"reasons": ("rounds differ by 60%",)}, {}),
        ({}, {"passed": False}),
        ({}, {"change": -0.011}),
        ({"precision": "int8"}, {"change": None}),
    ],
)
def test_what_was_disturbed_or_is_worse_than_its_original_is_not_taken(changed, judged):
    fast, safe = told("fast", p99_us=5.0, **changed), told("safe", p99_us=12.0)
    assert choice(fast, safe, fast=judged)["artifact"] == "safe"


def test_where_nothing_fits_no_choice_is_made_and_the_reason_is_said():
    assert "every measurement was disturbed" in choice(told("a", reasons=("noise",)))["sentence"]
    bad = choice(told("a"), a={"passed": False})
    assert (bad["artifact"], "as good as its original" in bad["sentence"]) == (None, True)


def test_other_bytes_than_those_of_the_branch_have_no_accuracy_and_are_not_taken():
    other = {**told("a"), "artifact_sha256": "00" * 32}
    (only,) = phones_report([other], [quality("a", "11" * 32)], synthetic=False)["rows"]
    assert only["quality"] is None
    assert chosen([only])["artifact"] is None


def test_hosts_emulators_and_phones_each_have_their_own_choice():
    rows = [told("a", kind=kind, device=kind, p99_us=9.0 + place) for place, kind in enumerate(("host", "phone"))]
    rows += [told("b", kind="emulator", device="e", p99_us=1.0)]
    made = report(*rows)
    assert [(each["kind"], each["artifact"]) for each in made["choices"]] == [
        ("phone", "a"),
        ("emulator", "b"),
        ("host", "a"),
    ]


def page(made) -> str:
    return render_phones(made, machine=MACHINE, content="ab" * 32).decode()


def test_the_page_tells_every_row_with_its_bytes_commit_protocol_and_reasons():
    made = report(told("a"), told("b", precision="int8", reasons=("rounds differ by 60%",)))
    text = page(made)
    for row_ in made["rows"]:
        assert row_["artifact_sha256"] in text
    assert "cd" * 20 in text
    assert "disturbed" in text
    assert "rounds differ by 60%" in text
    assert escape(made["rule"]) in text
    assert text == page(made)


def test_what_others_wrote_is_escaped():
    assert "a &lt;fast&gt; processor" in page(report(told("a")))
    assert "<fast>" not in page(report(told("a")))


def test_without_a_phone_the_page_says_so_and_how_to_measure_one():
    text = page(report(told("a")))
    assert "No phone has been measured yet" in text
    assert "dfp device run" in text
    assert "No phone has been measured yet" not in page(report(told("a", kind="phone")))


def test_what_is_not_measured_is_said_and_never_zero():
    bare = told("a", kind="phone", peak_memory_bytes=None, baseline_memory_bytes=None, cold_load_ms=None, first_us=None)
    text = page(report({**bare, "floor_ratio": None, "floor_p50_us": None, "throughput_apps_s": None}))
    assert "not measured" in text
    whole = told("a", kind="phone", baseline_memory_bytes=None, peak_memory_bytes=90_000_000)
    assert "whole process" in page(report(whole))
    assert "90.0 MB" in page(report(whole))
