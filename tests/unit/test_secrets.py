"""Secrets stay secret: in reprs, messages and tracebacks of every client, on the terminal, in Dagster's events."""

from __future__ import annotations

import pickle
import re
import traceback
from collections.abc import Callable

import pytest

from dfp_platform.cli.screen import complain
from dfp_platform.errors import DfpError, PermanentError, UnreachableError
from dfp_platform.settings import Settings, settings
from tests.local_servers import free_port

PASSWORD = "pa55-of-this-test"

ADDRESSES = (
    "catalog_uri", "datahub_url", "lakefs_endpoint_url", "mlflow_server", "openlineage_url", "pages_url", "redis_url",
    "serving_urls", "spark_remote", "ui_url",
)  # fmt: skip
"""Settings that are addresses, or hold some."""


def test_no_setting_shows_a_secret_or_a_login() -> None:
    told: dict[str, str] = dict.fromkeys(ADDRESSES, f"http://user:{PASSWORD}@host/x")
    secrets = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    at = Settings(_env_file=None, **{**told, **dict.fromkeys(secrets, f"redis://user:{PASSWORD}@host")})
    assert len(secrets) >= 8
    assert PASSWORD not in repr(at) + str(at) + f"{at!r}"


def test_whatever_may_be_a_secret_is_one() -> None:
    named = re.compile(r"token|secret|password|api_key|access_key")
    plain = {
        name
        for name, field in Settings.model_fields.items()
        if named.search(name) and "SecretStr" not in str(field.annotation)
    }
    assert plain == set()


def test_an_error_holds_no_login_wherever_it_goes() -> None:
    address = f"redis://user:{PASSWORD}@host:6379/0"
    error = UnreachableError(f"{address} is away", hint=f"look at {address}", address=address, status=3)
    again = pickle.loads(pickle.dumps(error))
    for each in (error, again):
        assert PASSWORD not in f"{each!s} {each!r} {each.args} {each.fields} {each.hint}"
        assert each.fields == {"address": "redis://***@host:6379/0", "status": 3}


def test_a_terminal_sees_no_secret_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DFP_SERVING_TOKEN", PASSWORD)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key-of-this-test")
    settings.cache_clear()
    complain(PermanentError(f"refused: Bearer {PASSWORD}, key-of-this-test", hint=f"not {PASSWORD}"))
    settings.cache_clear()
    assert capsys.readouterr().err == "error: refused: Bearer ***, ***\n  next: not ***\n"


def ask_redis(port: int) -> None:
    from dfp_platform.features.redis_client import RedisClient

    RedisClient(f"redis://user:{PASSWORD}@127.0.0.1:{port}/0").run([("PING",)])


def ask_no_redis(port: int) -> None:
    from dfp_platform.features.redis_client import RedisClient

    RedisClient(f"http://user:{PASSWORD}@127.0.0.1:{port}/0")


def ask_mlflow(port: int) -> None:
    from dfp_platform.models.mlflow_client import talking_to

    with talking_to(f"http://user:{PASSWORD}@127.0.0.1:{port}", task="list experiments") as client:
        client.search_experiments()


def ask_a_door(port: int) -> None:
    from dfp_platform.probes.asking import get

    get(f"http://user:{PASSWORD}@127.0.0.1:{port}/readyz", seconds=2)


def open_a_lake(port: int) -> None:
    from dfp_platform.lake import open_lake

    open_lake(f"ftp://user:{PASSWORD}@127.0.0.1:{port}/lake")


@pytest.mark.parametrize(
    "ask",
    [
        ask_redis,
        ask_no_redis,
        pytest.param(ask_mlflow, marks=pytest.mark.slow),  # make conformance-mlflow; importing it takes seconds
        ask_a_door,
        open_a_lake,
    ],
)
def test_no_client_tells_a_password_in_message_or_traceback(
    ask: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(DfpError) as failed:
        ask(free_port())
    told = "".join(traceback.format_exception(failed.value))
    assert PASSWORD not in "\n".join(line for line in told.splitlines() if not line.startswith("    "))
    assert PASSWORD not in str(failed.value)


def test_a_promotion_that_fails_logs_no_login(caplog: pytest.LogCaptureFixture) -> None:
    from dfp_platform.publishing.promotions import reload_services

    at = Settings(_env_file=None, serving_urls=f"http://user:{PASSWORD}@127.0.0.1:{free_port()}", serving_token="t0ken")
    reload_services(None, "main", at)  # type: ignore[arg-type] # of the lake only others ask
    assert "did not load the model of main" in caplog.text
    assert PASSWORD not in caplog.text


def test_events_of_a_run_that_failed_hold_no_login() -> None:
    import dagster as dg

    @dg.asset
    def unlucky() -> None:
        raise UnreachableError(f"redis://user:{PASSWORD}@host is away", address=f"http://user:{PASSWORD}@host")

    with dg.DagsterInstance.ephemeral() as instance:
        ended = dg.materialize([unlucky], instance=instance, raise_on_error=False)
        logged = [entry.to_json() for entry in instance.all_logs(ended.run_id)]
    assert not ended.success
    assert any("***@host is away" in entry for entry in logged)
    # the source lines that a stack quotes are ours and name no password
    assert not any(PASSWORD in entry for entry in logged)
