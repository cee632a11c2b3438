"""`dfp alert`: what is configured, without secrets, and whether a test message arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from dfp_platform.settings import settings
from tests.dfp_calls import Dfp, calling
from tests.receivers import web_server


@pytest.fixture
def dfp(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Dfp]:
    yield calling(monkeypatch, capfdbinary, "alert")
    settings.cache_clear()


def set_urls(monkeypatch: pytest.MonkeyPatch, urls: str) -> None:
    monkeypatch.setenv("DFP_ALERT_URLS", urls)
    settings.cache_clear()


def test_a_test_message_goes_over_each_channel_and_what_came_back_is_said(
    dfp: Dfp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_server() as well, web_server(status=403, answer=b"who are you, s3cret?") as broken:
        set_urls(monkeypatch, f"http://{well.host}/s3cret slack+http://{broken.host}/s3cret")
        code, out, err = dfp("--test")
    assert (code, len(well.got), len(broken.got)) == (1, 1, 1)
    assert well.bodies[0]["kind"] == "test"
    assert out.splitlines() == [
        f"1\thttp://{well.host}/…\tok: 200 ok",
        f"2\tslack+http://{broken.host}/…\tFAILED: 403 who are you, ***?",
    ]
    assert "s3cret" not in out + err


def test_without_test_nothing_is_sent(dfp: Dfp, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as web:
        set_urls(monkeypatch, f"http://{web.host}/s3cret")
        code, out, _ = dfp("--json")
        assert (code, web.got) == (0, [])
        assert json.loads(out)["channels"] == [{"channel": 1, "address": f"http://{web.host}/…"}]


def test_without_channels_it_says_so(dfp: Dfp, monkeypatch: pytest.MonkeyPatch) -> None:
    set_urls(monkeypatch, "")
    code, out, err = dfp("--test")
    assert (code, out) == (0, "")
    assert "set DFP_ALERT_URLS" in err


def test_a_kind_that_is_unknown_is_refused_with_those_that_are(dfp: Dfp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_ALERT_ON", "drift storms")
    settings.cache_clear()
    code, _, err = dfp()
    assert code == 1
    assert "no alert is about storms" in err
