"""`make up|down|status|logs|reset`: what they call, and what they say where there are no containers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.compose_file import FOLDER

DOCKER = """#!/bin/sh
case "$*" in
  "compose version") exit {compose} ;;
  info) exit {engine} ;;
esac
echo "$*" >> {calls}
"""


class Stack:
    """The script in a folder of its own, with a docker that writes down what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls, self.path = folder, folder / "calls", folder / "bin"
        self.path.mkdir()
        for name in ("stack", "compose.yaml", ".env.example"):
            shutil.copy(FOLDER / name, folder / name)
        for name in ("sh", "cat", "cp", "mv", "dirname"):
            (self.path / name).symlink_to(shutil.which(name) or "")

    def docker(self, *, compose: int = 0, engine: int = 0) -> None:
        file = self.path / "docker"
        file.write_text(DOCKER.format(compose=compose, engine=engine, calls=self.calls))
        file.chmod(0o755)

    def __call__(self, *words: str, typed: str = "", **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [self.folder / "stack", *words],
            input=typed,
            env={"PATH": str(self.path), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    def called(self) -> list[str]:
        beginning = f"compose --project-directory {self.folder} --file {self.folder}/compose.yaml "
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        assert all(line.startswith(beginning) for line in lines)
        return [line.removeprefix(beginning) for line in lines]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


@pytest.mark.parametrize("act", ["up", "down", "status", "logs", "reset"])
def test_without_docker_each_says_what_to_do(stack: Stack, act: str) -> None:
    code, said = stack(act)
    assert code == 1
    assert "there is no docker here" in said
    assert "next: install Docker" in said
    assert not (stack.folder / ".env").exists()


@pytest.mark.parametrize(("lacks", "said"), [("compose", "next: install Compose"), ("engine", "next: start it")])
def test_a_docker_without_compose_or_engine_is_told_apart(stack: Stack, lacks: str, said: str) -> None:
    stack.docker(**{lacks: 1})
    code, told = stack("up")
    assert (code, said in told) == (1, True)
    assert stack.called() == []


def test_up_makes_the_passwords_of_a_laptop_once_and_starts_all(stack: Stack) -> None:
    stack.docker()
    assert stack("up")[0] == 0
    made = stack.folder / ".env"
    assert made.read_text() == (FOLDER / ".env.example").read_text()
    assert made.stat().st_mode & 0o077 == 0
    made.write_text("REDIS_PASSWORD=mine\n")
    assert stack("up")[0] == 0
    assert made.read_text() == "REDIS_PASSWORD=mine\n"
    assert stack.called() == ["up --detach --build", "ps"] * 2


def test_down_keeps_what_the_services_hold_and_logs_may_name_one(stack: Stack) -> None:
    stack.docker()
    assert [stack("down")[0], stack("status")[0], stack("logs", "api")[0]] == [0, 0, 0]
    words = ["down", "ps --all", "logs --follow --tail 200 api"]
    assert stack.called() == [f"--profile spark {word}" for word in words]


def test_reset_asks_first(stack: Stack) -> None:
    stack.docker()
    for answer in ("", "y\n", "no\n"):
        code, said = stack("reset", typed=answer)
        assert (code, "nothing was changed" in said) == (1, True)
    assert stack.called() == []
    assert stack("reset", typed="reset\n")[0] == 0
    assert stack.called() == ["--profile spark down --volumes --remove-orphans"]


def test_another_program_may_do_it(stack: Stack) -> None:
    stack.docker()
    (stack.path / "docker").rename(stack.path / "podman")
    assert stack("down", COMPOSE="podman compose")[0] == 0
    assert stack.called() == ["--profile spark down"]


def test_a_wrong_word_is_told_the_right_ones(stack: Stack) -> None:
    code, said = stack("start")
    assert code == 2
    assert "up|down|status|logs" in said
    assert os.access(FOLDER / "databases.sh", os.X_OK)
