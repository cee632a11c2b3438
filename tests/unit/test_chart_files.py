"""What the Helm chart's files promise, as far as they can be read without Helm (`make chart` renders them)."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
import yaml

from dfp_platform.settings import PROJECT_ROOT, Settings
from tests.chart import CHART, VALUES_FILES

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


def merged(values: dict, more: dict) -> dict:
    """Values as Helm merges them: maps key by key, all else as a whole."""
    both = {key: merged(values[key], more[key]) for key in values.keys() & more.keys() if isinstance(more[key], dict)}
    return {**values, **more, **both}


@pytest.mark.parametrize("name", VALUES_FILES)
def test_values_keep_to_the_schema(name: str) -> None:
    VALIDATOR.validate(merged(DEFAULTS, yaml.safe_load((CHART / name).read_text())))


@pytest.mark.parametrize(
    "wrong",
    [
        {"webservr": {}},
        {"api": {"replica": 2}},
        {"settings": {"DFP_CATALOG_TOKEN": "abc"}},
        {"settings": {"DFP_SEED": 7}},
        {"secrets": {"values": {"redis": "abc"}}},
        {"image": {"tag": "latest"}},
        {"postgres": {"image": "postgres"}},
        {"minio": {"external": {"url": "https://user:password@s3.example.org"}}},
        {"catalog": {"resources": {"requests": {"cpu": "1"}}, "limits": {}}},
        {"sparkApplications": {"sparkVersion": "3.5.1"}},
        {"exposure": {"postgres": {"type": "loadBalancer"}}},
        {"networkPolicy": {"internet": {"cidrs": ["everywhere"]}}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_cannot_be_meant(wrong: dict) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(merged(DEFAULTS, wrong))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_settings_of_values_files_are_settings() -> None:
    named = {key for name in VALUES_FILES for key in yaml.safe_load((CHART / name).read_text()).get("settings", {})}
    assert named - {f"DFP_{name.upper()}" for name in Settings.model_fields} == set()


def test_the_queue_is_that_of_the_checkout() -> None:
    """The concurrency of `dagster.yaml`, in which the chart has one value of its own."""
    template = (CHART / "templates" / "_dagster.tpl").read_text()
    found = re.search(r"^concurrency:\n(?:[ ].*\n)+", template, re.MULTILINE)
    assert found
    told = found[0].replace("{{ .Values.runs.maxConcurrent }}", str(DEFAULTS["runs"]["maxConcurrent"]))
    checkout = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    assert yaml.safe_load(told)["concurrency"] == checkout["concurrency"]


def test_spark_is_the_version_that_is_pinned() -> None:
    pins = dict(line.split("==") for line in (PROJECT_ROOT / "constraints.txt").read_text().split())
    assert DEFAULTS["sparkApplications"]["sparkVersion"] == pins["pyspark"]


def test_the_chart_is_of_this_version() -> None:
    from dfp_platform import __version__

    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def test_every_value_is_in_the_readme() -> None:
    readme = (CHART / "README.md").read_text()
    assert {name for name in DEFAULTS if not name.endswith("Override") and f"`{name}" not in readme} == set()
    keys = {told["key"] for told in DEFAULTS["secrets"]["keys"].values()}
    assert {key for key in keys if f"`{key}`" not in readme} == set()


def test_templates_are_small() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in (CHART / "templates").iterdir()}
    assert {name: count for name, count in lines.items() if count > 200} == {}
