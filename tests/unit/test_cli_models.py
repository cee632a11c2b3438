"""`dfp models` as a person meets it: what it prints, and what it says of names that do not exist."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dfp_platform.catalog import content_at
from dfp_platform.cli import main
from dfp_platform.lake import open_lake
from dfp_platform.models.champions import Challenger, Reign
from dfp_platform.publishing.champions import tagged
from dfp_platform.serving.versions import reign_path
from dfp_platform.settings import settings

Dfp = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dfp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Dfp]:
    """`dfp` on a lake with two versions of `autoencoder`, of which the first reigns."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    for name in ("DFP_MLFLOW_URI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    lake, contents = open_lake(tmp_path / "lake", create=True), []
    for weights in (b"1", b"2"):
        head = lake.commit("main", {"models/autoencoder/card.json": b"{}", "models/autoencoder/w": weights}, message="")
        contents.append(content_at(lake, head, "models/autoencoder"))
        tagged(lake, "autoencoder", contents[-1], head)
    reign = Reign(
        model="autoencoder",
        content=contents[0],
        since=datetime(2026, 11, 26, tzinfo=UTC),
        why="first",
        reason="the first version of this model",
        challenger=Challenger(content=contents[1], reason="not better by more than the interval"),
    )
    lake.commit("main", {reign_path("autoencoder"): reign.to_json()}, message="crown")

    def said(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dfp", "models", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, " ".join(told.err.split())

    yield said
    settings.cache_clear()


def test_a_list_has_one_line_a_model(dfp: Dfp) -> None:
    code, told, _ = dfp("list")
    assert (code, told.split("\t")) == (0, ["autoencoder", "2", "v1", "", "", "v2", "", "\n"])


def test_a_model_is_shown_with_the_reason_of_its_reign(dfp: Dfp) -> None:
    code, told, _ = dfp("show", "autoencoder")
    lines = told.splitlines()
    assert code == 0
    assert lines[0] == "champion since 2026-11-26 00:00:00 UTC: the first version of this model"
    assert lines[1] == "challenger: not better by more than the interval"
    assert [line.split("\t")[:2] for line in lines[2:]] == [["v2", "challenger, published"], ["v1", "champion"]]
    story = json.loads(dfp("show", "autoencoder", "--json")[1])
    assert story["reign"]["content"] == story["versions"][1]["content"]
    assert dfp("show", "ae_small") == dfp("show", "autoencoder")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "autoencodr"), "did you mean autoencoder?"),
        (("compare", "autoencoder", "autoencodr@v1"), "did you mean autoencoder?"),
        (("compare", "autoencoder", "autoencoder@v7"), "autoencoder has no version v7 next: there are: v1 ("),
        (("promote", "autoencoder", "v7"), "autoencoder has no version v7 next: there are: v1 ("),
        (("promote", "vae"), "no model is called vae"),
        (("list", "--ref", "mian"), "mian"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(dfp: Dfp, arguments: tuple[str, ...], said: str) -> None:
    code, _, told = dfp(*arguments)
    assert code == 1
    assert said in told


def test_an_mlflow_that_is_not_there_is_left_out_with_a_word(dfp: Dfp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_MLFLOW_URI", "file:///no/such%00place")
    settings.cache_clear()
    code, told, complained = dfp("list")
    assert (code, told.split("\t")[0]) == (0, "autoencoder")
    assert "MLflow is left out" in complained
