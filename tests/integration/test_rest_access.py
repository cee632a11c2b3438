"""The REST catalog: tokens, OAuth2, doors that stay shut, and keys to storage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pyiceberg.exceptions import OAuthError, UnauthorizedError

from dfp_platform.catalog.rest.access import Access
from dfp_platform.lake import Lake, open_lake
from tests.serving_rest import SCHEMA, Http, pyiceberg_client, serving

SECRET = "s3cret"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def test_the_secret_is_a_bearer_token_and_nothing_is_told_without_one(lake):
    with serving(lake, token=SECRET) as uri:
        pyiceberg_client(uri, token=SECRET).create_namespace("a")
        with pytest.raises(UnauthorizedError):
            pyiceberg_client(uri, token="wrong")
        for headers in ({}, {"Authorization": SECRET}, {"Authorization": "Basic czNjcmV0"}):
            answer = httpx.get(f"{uri}/v1/config", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert answer.json()["error"]["type"] == "NotAuthorizedException"


def test_a_credential_gets_a_token_over_oauth2_that_can_be_exchanged_until_it_ends(lake):
    with serving(lake, token=SECRET) as uri:
        address = f"{uri}/v1/oauth/tokens"
        told = {"oauth2-server-uri": address}
        pyiceberg_client(uri, credential=f"client:{SECRET}", **told).create_namespace("a")
        with pytest.raises(OAuthError):
            pyiceberg_client(uri, credential="client:wrong", **told)
        asked = {"grant_type": "client_credentials", "client_id": "c", "client_secret": SECRET}
        first = httpx.post(address, data=asked).json()
        assert (first["token_type"], first["expires_in"]) == ("bearer", 3600)
        exchange = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": first["access_token"],
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }
        second = httpx.post(address, data=exchange).json()["access_token"]
        basic = httpx.post(address, data={"grant_type": "client_credentials"}, auth=("c", SECRET))
        for token in (first["access_token"], second, basic.json()["access_token"]):
            with Http(uri, Authorization=f"Bearer {token}") as http:
                assert http.done("GET", "/namespaces") == {"namespaces": [["a"]]}
        for wrong, status in (
            ({**exchange, "subject_token": "1.x"}, 401),
            ({**asked, "client_secret": ""}, 401),
            ({"grant_type": "password"}, 400),
        ):
            assert httpx.post(address, data=wrong).status_code == status


def test_a_token_ends_and_cannot_be_made_longer():
    access = Access(SECRET)
    past, future = access._sign(1).decode(), access._sign(2**40).decode()
    assert access.knows(future)
    assert not access.knows(past)
    assert not access.knows(future.replace(str(2**40), str(2**41)))
    assert not Access("other").knows(future)
    assert SECRET not in repr(access)


@pytest.mark.parametrize(
    ("name", "headers", "status"),
    [
        ("localhost", {}, 200),
        ("[::1]", {}, 200),
        ("evil.example", {}, 403),
        ("localhost", {"Origin": "http://localhost:3000"}, 200),
        ("localhost", {"Origin": "https://evil.example"}, 403),
        ("localhost", {"Origin": "null"}, 403),
    ],
)
def test_without_a_token_a_page_of_elsewhere_gets_nothing(lake, name, headers, status):
    with serving(lake) as uri:
        told = {"Host": f"{name}:{uri.rpartition(':')[2]}", **headers}
        assert httpx.get(f"{uri}/v1/config", headers=told).status_code == status


def test_a_port_that_is_taken_is_said_so(lake):
    with serving(lake) as uri:
        command = [sys.executable, "-m", "dfp_platform.cli", "catalog", "serve", "--lake", lake.uri]
        command += ["--port", uri.rpartition(":")[2]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "choose another --host or --port" in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "some.host"])
def test_a_door_to_other_machines_without_a_token_is_not_opened(lake, host):
    command = [sys.executable, "-m", "dfp_platform.cli", "catalog", "serve", "--host", host, "--lake", lake.uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "DFP_CATALOG_TOKEN" in done.stderr


def test_the_command_says_where_it_answers_and_ends_when_told(lake, tmp_path):
    command = [
        sys.executable,
        "-m",
        "dfp_platform.cli",
        "catalog",
        "serve",
        "--port",
        "0",
        "--json",
        "--lake",
        lake.uri,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        try:
            assert server.stdout is not None
            told = "".join(iter(server.stdout.readline, "}\n")) + "}"
            pyiceberg_client(json.loads(told)["uri"]).create_namespace("a")
        finally:
            server.terminate()
    assert server.returncode in (0, -15)
    assert lake.exists("main", "tables/a/=namespace")


def test_keys_to_storage_go_only_to_those_who_ask_and_never_into_the_config(lake):
    storage = {
        "s3.endpoint": "http://minio:9000",
        "s3.region": "eu",
        "s3.secret-access-key": "k",
        "s3.access-key-id": "i",
    }
    place = "s3://bucket/apps"
    with (
        serving(lake, storage=storage) as uri,
        Http(uri, **{"X-Iceberg-Access-Delegation": "vended-credentials"}) as http,
    ):
        http.done("POST", "/namespaces", {"namespace": ["a"]})
        local = http.done("POST", "/namespaces/a/tables", {"name": "t", "schema": SCHEMA, "stage-create": True})
        assert local["config"] == {"s3.endpoint": "http://minio:9000", "s3.region": "eu"}
        assert local["storage-credentials"] == []
    with serving(lake, storage=storage, locations=["s3://bucket"]) as uri:
        body = {"name": "t", "schema": SCHEMA, "stage-create": True, "location": place}
        with Http(uri) as http:
            assert "storage-credentials" not in http.done("POST", "/namespaces/a/tables", body)
        with Http(uri, **{"X-Iceberg-Access-Delegation": "vended-credentials,remote-signing"}) as http:
            (found,) = http.done("POST", "/namespaces/a/tables", body)["storage-credentials"]
            assert found == {"prefix": f"{place}/", "config": storage}
