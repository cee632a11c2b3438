"""Which commit of the code ran: told where the checkout is its own, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pygit2
import pytest

from dfp_platform.resources.code_version import git_tags


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    repository = pygit2.init_repository(str(root), initial_head="main")
    (root / "code.py").write_text("1")
    repository.index.add("code.py")
    repository.index.write()
    somebody = pygit2.Signature("somebody", "somebody@example.org", 0, 0)
    repository.create_commit("HEAD", somebody, somebody, "code", repository.index.write_tree(), [])
    return root


def test_a_clean_checkout_is_named_by_its_commit(checkout: Path) -> None:
    head = str(pygit2.Repository(str(checkout)).head.target)
    (checkout / "not of git").write_text("new")
    assert git_tags(checkout) == {"git.commit": head, "git.dirty": "false"}


def test_a_changed_one_says_so(checkout: Path) -> None:
    (checkout / "code.py").write_text("2")
    assert git_tags(checkout)["git.dirty"] == "true"


def test_outside_of_git_nothing_is_claimed(tmp_path: Path) -> None:
    assert git_tags(tmp_path) == {}


def test_a_package_inside_another_projects_checkout_is_outside_of_git(checkout: Path) -> None:
    (checkout / "site-packages").mkdir()
    assert git_tags(checkout / "site-packages") == {}


def test_a_repository_without_a_commit_claims_nothing(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "new"))
    assert git_tags(tmp_path / "new") == {}
