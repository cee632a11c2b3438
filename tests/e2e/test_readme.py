"""The README's commands work: CI runs the ones that build, and the rest is run here, on the state of a small demo."""

from __future__ import annotations

import re
import subprocess

import pytest

from dfp_platform.ingest.sample import write_csv
from dfp_platform.settings import PROJECT_ROOT
from tests.e2e.conftest import Demo

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((PROJECT_ROOT / "README.md").read_text())
RUN_BY_CI = re.compile(r"^(?:\w+=\S+ )*(make [\w-]+)(?: \|\| failed=1)?$", re.MULTILINE)


def make_commands() -> list[str]:
    """Every `make …` that the README shows, without prompt, settings and remark."""
    lines = [
        line.removeprefix("$ ").split(" #")[0].strip()
        for kind, text in BLOCKS
        if kind == "console"
        for line in text.splitlines()
    ]
    return [re.sub(r"^(\w+=\S+ )+", "", line) for line in lines]


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {kind for kind, _ in BLOCKS} <= {"console", "sh", "text"}


@pytest.mark.parametrize("command", sorted(set(make_commands())))
def test_a_command_that_builds_is_a_target_of_the_makefile(command: str) -> None:
    assert re.fullmatch(r"make \w+", command)
    subprocess.run([*command.split(), "--dry-run"], cwd=PROJECT_ROOT, capture_output=True, check=True)


def test_ci_runs_the_commands_that_the_readme_shows() -> None:
    """`make check` runs `make test`; `make dev` does not end, and has a test of its own (test_dagster_dev)."""
    run_by_ci = set(RUN_BY_CI.findall((PROJECT_ROOT / ".ci/run").read_text()))
    assert {"make demo", "make check"} <= run_by_ci
    checked = re.search(r"^check:(.*?)##", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE)
    assert checked is not None
    assert (
        set(make_commands()) - run_by_ci - {"make dev"}
        == {"make test"}
        <= {f"make {name}" for name in checked[1].split()}
    )


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_the_demo_ends_with_what_came_out(demo: Demo) -> None:
    for promised in ("rows", "autoencoder", "xgboost", "latency", "commit", "report", "make dev", "SYNTHETIC"):
        assert promised in demo.printed
    reports = list((demo.home / "reports").glob("*.html"))
    assert len(reports) == 1
    assert str(reports[0]) in demo.printed.replace("\n", "")


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.xdist_group("demo")
def test_the_other_commands_run_as_they_are_written(demo: Demo) -> None:
    """In the order of the page. They change the demo, so this is the last test that looks at it."""
    script = "\n".join(["set -eu", *(text for kind, text in BLOCKS if kind == "sh")])
    write_csv(demo.root / "apps.csv", rows=50, seed=11)
    done = subprocess.run(
        ["sh", "-c", script], cwd=demo.root, env=demo.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert (demo.root / "scores.parquet").stat().st_size > 0
