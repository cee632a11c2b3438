"""What one run makes of the SparkApplication that the chart describes, and what is read of its driver's log."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dfp_platform.errors import ConfigurationError
from dfp_platform.probes.spark import ask_spark
from dfp_platform.resources.spark_application import dbt_options, filled, pieces, read_log, state_of, template
from dfp_platform.settings import Settings

GIVEN = {
    "kind": "SparkApplication",
    "metadata": {"namespace": "dfp", "labels": {"app": "dfp"}},
    "spec": {
        "image": "dfp-spark:1",
        "restartPolicy": {"type": "Always"},
        "driver": {"serviceAccount": "dfp-spark", "env": [{"name": "DFP_REF", "value": "main"}, {"name": "KEPT"}]},
    },
}


def made(**options: object) -> dict:
    stated = {
        "name": "dfp-1",
        "ref": "run-1",
        "arguments": ["build"],
        "environment": {"DBT_A": "1"},
        "labels": {"r": "1"},
    }
    return filled(GIVEN, **{**stated, **options})


def test_what_the_chart_says_stands_and_what_the_run_says_is_added() -> None:
    before = json.dumps(GIVEN)
    application = made()
    assert application["metadata"] == {"namespace": "dfp", "name": "dfp-1", "labels": {"app": "dfp", "r": "1"}}
    assert application["spec"]["image"] == "dfp-spark:1"
    assert application["spec"]["driver"]["serviceAccount"] == "dfp-spark"
    assert application["spec"]["driver"]["env"] == [
        {"name": "KEPT"},
        {"name": "DFP_REF", "value": "run-1"},
        {"name": "DBT_A", "value": "1"},
    ]
    assert application["spec"]["arguments"] == ["build"]
    assert json.dumps(GIVEN) == before


def test_an_application_is_never_restarted_behind_the_back_of_its_run() -> None:
    assert made()["spec"]["restartPolicy"] == {"type": "Never"}


def test_an_application_goes_with_the_pod_that_submitted_it() -> None:
    [owner] = made(owner=("step-1", "uid-1"))["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "v1", "kind": "Pod", "name": "step-1", "uid": "uid-1"}


def test_options_of_dbt_go_along_and_places_and_secrets_do_not() -> None:
    here = {
        "DBT_LOG_FORMAT": "json",
        "DBT_TARGET_PATH": "/here",
        "DBT_PROFILES_DIR": "/here",
        "DBT_ENV_SECRET_X": "s",
        "HOME": "/",
    }
    assert dbt_options(here) == {"DBT_LOG_FORMAT": "json"}


def test_files_come_back_whole_through_a_log_that_says_other_things_too() -> None:
    content = os.urandom(40_000)
    sent = list(pieces("manifest.json", content))
    assert len(sent) > 5
    assert max(map(len, sent)) < 16_000
    said: list[str] = []
    event = '{"info": {"name": "LogModelResult"}}'
    files, ended = read_log(["WARN of Spark", *sent[:2], event, '{"cut', *sent[2:], '{"dfp_exit": 1}'], said.append)
    assert files == {"manifest.json": content}
    assert ended == 1
    assert said == [event]


def test_a_log_that_breaks_off_says_that_dbt_never_said_how_it_ended() -> None:
    assert read_log(["WARN of Spark"], print) == ({}, None)


def test_an_application_that_the_operator_has_not_seen_has_no_state() -> None:
    assert state_of({}) == ""
    assert state_of({"applicationState": {"state": "RUNNING"}}) == "RUNNING"


@pytest.mark.parametrize("text", [None, "kind: Job", "{", "- a list"])
def test_a_template_that_is_none_is_refused_with_what_to_do(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "application.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match="cannot be used") as refused:
        template(path)
    assert "sparkApplications.enabled" in str(refused.value.hint)


def test_the_doctor_looks_at_the_description_and_starts_no_spark(tmp_path: Path) -> None:
    path = tmp_path / "application.yaml"
    path.write_text(json.dumps(GIVEN))
    found = ask_spark(Settings(home=tmp_path, spark_application=path), 1.0)
    assert "dfp-spark:1" in found.said
    with pytest.raises(ConfigurationError):
        ask_spark(Settings(home=tmp_path, spark_application=tmp_path / "none.yaml"), 1.0)
