"""Alert rules and Prometheus's configuration, by Prometheus's own tool. `make alerts-check`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from dfp_platform.lake import open_lake
from tests.local_servers import free_port, until

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy/prometheus").glob("*.rules.yaml"))
TESTS = sorted((ROOT / "deploy/prometheus/tests").glob("*.test.yaml"))
CONFIGURATIONS = sorted(
    file for file in (ROOT / "deploy").rglob("prometheus.yaml") if "scrape_configs" in file.read_text()
)


def promtool(*arguments: str | Path) -> str:
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_prometheus_loads_every_rule() -> None:
    told = promtool("check", "rules", *RULES)
    assert told.count("SUCCESS") == len(RULES) > 0


def test_every_alert_keeps_still_and_fires_when_its_test_says() -> None:
    told = promtool("test", "rules", *TESTS)
    assert told.count("SUCCESS") == len(TESTS) == len(RULES)


def test_a_rule_that_is_broken_is_found(tmp_path: Path) -> None:
    """That what is run here can fail."""
    for file in (*RULES, *TESTS):
        place = tmp_path / file.relative_to(ROOT / "deploy/prometheus")
        place.parent.mkdir(exist_ok=True)
        place.write_text(file.read_text().replace(">= scalar(", "<= scalar("))
    with pytest.raises(AssertionError, match="DfpDriftAboveLimit"):
        promtool("test", "rules", *sorted((tmp_path / "tests").glob("*.yaml")))


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.parent.name)
def test_prometheus_takes_its_configuration(file: Path, tmp_path: Path) -> None:
    """With this machine's paths for those of a container."""
    token = tmp_path / "token"
    token.write_text("t")
    text = file.read_text().replace("/etc/prometheus/rules", str(RULES[0].parent)).replace("../", f"{RULES[0].parent}/")
    place = tmp_path / "prometheus.yaml"
    place.write_text(re.sub(r"(credentials_file: )[^\s}]+", rf"\g<1>{token}", text))
    assert "SUCCESS" in promtool("check", "config", place)
    told = yaml.safe_load(text)
    assert {"dfp", "dfp-api", "dfp-catalog"} <= {job["job_name"] for job in told["scrape_configs"]}
    loaded = {rule.name for place in told["rule_files"] for rule in RULES[0].parent.glob(Path(place).name)}
    assert loaded == {rule.name for rule in RULES}


@contextmanager
def running(*command: str | Path, **environment: str) -> Iterator[None]:
    process = subprocess.Popen([*map(str, command)], env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.timeout(180)
def test_a_real_prometheus_reads_the_exporter_with_its_token_and_judges_every_rule(tmp_path: Path) -> None:
    open_lake(tmp_path / "home/lake", create=True)
    exporter, prometheus = free_port(), free_port()
    (tmp_path / "token").write_text("watch")
    told = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rule) for rule in RULES],
        "scrape_configs": [
            {
                "job_name": "dfp",
                "authorization": {"credentials_file": str(tmp_path / "token")},
                "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}],
            }
        ],
    }
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(told))
    serve = (Path(sys.executable).with_name("dfp"), "metrics", "serve", "--port", str(exporter))
    watch = (
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yaml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{prometheus}",
        "--log.level=error",
    )

    def ask(path: str, **params: str) -> Any:
        """What Prometheus answers; an HTTPError while it starts, when it says 503."""
        answer = httpx.get(f"http://127.0.0.1:{prometheus}/api/v1/{path}", params=params)
        return answer.raise_for_status().json()["data"]

    def parts() -> dict[str, str]:
        found = ask("query", query="dfp_exporter_part_up")["result"]
        return {each["metric"]["part"]: each["value"][1] for each in found}

    with running(*serve, DFP_HOME=str(tmp_path / "home"), DFP_METRICS_TOKEN="watch"), running(*watch):
        up = dict.fromkeys(("lake", "models", "runs", "sensors"), "1")
        until(lambda: parts() == up, ignore=(httpx.HTTPError,))

        def health() -> dict[str, str]:
            return {rule["name"]: rule["health"] for group in ask("rules")["groups"] for rule in group["rules"]}

        judged = until(lambda: (found := health()) and "unknown" not in found.values() and found)
        assert set(judged.values()) == {"ok"}
        assert len(judged) > 20
        assert httpx.get(f"http://127.0.0.1:{exporter}/metrics").status_code == 401
