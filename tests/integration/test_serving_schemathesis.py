"""Schemathesis against the API: whatever is sent, it answers as its own description says, and never by a 500."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis import GenerationMode

from dfp_platform.lake import open_lake
from dfp_platform.serving.api import create_api
from tests.serving_api import Client, publish, service, tiny_artifact

pytestmark = pytest.mark.xdist_group("serving")  # one worker exports the model

TOKEN = "schemathesis"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
OPERATIONS = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/model"),
    ("POST", "/admin/reload"),
    ("POST", "/predict"),
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    lake = open_lake(tmp_path_factory.mktemp("described") / "lake", create=True)
    publish(lake, tiny_artifact().files)
    return create_api(service(lake), token=TOKEN)


WRONG = ("POST", "/predict", GenerationMode.NEGATIVE)
"""The one operation that takes input, asked by what its schema does not allow."""


@pytest.mark.parametrize(
    ("method", "path", "mode"), [*((*each, GenerationMode.POSITIVE) for each in sorted(OPERATIONS)), WRONG]
)
def test_it_answers_as_it_is_described(api: FastAPI, method: str, path: str, mode: GenerationMode) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", api)
    asked = described[path][method].as_strategy(generation_mode=mode)

    @hypothesis.given(case=asked)
    @hypothesis.settings(max_examples=100 if path == "/predict" else 5)
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=SHOWN)

    ask()


def test_these_are_all_operations_and_all_but_probes_want_the_token(api: FastAPI) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", api)
    found = {(each.ok().method.upper(), each.ok().path) for each in described.get_all_operations()}
    assert found == OPERATIONS
    client = Client(api)
    refused = {path for method, path in OPERATIONS if client.ask(method, path, json={}).status_code == 401}
    assert refused == {path for _, path in OPERATIONS} - {"/healthz", "/readyz"}
