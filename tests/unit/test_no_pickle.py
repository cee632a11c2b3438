"""No load path of ours runs what a file says: no pickle, no torch.load of objects, no unsafe YAML, no eval."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.settings import PROJECT_ROOT

ROOMS = ("dfp_platform", "dbt_datafusion/src", "android_lab", "benchmarks", "deploy")

EXPECTED = {"dfp_platform/resources/spark_ingest.py": {"pickle"}}
"""Where it is right. spark_ingest: what tasks of a Spark job answer to their own driver, over Spark's connection, which
carries Python's tasks as pickles itself; nothing is read from a file or from a stranger."""

MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "jsonpickle",
    "pandas.read_pickle",
}
CALLS = {
    "eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all",
    "pd.read_pickle", "pandas.read_pickle",
}  # fmt: skip


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def said(call: ast.Call, name: str) -> object:
    found = [keyword.value for keyword in call.keywords if keyword.arg == name]
    return found[0].value if found and isinstance(found[0], ast.Constant) else None


WORTH_A_LOOK = re.compile(r"pickle|dill|joblib|marshal|shelve|load|eval|exec|os\.|shell|ckpt_path")
"""Whatever is unsafe has one of these words; reading all other sources takes seconds."""


def unsafe(text: str) -> Iterator[str]:
    """What of a source loads objects or runs text."""
    if not WORTH_A_LOOK.search(text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield node.module or ""
        elif isinstance(node, ast.Call) and _runs(node, dotted(node.func)):
            yield dotted(node.func)


def _runs(call: ast.Call, name: str) -> bool:
    if name in ("np.load", "numpy.load"):
        return said(call, "allow_pickle") not in (None, False)
    if name.startswith("subprocess."):
        return said(call, "shell") is True
    resumes = any(keyword.arg == "ckpt_path" for keyword in call.keywords) or name.endswith("load_from_checkpoint")
    return name in CALLS or ((resumes or name == "torch.load") and said(call, "weights_only") is not True)


def sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((PROJECT_ROOT / room).rglob("*.py"))


def test_no_source_loads_objects() -> None:
    found = {str(path.relative_to(PROJECT_ROOT)): set(unsafe(path.read_text())) for path in sources()}
    assert {name: what for name, what in found.items() if what} == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load('x')",
        "torch.load('x', weights_only=False)",
        "np.load('x', allow_pickle=True)",
        "yaml.load(text)",
        "trainer.fit(task, ckpt_path=x)",
        "eval(text)",
        "subprocess.run(x, shell=True)",
    ],
)
def test_what_loads_objects_is_found(text: str) -> None:
    assert list(unsafe(text))


def test_what_does_not_is_not() -> None:
    assert list(unsafe("np.load('x'); torch.load('x', weights_only=True); yaml.safe_load(t)")) == []
