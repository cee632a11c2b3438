"""What is stale and why: decided from records, without a lake."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from dfp_platform.cli.plan import _duration
from dfp_platform.cli.selection import chosen, options_for
from dfp_platform.errors import InputError
from dfp_platform.ingest.asked import difference
from dfp_platform.ingest.origin import InputFile, Origin, input_file
from dfp_platform.ingest.sources import sample
from dfp_platform.ingest.sources.request import Request
from dfp_platform.publishing.planning import Asked, Cause, causes
from dfp_platform.resources.dagster_internals import Graph

GRAPH = Graph(
    dependencies={"raw/x": (), "models/m": ("raw/x",)},
    required={"raw/x": (), "models/m": ()},
    code_versions={"raw/x": "1", "models/m": "2"},
)
RECORD = {
    "code_version": "2",
    "inputs": {"raw/x": "c1"},
    "config": {"training": {"epochs": 3, "widths": [1, 2]}, "model": {"hidden": 8}},
}
CONTENTS = {"raw/x": "c1", "models/m": "c2"}


def why(record: dict[str, Any], asked: Asked = Asked(), **contents: str) -> list[Cause]:  # noqa: B008
    held = {**CONTENTS, **{name.replace("_", "/"): content for name, content in contents.items()}}
    return list(causes(record, "models/m", GRAPH, lambda asset: held.get(asset, ""), asked))


def test_what_is_as_it_was_recorded_is_not_stale() -> None:
    assert why(RECORD, Asked(config={"models/m": RECORD["config"]})) == []


@pytest.mark.parametrize(
    ("record", "contents", "expected"),
    [
        ({"code_version": "1"}, {}, Cause("code", "code version 1 → 2")),
        ({"code_version": None}, {}, Cause("code", "code version none → 2")),
        ({}, {"raw_x": "c9"}, Cause("input", "raw/x has other content", "raw/x")),
        ({}, {"raw_x": ""}, Cause("input", "raw/x is gone", "raw/x")),
        ({"inputs": {"raw/x": ""}}, {}, Cause("input", "raw/x is there now", "raw/x")),
        ({"inputs": {}}, {}, Cause("dependency", "is made from raw/x too", "raw/x")),
        (
            {"inputs": {"raw/x": "c1", "raw/old": "c0"}},
            {},
            Cause("dependency", "is no longer made from raw/old", "raw/old"),
        ),
    ],
)
def test_each_cause_is_told(record: dict[str, Any], contents: dict[str, str], expected: Cause) -> None:
    assert why({**RECORD, **record}, **contents) == [expected]


def test_an_input_that_was_not_there_and_is_not_there_is_no_cause() -> None:
    assert why({**RECORD, "inputs": {"raw/x": ""}}, raw_x="") == []


def test_another_configuration_is_told_key_by_key() -> None:
    asked = {"training": {"epochs": 5, "widths": (1, 2)}, "model": {"hidden": 8}, "split": {"by": "hash"}}
    told = why(RECORD, Asked(config={"models/m": asked}))
    assert [each.sentence for each in told] == ["split.by unset → hash", "training.epochs 3 → 5"]
    assert {each.kind for each in told} == {"config"}


def test_what_nobody_recorded_has_no_cause_but_its_source() -> None:
    assert why({}) == []
    assert why({}, Asked(source={"models/m": "other rows"})) == [Cause("source", "other rows")]


# -- rows at the source -----------------------------------------------------------------------------------------


def landed(rows: int = 100, seed: int = 7) -> Origin:
    return sample.deliver(Request("real_device", rows, seed, cache=Path())).origin


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("sample", ""),
        ("auto", ""),
        ("archives", "source sample → archives"),
        ("kaggle", "source sample → kaggle"),
    ],
)
def test_generated_rows_against_a_source_that_is_named(source: str, said: str) -> None:
    assert difference(landed(), source, device="real_device", rows=100, seed=7) == said


@pytest.mark.parametrize(("rows", "seed"), [(101, 7), (100, 8)])
def test_another_number_or_seed_of_generated_rows_is_another_source(rows: int, seed: int) -> None:
    told = difference(landed(), "sample", device="real_device", rows=rows, seed=seed)
    assert told == f"{rows} rows of seed {seed} are asked for"


def test_a_file_is_told_by_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "apps.csv"
    file.write_text("a,b\n")
    before = Origin("file", synthetic=False, files=(input_file(file),))
    ask = {"device": "real_device", "rows": 1, "seed": 1}
    assert difference(before, str(file), **ask) == ""
    file.write_text("a,c\n")
    assert difference(before, str(file), **ask) == "apps.csv is not the file that landed"
    assert difference(landed(), str(file), **ask) == "source sample → apps.csv"
    assert difference(before, "sample", **ask) == "source file → sample"
    assert difference(Origin("file", synthetic=False), str(file), device="emulator", rows=1, seed=1) == ""
    with pytest.raises(InputError):
        difference(before, str(tmp_path / "gone.csv"), **ask)


def test_files_of_the_archives_are_not_fetched_to_be_compared() -> None:
    archived = Origin("archives", synthetic=False, files=(InputFile("a.zip", "0" * 64, 1),))
    for source, said in (("auto", ""), ("archives", ""), ("sample", "source archives → sample")):
        assert difference(archived, source, device="emulator", rows=1, seed=1) == said


# -- the command that would do it -------------------------------------------------------------------------------

LINE = {
    "raw/a": (),
    "raw/b": (),
    "tables/a": ("raw/a",),
    "tables/b": ("raw/b",),
    "models/m": ("tables/a", "tables/b"),
    "reports/r": ("models/m",),
}


@pytest.mark.parametrize(
    ("wanted", "options"),
    [
        (LINE, []),
        (["models/m", "reports/r"], ["--from", "models"]),
        (["tables/a", "models/m", "reports/r"], ["--from", "tables/a"]),
        (["tables/a", "tables/b"], ["--select", "tables"]),
        (["raw/a", "reports/r"], ["--select", "raw/a", "--select", "reports"]),
    ],
)
def test_the_options_are_short(wanted: list[str], options: list[str]) -> None:
    options_found = options_for(wanted, LINE)
    assert options_found == options or chosen_by(options_found) == sorted(wanted)
    assert len(options_found) <= len(options)


def chosen_by(options: list[str]) -> list[str]:
    told = list(zip(options[::2], options[1::2], strict=True))
    start = next((value for name, value in told if name == "--from"), None)
    return chosen(LINE, select=[value for name, value in told if name == "--select"], start=start) or sorted(LINE)


def test_whatever_is_wanted_the_options_choose_exactly_that() -> None:
    draw = random.Random(5)
    for _ in range(200):
        wanted = draw.sample(sorted(LINE), draw.randint(1, len(LINE)))
        assert chosen_by(options_for(wanted, LINE)) == sorted(wanted)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.44, "0.4 s"), (38.2, "38 s"), (125, "2 min 5 s"), (59.7, "1 min 0 s")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert _duration(seconds) == said
