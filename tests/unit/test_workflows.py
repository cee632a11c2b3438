"""Promises of the workflows: they run what CI runs, with pinned actions, few rights, and an end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.audit import verdict
from benchmarks.compare import changes, figures, table
from dfp_platform.settings import PROJECT_ROOT

FILES = sorted((PROJECT_ROOT / ".github" / "workflows").glob("*.y*ml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def jobs(name: str) -> dict[str, dict[str, Any]]:
    return WORKFLOWS[name]["jobs"]


def commands(name: str) -> Iterator[str]:
    return (step["run"] for job in jobs(name).values() for step in job["steps"] if "run" in step)


def test_there_is_a_workflow_for_each_purpose() -> None:
    assert set(WORKFLOWS) == {"benchmarks", "chart", "check", "conformance", "images", "release"}


def test_the_workflow_runs_what_ci_runs() -> None:
    assert list(commands("check")) == [".ci/run"]
    assert ".ci/lakefs" in commands("conformance")


@every_workflow
def test_actions_are_pinned_by_commit_and_say_their_version(name: str) -> None:
    lines = [line for line in (FILES[0].parent / f"{name}.yml").read_text().splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


def test_an_action_has_one_pin_everywhere() -> None:
    pins = {
        re.sub(r".*uses: ", "", line) for path in FILES for line in path.read_text().splitlines() if "uses:" in line
    }
    assert len(pins) == len({pin.split("@")[0] for pin in pins})


@every_workflow
def test_rights_are_few_and_time_is_bounded(name: str) -> None:
    found = WORKFLOWS[name]
    triggers = found[True]  # `on`, as YAML reads it
    assert "pull_request_target" not in triggers
    assert "workflow_run" not in triggers
    assert found["permissions"] == {"contents": "read"}
    assert "concurrency" in found
    for job in jobs(name).values():
        assert 0 < job["timeout-minutes"] <= 150
        assert "latest" not in job["runs-on"]
        assert name == "release" or "permissions" not in job
        assert all(
            service["image"].rpartition(":")[2] not in ("", "latest") for service in job.get("services", {}).values()
        )


@every_workflow
def test_credentials_do_not_stay_and_nothing_from_outside_becomes_a_command(name: str) -> None:
    for job in jobs(name).values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            assert "${{" not in step.get("run", "")


@every_workflow
def test_what_is_run_is_there(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(name):
        assert set(re.findall(r"^make ([a-z-]+)", command, re.MULTILINE)) <= targets
        for script in re.findall(r"^\S*(?:\.ci/\w+)|benchmarks/\w+\.py", command, re.MULTILINE):
            assert (PROJECT_ROOT / script).is_file(), script
        for module in re.findall(r"-m (benchmarks\.\w+)", command):
            assert (PROJECT_ROOT / f"{module.replace('.', '/')}.py").is_file(), module


@pytest.mark.parametrize("name", ["images", "release"])
def test_every_image_is_built_and_only_a_release_pushes(name: str) -> None:
    images = {path.name.removesuffix(".Dockerfile") for path in (PROJECT_ROOT / "deploy/images").glob("*.Dockerfile")}
    [job] = [job for job in jobs(name).values() if "matrix" in job.get("strategy", {})]
    assert set(job["strategy"]["matrix"]["image"]) == images
    [build] = [step for step in job["steps"] if step.get("uses", "").startswith("docker/build-push-action@")]
    assert build["with"]["push"] is (name == "release")
    assert build["with"]["platforms"] == "linux/amd64,linux/arm64"


# -- what they run ---------------------------------------------------------------------------------------------------

BEFORE = [{"what": "commit", "p50_ms": 2.0, "calls": 10, "holds": True, "facts": {"disk_mb": 5}}]


def test_figures_are_named_by_path_and_by_what_was_measured() -> None:
    assert dict(figures(BEFORE)) == {"commit.p50_ms": 2.0, "commit.calls": 10.0, "commit.facts.disk_mb": 5.0}


def test_what_costs_more_is_worse_and_more_calls_are_not() -> None:
    after = [{"what": "commit", "p50_ms": 2.7, "calls": 99, "facts": {"disk_mb": 6}}, {"what": "new", "p50_ms": 1}]
    found = {each.name: each.worse(0.3) for each in changes(BEFORE, after)}
    assert found == {"commit.p50_ms": True, "commit.calls": False, "commit.facts.disk_mb": False}
    assert "| commit.p50_ms | 2 | 2.7 | 1.35 worse |" in table(changes(BEFORE, after))


def test_a_worse_run_ends_with_one(tmp_path: Path) -> None:
    for name, took in (("before", 2.0), ("same", 2.1), ("worse", 3.0)):
        (tmp_path / name).write_text(json.dumps({"wall_seconds": took}))
    script = PROJECT_ROOT / "benchmarks" / "compare.py"
    for name, code in (("same", 0), ("worse", 1)):
        compared = [sys.executable, script, tmp_path / "before", tmp_path / name]
        assert subprocess.run(compared, stdout=subprocess.DEVNULL, check=False).returncode == code


@pytest.mark.parametrize(
    ("answered", "said", "code"),
    [(0, "", 0), (1, "requests.exceptions.ConnectionError: Failed to resolve 'api'", 3), (1, "a 1.0 PYSEC-1", 1)],
)
def test_an_audit_that_nobody_answered_is_no_clean_bill(answered: int, said: str, code: int) -> None:
    assert verdict(answered, said)[0] == code
