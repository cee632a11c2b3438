"""Values of Loki's charts find the pods that Dagster starts."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import yaml

from dfp_platform.settings import PROJECT_ROOT

VALUES = PROJECT_ROOT / "deploy/loki"


def test_labels_of_run_and_step_are_those_that_dagster_puts_on_its_pods():
    told = yaml.safe_load((VALUES / "alloy.values.yaml").read_text())["alloy"]["configMap"]["content"]
    named = dict(re.findall(r'"__meta_kubernetes_pod_label_(dagster_\w+)"\]\s+target_label\s+= "(\w+)"', told))
    assert named == {"dagster_job": "job", "dagster_op": "step", "dagster_run_id": "run"}
    found = find_spec("dagster_k8s")
    assert found is not None
    assert found.origin is not None
    for module, labels in (
        ("executor.py", ("dagster/job", "dagster/op", "dagster/run-id")),
        ("launcher.py", ("dagster/job", "dagster/run-id")),
    ):
        source = Path(found.origin).with_name(module).read_text()
        assert all(f'"{label}"' in source for label in labels)
        assert {re.sub(r"\W", "_", label) for label in labels} <= set(named), "as Prometheus' discovery writes them"
    assert told.count("{") == told.count("}")


def test_loki_keeps_runs_as_metadata_and_not_as_streams():
    alloy = (VALUES / "alloy.values.yaml").read_text()
    assert 'stage.structured_metadata {\n          values = {level = "", run = "", pod = ""}' in alloy
    assert 'values = ["run", "pod", "instance"]' in alloy
    loki = yaml.safe_load((VALUES / "loki.values.yaml").read_text())["loki"]
    assert loki["limits_config"]["allow_structured_metadata"] is True
    assert loki["schemaConfig"]["configs"][0]["schema"] == "v13", "older ones have no structured metadata"
