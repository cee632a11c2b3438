"""`dfp trace` on small lakes whose commits say, by hand, what runs say of what they write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dfp_platform.catalog import content_of, open_catalog, overwrite
from dfp_platform.cli.tracing import drawn
from dfp_platform.errors import InvalidNameError, NotFoundError
from dfp_platform.ingest.origin import InputFile, Origin, load_folder
from dfp_platform.lake import Lake, open_lake
from dfp_platform.resources.lineage import lineage_at
from dfp_platform.resources.trace_targets import resolve
from dfp_platform.resources.tracing import Step, gaps, traced
from dfp_platform.settings import settings
from tests.unit.test_cli_lake import Dfp, dfp

__all__ = ["dfp"]

DATASET = "kronodroid_real_device"
RAW = f"raw/{DATASET}"
FILES = (InputFile("legitimate.zip", "ab" * 32, 1_000), InputFile("malware.zip", "cd" * 32, 2_000))


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """Raw rows, a table made from them and a model made from that, each as a run would have written it."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    monkeypatch.setenv("DFP_LAKE", str(tmp_path / "lake"))
    settings.cache_clear()
    made = open_lake(tmp_path / "lake", create=True)
    land(made, "", rows=10, files=FILES)
    write(made, "features/apps", {"rows": b"1"}, inputs=[RAW])
    write(
        made, "models/small", {"card.json": b"{}", "weights": b"w"}, inputs=["features/apps"], config={"a": {"seed": 7}}
    )
    yield made
    settings.cache_clear()


def land(lake: Lake, load_id: str, *, rows: int, files: tuple[InputFile, ...] = (), branch: str = "main") -> None:
    folder = load_folder(DATASET, load_id).removeprefix(f"{RAW}/")
    origin = Origin("archives", synthetic=False, files=files, rows=rows, load_id=load_id or "0001-a")
    name = f"{folder}part-{load_id}.parquet"
    write(lake, RAW, {f"{folder}origin.json": origin.to_bytes(), name: load_id.encode()}, branch=branch)


def write(
    lake: Lake,
    asset: str,
    files: Mapping[str, bytes],
    *,
    inputs: list[str] | None = None,
    branch: str = "main",
    run: str = "run-1",
    **said: Any,
) -> str:
    read = {dep: content_of(lake, branch, dep) for dep in inputs or ()}
    lineage = {asset: {"code_version": "3", "inputs": read, **said}}
    metadata = {"run": run, "assets": json.dumps([asset]), "lineage": json.dumps(lineage)}
    changes = {f"{asset}/{name}": data for name, data in files.items()}
    return lake.commit(branch, changes, message=f"write {asset}", metadata=metadata)


def step(steps: tuple[Step, ...], asset: str) -> Step:
    [found] = [step for step in steps if step.asset == asset]
    return found


def test_it_leads_from_a_model_to_the_bytes_that_were_read(lake: Lake) -> None:
    steps = traced(lake, "main", "models/small")
    assert [found.asset for found in steps] == ["models/small", "features/apps", RAW]
    model, _, raw = steps
    assert model.commit == lake.resolve("main")
    assert (model.run, model.code_version, model.config) == ("run-1", "3", {"a": {"seed": 7}})
    assert model.content == content_of(lake, "main", "models/small")
    assert model.inputs == (steps[1].id,)
    [load] = raw.loads
    assert (load.origin.rows, load.origin.files) == (10, FILES)
    assert load.commit == lake.provenance("main", f"{RAW}/origin.json").id
    assert gaps(steps) == ()


def test_what_was_read_is_followed_where_it_has_moved_on_since(lake: Lake) -> None:
    before = traced(lake, "main", "models/small")
    write(lake, "features/apps", {"rows": b"2"}, inputs=[RAW], run="run-2")
    assert traced(lake, "main", "models/small") == before
    assert step(before, "features/apps").run == "run-1"
    assert traced(lake, "main", "features/apps")[0].run == "run-2"


def test_a_load_that_was_appended_is_part_of_what_is_read_later_only(lake: Lake) -> None:
    land(lake, "0002-b", rows=5)
    write(lake, "features/apps", {"rows": b"2"}, inputs=[RAW])
    [first, second] = step(traced(lake, "main", "features/apps"), RAW).loads
    assert [(load.origin.load_id, load.origin.rows) for load in (first, second)] == [("0001-a", 10), ("0002-b", 5)]
    assert first.commit != second.commit
    assert len(step(traced(lake, "main", "models/small"), RAW).loads) == 1


def test_loads_that_two_branches_appended_are_told_as_a_merge(lake: Lake) -> None:
    lake.create_branch("mine")
    land(lake, "0002-b", rows=5)
    land(lake, "0002-c", rows=6, branch="mine")
    merge = lake.merge("mine", message="both")
    raw = traced(lake, "main", RAW)
    assert (raw[0].kind, raw[0].commit, len(raw[0].loads)) == ("merged", merge, 3)
    assert {found.id for found in raw[1:]} == set(raw[0].inputs)
    assert [len(found.loads) for found in raw[1:]] == [2, 2]
    assert sum(", one side)" in line for line in drawn(raw)) == 2


def test_a_step_that_wrote_through_an_ephemeral_branch_is_recorded_by_the_merge_that_ended_it(lake: Lake) -> None:
    content = content_of(lake, "main", RAW)
    lineage = {asset: {"code_version": "sql", "inputs": {RAW: content}} for asset in ("features/apps", "features/more")}
    with lake.transaction("main", message="dbt build", metadata={"lineage": json.dumps(lineage)}) as branch:
        lake.commit(branch, {"features/apps/rows": b"by dbt"}, message="append apps")
        lake.commit(branch, {"features/more/rows": b"more"}, message="append more")
    built = lake.resolve("main")
    write(lake, "models/small", {"weights": b"later"}, inputs=["features/apps"])
    for at in ("main", built):
        assert lineage_at(lake, at, "features/apps") == lineage["features/apps"]
    found = step(traced(lake, "main", "models/small"), "features/apps")
    assert (found.kind, found.commit, found.code_version) == ("recorded", built, "sql")


def test_content_that_a_revert_brought_back_keeps_its_record(lake: Lake) -> None:
    written = step(traced(lake, "main", "models/small"), "features/apps")
    newer = write(lake, "features/apps", {"rows": b"2"}, inputs=[RAW], run="run-2")
    lake.revert("main", newer)
    assert traced(lake, "main", "features/apps")[0] == written


def test_a_part_that_was_made_again_leads_to_what_it_was_before_too(lake: Lake) -> None:
    before = traced(lake, "main", "features/apps")[0]
    write(lake, "features/apps", {"rows": b"2"}, inputs=[RAW], partitions=["2012-01-01", "2012-02-01"])
    found = traced(lake, "main", "features/apps")
    assert found[0].more == {"partitions": ["2012-01-01", "2012-02-01"]}
    assert found[0].inputs == (found[1].id, before.id)
    assert any("as it was before" in line for line in drawn(found))


def test_a_missing_record_is_said(lake: Lake) -> None:
    lake.commit("main", {"features/apps/rows": b"by hand"}, message="a person was here")
    write(lake, "models/small", {"weights": b"2"}, inputs=["features/apps"])
    found = traced(lake, "main", "models/small")
    assert [(gap.asset, gap.kind) for gap in gaps(found)] == [("features/apps", "unrecorded")]
    assert any("does not say from what it was made" in line for line in drawn(found))


def test_an_input_that_is_nowhere_is_a_gap_and_one_that_was_not_there_is_none(lake: Lake) -> None:
    lineage = {"models/odd": {"inputs": {"features/apps": "f" * 64, "features/none": ""}}}
    lake.commit("main", {"models/odd/card.json": b"1"}, message="w", metadata={"lineage": json.dumps(lineage)})
    found = traced(lake, "main", "models/odd")
    assert [(gap.asset, gap.kind) for gap in gaps(found)] == [("features/apps", "lost")]
    assert found[0].absent == ("features/none",)
    assert "   not there then: features/none" in [line.replace("│", " ")[:32] for line in drawn(found)]


def test_raw_rows_without_an_origin_are_a_gap(lake: Lake) -> None:
    lake.commit("main", {"raw/kronodroid_emulator/part.parquet": b"1"}, message="from somewhere")
    [found] = gaps(traced(lake, "main", "raw/kronodroid_emulator"))
    assert "origin.json" in found.remark


def test_a_metadata_that_is_no_record_is_no_record(lake: Lake) -> None:
    lake.commit("main", {"models/odd/card.json": b"1"}, message="w", metadata={"lineage": "not json"})
    assert traced(lake, "main", "models/odd")[0].kind == "unrecorded"


@pytest.mark.parametrize(
    ("named", "asset", "file"),
    [
        ("models/small", "models/small", None),
        ("models/small/", "models/small", None),
        ("models/small/weights", "models/small", "models/small/weights"),
        ("small", "models/small", None),
        ("features", "features/apps", None),
        ("model-small-v1-data", "models/small", None),
        ("marts.apps", "tables/marts/apps", None),
    ],
)
def test_a_target_is_what_a_person_calls_it(lake: Lake, named: str, asset: str, file: str | None) -> None:
    lake.tag("model-small-v1-data", "main")
    overwrite(open_catalog(lake), "marts.apps", pa.table({"app": ["a"]}))
    found = resolve(lake, named, "main")
    assert (found.asset, found.file and found.file.path) == (asset, file)


def test_a_tag_names_the_model_as_it_was(lake: Lake) -> None:
    lake.tag("model-small-v1-data", "main")
    write(lake, "models/small", {"weights": b"2"}, inputs=["features/apps"], run="run-2")
    found = resolve(lake, "model-small-v1-data", "main")
    assert traced(lake, found.commit, found.asset)[0].run == "run-1"


def test_a_target_that_may_mean_several_assets_is_refused_by_their_names(lake: Lake) -> None:
    write(lake, "reports/small", {"report.json": b"{}"})
    write(lake, "models/large", {"card.json": b"{}"})
    with pytest.raises(InvalidNameError) as refused:
        resolve(lake, "small", "main")
    assert "models/small, reports/small" in refused.value.hint
    with pytest.raises(InvalidNameError) as refused:
        resolve(lake, "models", "main")
    assert "models/large, models/small" in refused.value.hint


@pytest.mark.parametrize("named", ["models/smal", "", "marts.none", "model-small-v7-data", "0" * 32])
def test_a_target_that_is_not_there_is_answered_with_what_is_near_or_possible(lake: Lake, named: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        resolve(lake, named, "main")
    assert refused.value.hint


def test_the_command_draws_a_tree_and_tells_a_script_the_same(lake: Lake, dfp: Dfp) -> None:
    write(lake, "reports/page", {"index.html": b"<p>"}, inputs=["models/small", "features/apps"])
    code, said, _ = dfp("trace", "reports/page/index.html")
    assert code == 0
    lines = said.splitlines()
    assert lines[0].startswith("reports/page/index.html  3 B, sha256 ")
    assert sum("features/apps  (content" in line for line in lines) == 1
    assert sum("features/apps  (above)" in line for line in lines) == 1
    assert sum(f"read {file.name}" in line and file.sha256 in line for line in lines for file in FILES) == 2
    assert "told a.seed=7" in said
    assert lines[-1] == "4 steps back to 10 raw rows, made by run run-1"
    told = json.loads(dfp("trace", "reports/page", "--json")[1])
    assert (told["asset"], told["complete"], len(told["steps"])) == ("reports/page", True, 4)
    known = {found["id"] for found in told["steps"]}
    assert all(name in known for found in told["steps"] for name in found["inputs"])
    [raw] = [found for found in told["steps"] if found["asset"] == RAW]
    assert raw["loads"][0]["files"][0]["sha256"] == FILES[0].sha256
    assert dfp("trace", "reports/pag")[0] == 1


def test_rows_of_a_load_that_several_steps_read_are_counted_once(lake: Lake, dfp: Dfp) -> None:
    land(lake, "0002-b", rows=5)
    write(lake, "features/more", {"rows": b"2"}, inputs=[RAW])
    write(lake, "reports/page", {"index.html": b"<p>"}, inputs=["models/small", "features/more"])
    assert "back to 15 raw rows" in dfp("trace", "reports/page")[1]


def test_a_gap_is_told_on_stderr_too(lake: Lake, dfp: Dfp) -> None:
    lake.commit("main", {"features/apps/rows": b"by hand"}, message="a person was here")
    code, _, told = dfp("trace", "features/apps")
    assert (code, "1 of 1 steps cannot be followed" in told) == (0, True)
