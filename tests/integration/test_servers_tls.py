"""The servers that `dfp` starts, over HTTPS: a certificate made here, and what a wrong one is told."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dfp_platform.catalog.rest.access import Access
from dfp_platform.catalog.rest.app import Server, served
from dfp_platform.cli.listening import tls_of
from dfp_platform.errors import ConfigurationError
from dfp_platform.lake import open_lake
from dfp_platform.settings import Settings
from tests.local_servers import free_port, until

TOKEN = "a-token-of-this-test"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dfp")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@contextmanager
def started(home: Path, files: tuple[Path, Path], *command: str) -> Iterator[None]:
    cert, key = map(str, files)
    told = {"DFP_TLS_CERT": cert, "DFP_TLS_KEY": key, "DFP_CATALOG_TOKEN": TOKEN, "DFP_SERVING_TOKEN": TOKEN}
    with subprocess.Popen(
        [sys.executable, "-m", "dfp_platform.cli", *command],
        env={**os.environ, **told, "DFP_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def answered(client: httpx.Client, address: str) -> httpx.Response:
    """What it answers, whatever that is."""
    [answer] = until(lambda: [client.get(address)], ignore=(httpx.ConnectError,))
    return answer


def test_the_catalog_speaks_https_to_those_who_trust_its_certificate(tmp_path: Path, files: tuple[Path, Path]) -> None:
    server = Server(open_lake(tmp_path / "lake", create=True), Access(TOKEN))
    told = tls_of(Settings(_env_file=None, tls_cert=files[0], tls_key=files[1]))
    trusting = ssl.create_default_context(cafile=str(files[0]))
    with served(server, told) as address, httpx.Client(verify=trusting) as client:
        assert address.startswith("https://")
        assert client.get(f"{address}/healthz").json() == {"status": "ok"}
        assert client.get(f"{address}/v1/config").status_code == 401
        assert client.get(f"{address}/v1/config", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{address}/healthz")


@pytest.mark.slow  # two processes: make conformance-mlflow
def test_both_servers_speak_https_and_want_their_token_there_too(tmp_path: Path, files: tuple[Path, Path]) -> None:
    open_lake(tmp_path / "lake", create=True)
    servers = {("catalog", "serve"): ("/healthz", "/v1/config"), ("serve",): ("/healthz", "/model")}
    ports = {words: free_port() for words in servers}
    trusting = ssl.create_default_context(cafile=str(files[0]))
    with ExitStack() as stack:
        for words, port in ports.items():
            stack.enter_context(started(tmp_path, files, *words, "--port", str(port)))
        client = stack.enter_context(httpx.Client(verify=trusting))
        for words, (free, closed) in servers.items():
            address = f"https://127.0.0.1:{ports[words]}"
            assert answered(client, address + free).status_code == 200
            assert client.get(address + closed).status_code == 401
            shown = client.get(address + closed, headers={"Authorization": f"Bearer {TOKEN}"})
            assert shown.status_code in (200, 503)  # 503: no model is published here
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                httpx.get(address + free)
            with pytest.raises(httpx.TransportError):
                httpx.get(address.replace("https", "http") + free)


def test_without_files_a_server_speaks_http() -> None:
    assert tls_of(Settings(_env_file=None)) == {}


def test_a_certificate_without_its_key_or_with_another_is_told(tmp_path: Path, files: tuple[Path, Path]) -> None:
    cert, key = files
    for told in ({"tls_cert": cert}, {"tls_key": key}, {"tls_cert": cert, "tls_key": tmp_path / "none"}):
        with pytest.raises(ConfigurationError, match="cannot be used") as refused:
            tls_of(Settings(_env_file=None, **told))
        assert "DFP_TLS_KEY" in refused.value.hint


def test_an_api_that_other_machines_reach_wants_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    from dfp_platform.cli.serve import serve
    from dfp_platform.settings import settings

    monkeypatch.delenv("DFP_SERVING_TOKEN", raising=False)
    settings.cache_clear()
    with pytest.raises(ConfigurationError, match="can be reached from other machines"):
        serve(host="0.0.0.0", port=0)
