"""DataHub's own client tells runs to a receiver on this machine: `make datahub` installs it and runs this."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from datahub.emitter.serialization_helper import post_json_transform
from datahub.metadata.schema_classes import ASPECT_NAME_MAP

from dfp_platform.errors import InputError, UnreachableError
from dfp_platform.lineage import Dataset, Made, RunRecord, State
from dfp_platform.lineage import datahub as told_by
from dfp_platform.lineage.datahub import DataHub, dataset_urn
from tests.local_servers import free_port
from tests.receivers import Web, web_server

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
LAKE = "lakefs://apps"
RAW = Dataset("raw/apps", "main", "c0")
TABLE = Dataset(
    "tables/marts/apps",
    "main",
    "c1",
    "f" * 40,
    "TABLE",
    "marts.apps",
    (("sha256", "string", "digest"), ("size", "long", ""), ("seen", "timestamptz", ""), ("vector", "list<float>", "")),
    rows=12,
)
MODEL = Dataset("models/autoencoder", "main", "c2", "f" * 40, "MODEL", bytes=512, files=2)
MADE = (
    Made(TABLE, (RAW,), "1", columns_from={"size": [("raw/apps", "bytes")], "seen": []}),
    Made(MODEL, (TABLE,), "2", '{"epochs": 3}'),
)


def record(state: State = "COMPLETE", **told: Any) -> RunRecord:
    return RunRecord("r1", "main_line", state, NOON, NOON - timedelta(minutes=5), LAKE, "main", **told)


def told(web: Web) -> dict[tuple[str, str], Any]:
    """Each aspect that arrived, read by DataHub's own classes, by entity and name."""
    found = {}
    for path, body in web.got:
        assert path == "/aspects?action=ingestProposalBatch"
        for proposal in body["proposals"]:
            name = proposal["aspectName"]
            sent = post_json_transform(json.loads(proposal["aspect"]["value"]))
            value = ASPECT_NAME_MAP[name].from_obj(sent)
            assert value.validate()
            found[proposal["entityUrn"], name] = value
    return found


@pytest.fixture
def web() -> Any:
    with web_server(answer=b'{"noCode": "true"}') as web:
        yield web


def tell(web: Web, *records: RunRecord) -> dict[tuple[str, str], Any]:
    for each in records:
        list(DataHub(f"http://{web.host}", token="s3cret-token").tell(each))
    return told(web)


def test_a_publication_is_datasets_with_columns_rows_and_lineage_jobs_and_models(web: Web) -> None:
    found = tell(web, record(made=MADE, commit="f" * 40))
    table, model = (dataset_urn(LAKE, dataset) for dataset in (TABLE, MODEL))
    fields = found[table, "schemaMetadata"].fields
    assert [(field.fieldPath, field.nativeDataType, type(field.type.type).__name__) for field in fields] == [
        ("sha256", "string", "StringTypeClass"),
        ("size", "long", "NumberTypeClass"),
        ("seen", "timestamptz", "TimeTypeClass"),
        ("vector", "list<float>", "ArrayTypeClass"),
    ]
    assert found[table, "datasetProfile"].rowCount == 12
    assert [edge.dataset for edge in found[table, "upstreamLineage"].upstreams] == [dataset_urn(LAKE, RAW)]
    assert [edge.dataset for edge in found[model, "upstreamLineage"].upstreams] == [table]
    (column,) = found[table, "upstreamLineage"].fineGrainedLineages
    assert column.upstreams == [f"urn:li:schemaField:({dataset_urn(LAKE, RAW)},bytes)"]
    assert column.downstreams == [f"urn:li:schemaField:({table},size)"]
    properties = found[table, "datasetProperties"].customProperties
    assert (properties["lake/commit"], properties["lake/content"], properties["run"]) == ("f" * 40, "c1", "r1")
    job = "urn:li:dataJob:(urn:li:dataFlow:(dagster,assets,prod),models/autoencoder)"
    assert found[job, "dataJobInputOutput"].inputDatasets == [table]
    assert found[job, "dataJobInputOutput"].outputDatasets == [model]
    (urn,) = [urn for urn, aspect in found if aspect == "mlModelProperties"]
    assert found[urn, "mlModelProperties"].trainingJobs == [job]
    assert found[urn, "mlModelProperties"].version.versionTag == "c2"
    assert web.headers[-1]["Authorization"] == "Bearer s3cret-token"


@pytest.mark.parametrize(("state", "result"), [("COMPLETE", "SUCCESS"), ("FAIL", "FAILURE"), ("ABORT", "SKIPPED")])
def test_a_run_begins_and_ends_as_an_instance_of_its_jobs_flow(web: Web, state: State, result: str) -> None:
    began = tell(web, record("START"))
    ended = tell(web, record(state, reasons=("a check failed",) if state == "FAIL" else ()))
    (urn,) = {urn for urn, aspect in ended if aspect == "dataProcessInstanceRunEvent"}
    assert began[urn, "dataProcessInstanceRunEvent"].status == "STARTED"
    event = ended[urn, "dataProcessInstanceRunEvent"]
    assert (event.status, event.result.type, event.durationMillis) == ("COMPLETE", result, 300_000)
    flow = "urn:li:dataFlow:(dagster,main_line,prod)"
    assert ended[urn, "dataProcessInstanceRelationships"].parentTemplate == flow
    assert ended[flow, "dataFlowInfo"].name == "main_line"
    reasons = ended[urn, "dataProcessInstanceProperties"].customProperties.get("reasons")
    assert reasons == ("a check failed" if state == "FAIL" else None)


def test_what_goes_wrong_is_told_apart_and_shows_no_token(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UnreachableError):
        list(DataHub(f"http://127.0.0.1:{free_port()}", token="s3cret-token").tell(record()))
    client = DataHub(f"http://{web.host}", token="s3cret-token")
    for answer, error in (({"status": 500, "message": "no"}, UnreachableError), ({"status": 422}, InputError)):
        web.refusing = (int(str(answer["status"])), json.dumps(answer).encode())
        with pytest.raises(error):
            list(client.tell(record()))
    assert "s3cret-token" not in caplog.text


def test_what_was_sent_is_not_sent_again(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_by, "BATCH", 5)
    client = DataHub(f"http://{web.host}")
    pieces = list(client.tell(record(made=MADE)))
    whole = told(web)
    web.got.clear()
    assert list(client.tell(record(made=MADE), begin=2)) == pieces[2:]
    assert set(told(web)) < set(whole)


def test_one_that_hangs_is_left(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_by, "SECONDS", 0.3)
    web.status = 0
    with pytest.raises(UnreachableError, match="did not answer"):
        list(DataHub(f"http://{web.host}").tell(record()))


def test_datahubs_makers_are_told_nothing() -> None:
    from datahub.telemetry import telemetry

    DataHub("http://127.0.0.1:1")
    told_by._quietly()
    assert os.environ["DATAHUB_TELEMETRY_ENABLED"] == "false"
    assert not telemetry.telemetry_instance.enabled
