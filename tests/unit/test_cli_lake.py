"""`dfp lake …`: what a person and a script read from a real embedded lake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import settings
from tests.dfp_calls import Dfp, calling


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake with one object on main, and a second one on the branch `mine`."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    monkeypatch.setenv("DFP_LAKE", str(tmp_path / "lake"))
    settings.cache_clear()
    made = open_lake(tmp_path / "lake", create=True)
    made.commit("main", {"raw/apps.csv": b"package,malware\n"}, message="first apps", metadata={"run": "r1"})
    made.create_branch("mine")
    made.commit("mine", {"models/weights": b"0" * 2_500}, message="trained")
    yield made
    settings.cache_clear()


@pytest.fixture
def dfp(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Dfp:
    """Calls `dfp` in this process; gives exit code, stdout and stderr."""

    return calling(monkeypatch, capfdbinary)


def test_the_log_names_commits_newest_first(lake: Lake, dfp: Dfp) -> None:
    code, said, _ = dfp("lake", "log", "mine", "--json")
    assert code == 0
    assert [commit["message"] for commit in json.loads(said)][:2] == ["trained", "first apps"]


def test_the_log_shows_a_merge_as_one_commit_unless_asked_for_all(lake: Lake, dfp: Dfp) -> None:
    lake.commit("main", {"raw/more.csv": b""}, message="more apps")
    lake.merge("mine", "main", message="publish mine")
    own = [commit["message"] for commit in json.loads(dfp("lake", "log", "--json")[1])]
    assert own[:3] == ["publish mine", "more apps", "first apps"]
    assert "trained" not in own
    assert "trained" in [commit["message"] for commit in json.loads(dfp("lake", "log", "--all", "--json")[1])]


def test_the_log_of_a_path_leaves_other_commits_out(lake: Lake, dfp: Dfp) -> None:
    _, said, _ = dfp("lake", "log", "mine", "--path", "raw/apps.csv", "--json")
    assert [(commit["message"], commit["metadata"]) for commit in json.loads(said)] == [("first apps", {"run": "r1"})]


def test_in_a_pipe_a_table_is_tab_separated_lines(lake: Lake, dfp: Dfp) -> None:
    _, said, _ = dfp("lake", "log", "mine", "--limit", "1")
    commit, _, message = said.rstrip("\n").split("\t")
    assert (commit, message) == (lake.resolve("mine")[:12], "trained")


def test_branches_are_listed_with_their_heads(lake: Lake, dfp: Dfp) -> None:
    _, said, _ = dfp("lake", "branches", "--json")
    told = {branch["branch"]: branch for branch in json.loads(said)}
    assert {name: branch["commit"] for name, branch in told.items()} == lake.branches()
    assert (told["mine"]["objects"], told["mine"]["tables"], told["main"]["objects"]) == (1, 0, 0)
    assert 0 <= told["mine"]["age_s"] < 600


@pytest.mark.parametrize("refs", [("main..mine",), ("main", "mine")])
def test_a_difference_names_paths_and_sizes(lake: Lake, dfp: Dfp, refs: tuple[str, ...]) -> None:
    _, said, _ = dfp("lake", "diff", *refs)
    assert said == "+\tmodels/weights\t2.5 kB\t\n"


def test_half_a_difference_is_refused(lake: Lake, dfp: Dfp) -> None:
    code, _, said = dfp("lake", "diff", "main")
    assert code == 1
    assert "next: dfp lake diff main..my-branch" in said


def test_a_merge_brings_a_branch_to_main_once(lake: Lake, dfp: Dfp) -> None:
    assert json.loads(dfp("lake", "merge", "mine", "--json")[1])["changed"] is True
    assert lake.read("main", "models/weights") == b"0" * 2_500
    assert json.loads(dfp("lake", "merge", "mine", "--json")[1])["changed"] is False


def test_a_conflict_names_the_path_and_writes_nothing(lake: Lake, dfp: Dfp) -> None:
    lake.commit("main", {"models/weights": b"other"}, message="trained elsewhere")
    before = lake.resolve("main")
    code, _, said = dfp("lake", "merge", "mine")
    assert code == 1
    assert "models/weights" in said
    assert lake.resolve("main") == before


def test_a_tag_is_made_listed_and_forgotten(lake: Lake, dfp: Dfp) -> None:
    dfp("lake", "tag", "release", "mine")
    assert json.loads(dfp("lake", "tag", "--json")[1]) == {"release": lake.resolve("mine")}
    dfp("lake", "tag", "release", "--delete")
    assert json.loads(dfp("lake", "tag", "--json")[1]) == {}


def test_a_branch_is_made_and_forgotten(lake: Lake, dfp: Dfp) -> None:
    dfp("lake", "branch", "yours", "mine")
    assert lake.branches()["yours"] == lake.resolve("mine")
    dfp("lake", "branch", "yours", "--delete")
    assert "yours" not in lake.branches()


def test_an_object_is_shown_with_the_commit_that_wrote_it(lake: Lake, dfp: Dfp) -> None:
    shown = json.loads(dfp("lake", "show", "mine", "raw/apps.csv", "--json")[1])
    assert (shown["size"], shown["written_by"]["message"]) == (16, "first apps")


def test_a_folder_is_shown_as_the_objects_in_it(lake: Lake, dfp: Dfp) -> None:
    assert dfp("lake", "show", "mine", "models")[1] == "models/weights\t2.5 kB\n"
    listed = json.loads(dfp("lake", "show", "mine", "--json")[1])
    assert [stat["path"] for stat in listed["objects"]] == ["models/weights", "raw/apps.csv"]
    assert listed["message"] == "trained"


def test_an_object_that_is_not_there_is_a_message(lake: Lake, dfp: Dfp) -> None:
    code, _, said = dfp("lake", "show", "main", "models/weights")
    assert code == 1
    assert "models/weights" in said


def test_raw_gives_the_bytes_and_nothing_else(lake: Lake, dfp: Dfp) -> None:
    assert dfp("lake", "show", "main", "raw/apps.csv", "--raw") == (0, "package,malware\n", "")


def test_a_whole_lake_verifies(lake: Lake, dfp: Dfp) -> None:
    code, said, _ = dfp("lake", "verify", "--json")
    assert (code, json.loads(said)["problems"]) == (0, [])


def test_a_damaged_lake_is_told_and_fails(lake: Lake, dfp: Dfp) -> None:
    lake.commit("mine", {"models/big": b"0" * 1_000_000}, message="too big for the history itself")
    stored = Path(lake.address("mine", "models/big"))
    stored.chmod(0o644)
    stored.write_bytes(b"1" * 1_000_000)
    code, said, complaint = dfp("lake", "verify", "--json")
    assert code == 1
    assert len(json.loads(said)["problems"]) == 1
    assert "the lake is damaged" in complaint


def test_a_lake_that_was_moved_says_so_and_is_relocated(
    lake: Lake, dfp: Dfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "elsewhere"
    (tmp_path / "lake").rename(moved)
    monkeypatch.setenv("DFP_LAKE", str(moved))
    settings.cache_clear()
    code, _, complaint = dfp("lake", "log")
    assert (code, "dfp lake relocate" in complaint) == (1, True)
    assert dfp("lake", "relocate", "--json")[0] == 0
    code, said, _ = dfp("lake", "log")
    assert (code, "first apps" in said) == (0, True)
    assert "had not moved" in dfp("lake", "relocate")[1]


def test_an_unknown_ref_is_a_message_and_a_next_step_without_a_traceback(lake: Lake, dfp: Dfp) -> None:
    code, said, complaint = dfp("lake", "log", "nowhere")
    assert (code, said) == (1, "")
    assert complaint.startswith("error: ")
    assert "next: " in complaint
    assert "Traceback" not in complaint


def test_without_a_lake_the_next_step_is_a_run(dfp: Dfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_LAKE", str(tmp_path / "none"))
    settings.cache_clear()
    code, _, said = dfp("lake", "log")
    settings.cache_clear()
    assert code == 1
    assert "next: run `make demo`" in said


def test_wrong_usage_ends_with_two(dfp: Dfp) -> None:
    assert dfp("lake", "log", "--limit", "none")[0] == 2


def test_a_setting_that_cannot_be_is_a_message(dfp: Dfp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_SAMPLE_ROWS", "many")
    settings.cache_clear()
    code, _, said = dfp("lake", "log")
    settings.cache_clear()
    assert code == 1
    assert "sample_rows" in said


def rows(lake: Lake, *names: str, branch: str) -> None:
    """Rebuild the table of apps on a branch."""
    import pyarrow as pa

    from dfp_platform.catalog import open_catalog, overwrite

    overwrite(open_catalog(lake, branch), "marts.apps", pa.table({"app": list(names)}))


def test_merge_puts_rows_that_both_branches_appended_into_one_table(lake: Lake, dfp: Dfp) -> None:
    import pyarrow as pa

    from dfp_platform.catalog import open_catalog

    rows(lake, "a", branch="main")
    lake.create_branch("more")
    for branch in ("main", "more"):
        open_catalog(lake, branch).load_table("marts.apps").append(pa.table({"app": [branch]}))
    code, said, _ = dfp("lake", "merge", "more", "--json")
    assert (code, json.loads(said)["changed"]) == (0, True)
    assert open_catalog(lake).pointer("marts.apps").rows == 3


def test_merge_names_table_kind_and_file_of_a_conflict_and_takes_one_side_when_told(lake: Lake, dfp: Dfp) -> None:
    from dfp_platform.catalog import open_catalog

    rows(lake, "a", branch="main")
    lake.create_branch("more")
    rows(lake, "ours", branch="main")
    rows(lake, "theirs", "too", branch="more")
    code, _, complaint = dfp("lake", "merge", "more")
    assert code == 1
    assert "marts.apps: file-both: rewritten or removed on both sides" in complaint
    assert "--theirs marts.apps" in complaint
    assert dfp("lake", "merge", "more", "--ours", "marts.apps", "--theirs", "marts.apps")[0] == 1
    assert dfp("lake", "merge", "more", "--theirs", "marts.apps")[0] == 0
    assert open_catalog(lake).pointer("marts.apps").rows == 2


def test_a_lake_on_a_server_needs_no_relocation(dfp: Dfp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_LAKE", "lakefs://apps")
    settings.cache_clear()
    code, said, _ = dfp("lake", "relocate")
    assert (code, "lakefs://apps lies on a server and needs no relocation" in said) == (0, True)
    assert json.loads(dfp("lake", "relocate", "--json")[1]) == {"folder": "lakefs://apps", "before": None}
    settings.cache_clear()
