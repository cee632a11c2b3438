"""`dfp serve` on the state of the demo: an app by its id, the id of the prediction traced back to raw bytes."""

from __future__ import annotations

import json
import signal
import subprocess

import httpx
import pytest

from tests.e2e.conftest import Demo
from tests.local_servers import free_port, until

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(700)]


def dfp(demo: Demo, *arguments: str) -> str:
    ended = subprocess.run(
        ["dfp", *arguments], cwd=demo.root, env=dict(demo.environment), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def ready(address: str, process: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        assert process.poll() is None, "dfp serve ended"
        return httpx.get(f"{address}/readyz").is_success

    until(answers, ignore=(httpx.HTTPError,))


def test_an_app_is_scored_by_id_and_its_prediction_is_traced(
    demo: Demo, started: list[subprocess.Popen[bytes]]
) -> None:
    port = free_port()
    found = dfp(demo, "sql", "select sha256 from marts.fct_training_dataset where device = 'real_device'", "--json")
    key = json.loads(found)[0]["sha256"]
    process = subprocess.Popen(
        ["dfp", "serve", "--port", str(port)], cwd=demo.root, env=dict(demo.environment), stderr=subprocess.DEVNULL
    )
    started.append(process)
    address = f"http://127.0.0.1:{port}"
    ready(address, process)
    answer = httpx.post(f"{address}/predict", json={"apps": [{"sha256": key}]}, timeout=60).json()
    (prediction,) = answer["predictions"]
    assert 0.0 <= prediction["score"] <= 1.0
    assert answer["model"]["name"] == "autoencoder"
    assert answer["features"] is not None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, -signal.SIGTERM), "it ends by itself, and brings its log into the lake"
    traced = json.loads(dfp(demo, "trace", prediction["prediction_id"], "--json"))
    told = json.dumps(traced)
    assert key in told
    assert "mobile/autoencoder_onnx" in told
    assert "raw/" in told


def test_it_does_not_listen_to_others_without_a_token(demo: Demo) -> None:
    ended = subprocess.run(
        ["dfp", "serve", "--host", "0.0.0.0", "--port", "0"],
        cwd=demo.root,
        env=dict(demo.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "DFP_SERVING_TOKEN" in ended.stderr
