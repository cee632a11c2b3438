"""The notebooks that need nothing heavy, on the demo's lake; `make notebooks` runs all of them in Jupyter's kernel.

Before `test_readme` in the alphabet, whose commands change the demo.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dfp_platform.lake import open_lake
from dfp_platform.settings import PROJECT_ROOT
from tests.e2e.conftest import Demo

LIGHT = ("explore_the_lake", "files_on_s3")
RUNNER = """
import json, pathlib, sys
for path in sys.argv[1:]:
    cells, names = json.loads(pathlib.Path(path).read_text())["cells"], {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path}#{cell['id']}", "exec"), names)
"""


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_light_notebooks_run_and_leave_the_lake_as_it_was(demo: Demo) -> None:
    lake = open_lake(demo.home / "lake")
    before = (lake.branches(), lake.tags())
    paths = [str(PROJECT_ROOT / "notebooks" / f"{name}.ipynb") for name in LIGHT]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, *paths],
        cwd=demo.root,
        env=dict(demo.environment),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (lake.branches(), lake.tags()) == before


def test_the_light_notebooks_are_there() -> None:
    for name in LIGHT:
        assert json.loads((PROJECT_ROOT / "notebooks" / f"{name}.ipynb").read_text())["cells"]
