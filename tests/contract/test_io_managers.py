"""Every artifact kind's promise: a value lies on its run's branch, reaches `main` by the merge, reads back at a commit.

A new kind is one line in `io_managers` and one in `VALUES`. One line of runs makes all kinds; each test looks at one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from dfp_platform.catalog import content_at
from dfp_platform.errors import CorruptLakeError, NotFoundError, ReadOnlyError
from dfp_platform.publishing.executor import publishing
from dfp_platform.publishing.launch import RunOutcome, run_job
from dfp_platform.resources.dagster_internals import ASSET_JOB, latest_data_versions, project_instance
from dfp_platform.resources.io_managers import FilesIOManager, io_managers
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import PROJECT_ROOT, settings
from tests.toy_harness import Toy
from tests.toy_line import knob


def table(*numbers: int) -> pa.Table:
    return pa.table({"x": pa.array(numbers, pa.int64()), "name": [f"app {n}" for n in numbers]})


def files(name: str, text: str, **more: str) -> dict[str, bytes]:
    return {name: text.encode(), **{f"{part}/more.bin": content.encode() for part, content in more.items()}}


VALUES: dict[str, dict[str, Any]] = {
    "parquet": {"first": table(1, 2), "second": table(1, 2, 3)},
    "iceberg": {"first": table(1, 2), "second": table(1, 2, 3)},
    "registry": {"first": files("registry.pb", "1"), "second": files("registry.pb", "2")},
    "weights": {"first": files("card.json", "1", a="weights"), "second": files("card.json", "2", b="other")},
    "champions": {"first": files("vae.json", "1"), "second": files("vae.json", "2", b="more")},
    "mobile": {"first": files("card.json", "1", a="onnx"), "second": files("card.json", "2")},
    "report": {"first": files("report.json", "1"), "second": files("report.json", "1", b="figure")},
}
KINDS = list(VALUES)
TABULAR = ("parquet", "iceberg")


FILES = [
    kind
    for kind, keeper in io_managers(LakeResource()).items()
    if isinstance(keeper, FilesIOManager) and keeper.required
]
"""Kinds that are whole only with certain files."""


def key_for(kind: str) -> list[str]:
    return ["tables", "things", kind] if kind == "iceberg" else ["things", kind]


def path_for(kind: str) -> str:
    return "/".join(key_for(kind))


def asset_of(kind: str) -> dg.AssetsDefinition:
    @dg.asset(key=key_for(kind), io_manager_key=kind, code_version="1")
    def made() -> Any:
        return VALUES[kind].get(knob("value", "first"), {"other.txt": b"half an artifact"})

    return made


def defs() -> dg.Definitions:
    """A code location with one asset of each kind."""
    lake = LakeResource()
    return dg.Definitions(
        assets=[asset_of(kind) for kind in KINDS],
        resources={"lake": lake, **io_managers(lake)},
        executor=publishing(dg.in_process_executor),
    )


@dataclass
class History:
    """Runs that made the first value, the first again, the second, and the first once more."""

    toy: Toy
    runs: list[RunOutcome] = field(default_factory=list)
    versions: list[dict[str, str]] = field(default_factory=list)
    while_running: dict[str, tuple[str, str]] = field(default_factory=dict)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)

    def make(self, value: str, kinds: list[str] = KINDS) -> RunOutcome:
        self.toy.turn("value", value)
        selection = [path_for(kind) for kind in kinds]
        return run_job(
            job=ASSET_JOB, instance=self.toy.instance, module=__name__, selection=selection, progress=self._look
        )

    def remember(self, value: str) -> None:
        self.runs.append(self.make(value))
        shown = latest_data_versions(self.toy.instance, [path_for(kind) for kind in KINDS])
        self.versions.append({asset: version for asset, (version, _) in shown.items()})

    def _look(self, event: Any) -> None:
        kind = event.step_key.split("__")[-1] if event.is_step_success else None
        if kind and kind not in self.while_running:
            (branch,) = set(self.toy.lake.branches()) - {"main"}
            asset = path_for(kind)
            self.while_running[kind] = (
                content_at(self.toy.lake, "main", asset),
                content_at(self.toy.lake, branch, asset),
            )
        if event.is_step_materialization and event.asset_key:
            told = event.step_materialization_data.materialization.metadata
            self.told.setdefault(event.asset_key.path[-1], {name: value.value for name, value in told.items()})


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    home = tmp_path_factory.mktemp("artifacts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFP_HOME", str(home))
        settings.cache_clear()
        with project_instance(PROJECT_ROOT, home / "dagster") as instance:
            line = History(Toy(home, instance))
            for value in ("first", "first", "second", "first"):
                line.remember(value)
            yield line
    settings.cache_clear()


def load(toy: Toy, kind: str, ref: str) -> Any:
    """The value at a ref, through the kind's IO manager, outside any run."""
    lake = LakeResource(address=str(toy.home / "lake"), branch=ref)
    return io_managers(lake)[kind].load_input(dg.build_input_context(asset_key=dg.AssetKey(key_for(kind))))


def equal(kind: str, value: Any, expected: Any) -> bool:
    if kind not in TABULAR:
        return value == expected
    return value.sort_by("x").cast(expected.schema).equals(expected)


def test_every_kind_is_held_to_the_contract() -> None:
    assert set(io_managers(LakeResource())) == set(VALUES)


def test_every_run_of_the_line_was_published(history: History) -> None:
    assert [run.success for run in history.runs] == [True] * 4, history.runs


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_lies_on_its_runs_branch_and_is_invisible_on_main_until_merged(history: History, kind: str) -> None:
    on_main, on_branch = history.while_running[kind]
    assert on_main == "", "its step had ended, and main knew nothing of it"
    assert on_branch == content_at(history.toy.lake, str(history.runs[0].published_commit), path_for(kind)) != ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_materialization_says_where_its_content_is(history: History, kind: str) -> None:
    told, asset = history.told[kind], path_for(kind)
    assert told["lake/branch"] == history.runs[0].branch
    assert told["lake/content"] == history.versions[0][asset]
    assert content_at(history.toy.lake, told["lake/commit"], asset) == told["lake/content"], "still reached"
    assert told["bytes"] > 0
    assert told.get("dagster/row_count") == (2 if kind in TABULAR else None)


@pytest.mark.parametrize("kind", KINDS)
def test_an_equal_value_makes_no_commit_and_keeps_its_data_version(history: History, kind: str) -> None:
    first, again = history.runs[:2]
    assert again.published_commit == first.published_commit
    versions = [versions[path_for(kind)] for versions in history.versions]
    assert versions[0] == versions[1] == versions[3], "equal content, equal version, whatever lay between"
    assert versions[2] != versions[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_version_reads_back_at_its_commit(history: History, kind: str) -> None:
    for run, value in zip(history.runs, ("first", "first", "second", "first"), strict=True):
        assert equal(kind, load(history.toy, kind, str(run.published_commit)), VALUES[kind][value]), value


@pytest.mark.parametrize("kind", KINDS)
def test_the_commit_that_wrote_a_value_names_run_asset_and_code_version(history: History, kind: str) -> None:
    first, asset = history.runs[0], path_for(kind)
    path = next(found.path for found in history.toy.lake.list(str(first.published_commit), asset))
    metadata = history.toy.lake.provenance(str(first.published_commit), path).metadata
    assert metadata["run"] == first.run_id
    assert asset in metadata["assets"]
    assert '"code_version": "1"' in metadata["lineage"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_not_found_and_a_hint_says_what_to_do(history: History, kind: str) -> None:
    empty = list(history.toy.lake.log("main"))[-1].id
    with pytest.raises(NotFoundError) as missing:
        load(history.toy, kind, empty)
    assert missing.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_outside_a_run_is_refused(history: History, kind: str) -> None:
    history.toy.turn("value", "second")  # an equal one would leave nothing to write
    head = history.toy.lake.resolve("main")
    resources = io_managers(LakeResource())
    with pytest.raises(ReadOnlyError):
        dg.materialize([asset_of(kind)], resources=resources, instance=history.toy.instance)
    assert history.toy.lake.resolve("main") == head


def test_files_of_an_earlier_version_vanish_and_those_of_neighbours_stay(history: History) -> None:
    lake, kinds = history.toy.lake, [kind for kind in KINDS if kind != "iceberg"]
    stale = {f"{path_for(kind)}/old/part.bin": b"stale" for kind in kinds}
    neighbours = {f"{path_for(kind)}-beside/x": b"kept" for kind in kinds}
    lake.commit("main", {**stale, **neighbours}, message="by hand")
    outcome = history.make("second", kinds)
    assert outcome.success, outcome
    left = {found.path for found in lake.list("main", "things/")}
    assert not left & set(stale)
    assert set(neighbours) <= left
    for kind in kinds:
        assert equal(kind, load(history.toy, kind, "main"), VALUES[kind]["second"])


def test_half_an_artifact_is_neither_written_nor_read(history: History) -> None:
    broken, lake = history.make("half", FILES), history.toy.lake
    assert set(broken.failed) == {f"things__{kind}" for kind in FILES}
    assert list(lake.diff("main", broken.branch, "things/")) == []
    lake.create_branch("half-there", list(lake.log("main"))[-1].id)
    lake.commit("half-there", {f"{path_for(kind)}/other.txt": b"half" for kind in FILES}, message="by hand")
    for kind in FILES:
        with pytest.raises(CorruptLakeError, match="needs"):
            load(history.toy, kind, "half-there")
