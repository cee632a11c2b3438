"""Notebooks are committed as they are written: without outputs, counters and marks of the machine that ran them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfp_platform.settings import PROJECT_ROOT

NOTEBOOKS = sorted((PROJECT_ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_what_was_written_and_nothing_that_was_run(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert {key: sorted(told) for key, told in notebook["metadata"].items()} == {
        "kernelspec": ["display_name", "language", "name"],
        "language_info": ["name"],
    }
    cells = notebook["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert [cell["id"] for cell in cells] == [f"{path.stem.replace('_', '-')}-{number}" for number in range(len(cells))]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"], cell["metadata"]) for cell in code] == [([], None, {})] * len(
        code
    )


def test_every_notebook_is_in_the_index_of_the_docs() -> None:
    index = (PROJECT_ROOT / "docs" / "README.md").read_text()
    assert NOTEBOOKS
    assert [path.name for path in NOTEBOOKS if f"(../notebooks/{path.name})" not in index] == []
