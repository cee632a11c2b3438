"""Logs of servers, a JSON object a line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SPOKEN = """
import logging, uvicorn
from dfp_platform.cli.logs import configure_log
configure_log()
uvicorn.Config("app", log_level="warning")
logging.getLogger("uvicorn.error").warning("from uvicorn")
try:
    raise ValueError("no")
except ValueError:
    logging.getLogger("dfp").exception("lake %s", "away")
"""


@pytest.mark.parametrize("said", ["json", "text"])
def test_uvicorn_and_dfp_write_objects_where_they_are_told_to(said, monkeypatch):
    monkeypatch.setenv("DFP_LOG_FORMAT", said)
    ran = subprocess.run([sys.executable, "-c", SPOKEN], capture_output=True, text=True, check=True)
    if said == "text":
        assert "from uvicorn" in ran.stderr
        assert "{" not in ran.stderr
        return
    first, second = map(json.loads, ran.stderr.splitlines())
    assert (first["logger"], first["level"], first["message"]) == ("uvicorn.error", "warning", "from uvicorn")
    assert (second["level"], second["message"]) == ("error", "lake away")
    assert second["error"].endswith("ValueError: no")
    assert second["time"].endswith("+00:00")
