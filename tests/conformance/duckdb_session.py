"""DuckDB 1.5.5 on refs of a lake, behind our REST server.

This version has its Iceberg extension as a package; the DuckDB of this project is newer and has none, so this one lives
in an environment of its own, made by the Makefile, and its statements run there.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfp_platform.lake import Lake
from tests.serving_rest import serving

PYTHON = Path(__file__).resolve().parents[2] / ".cache" / "duckdb" / "bin" / "python"

SESSION = """
import importlib, json, pathlib, sys
import duckdb

uri, refs, statements = json.load(sys.stdin)
session = duckdb.connect()
for name in ("avro", "httpfs", "iceberg"):
    package = pathlib.Path(importlib.import_module(f"duckdb_extension_{name}").__file__).parent
    file = package / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    session.execute(f"load '{file}'")
for alias, ref in refs.items():
    session.execute(f"attach '{ref}' as {alias} (type iceberg, endpoint '{uri}', authorization_type 'none')")
found = []
for statement in statements:
    try:
        found.append(session.execute(statement).fetchall())
    except duckdb.Error as error:
        found.append(str(error))
print(json.dumps(found))
"""


def asked(lake: Lake, refs: Mapping[str, str], *statements: str) -> list[Any]:
    """The rows of each statement, or what DuckDB said was wrong with it.

    Args:
        refs: names of attached databases (``main`` is taken), and the ref each is.
    """
    with serving(lake) as uri:
        command = [str(PYTHON), "-c", SESSION]
        told = json.dumps([uri, refs, statements])
        done = subprocess.run(command, input=told, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
