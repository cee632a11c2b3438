"""Alerts over real sockets: what arrives, what failures say, and that no log ever holds an address whole."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from dfp_platform.alerts import Alert, Answer, Channel, Waiting, channels, channels_of, deliver, outbox, put_into, send
from tests.local_servers import free_port
from tests.receivers import mail_server, web_server

# apprise's PGP support asks Python 3.11 and 3.12 for a module that 3.13 lacks
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

SECRETS = ("s3cret-user", "s3cret-word", "T0PSECRET", "s3cret-key")

ALERT = Alert(
    kind="drift",
    severity="warning",
    title="Drift: reports/drift",
    reasons=("check drift of reports/drift failed: 0.41 against 0.3", "a < b & c"),
    next="look at the report",
    time="2026-11-26T12:00:00+00:00",
    job="monitor",
    run_id="r1",
    url="http://ui:3000/runs/r1",
    branch="main",
    commit="f" * 40,
    assets=("reports/drift",),
)


@pytest.fixture(autouse=True)
def no_secret_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    for name in ("", "httpx", "httpcore", "apprise", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    yield
    told = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert [secret for secret in SECRETS if secret in told] == []


def one(address: str) -> Channel:
    (channel,) = channels_of(address)
    return channel


def clean(answer: Answer) -> Answer:
    assert [secret for secret in SECRETS if secret in answer.said] == []
    return answer


def test_a_webhook_gets_the_documented_fields() -> None:
    with web_server() as web:
        answer = clean(send(one(f"http://s3cret-user:s3cret-word@{web.host}/T0PSECRET?key=s3cret-key"), ALERT))
    assert answer == Answer(True, "200 ok")
    ((path, body),) = web.got
    assert path == "/T0PSECRET?key=s3cret-key"
    assert body == {
        "version": 1,
        "id": ALERT.id,
        "kind": "drift",
        "severity": "warning",
        "title": "Drift: reports/drift",
        "reasons": ["check drift of reports/drift failed: 0.41 against 0.3", "a < b & c"],
        "next": "look at the report",
        "time": "2026-11-26T12:00:00+00:00",
        "job": "monitor",
        "run_id": "r1",
        "url": "http://ui:3000/runs/r1",
        "report": "",
        "branch": "main",
        "commit": "f" * 40,
        "assets": ["reports/drift"],
    }
    assert web.headers[0]["Authorization"].startswith("Basic ")


def test_an_incoming_webhook_as_slack_has_it_works_on_any_host() -> None:
    with web_server() as web:
        assert send(one(f"slack+http://{web.host}/hooks/T0PSECRET"), ALERT).delivered
    ((path, body),) = web.got
    assert path == "/hooks/T0PSECRET"
    assert list(body) == ["text"]
    assert body["text"].startswith("*Drift: reports/drift*\n• check drift of reports/drift failed: 0.41 against 0.3\n")
    assert "• a &lt; b &amp; c" in body["text"]


def test_mattermosts_own_address_goes_by_apprise() -> None:
    with web_server() as web:
        assert send(one(f"mmost://{web.host}/T0PSECRETT0PSECRET12345678"), ALERT).delivered
    ((path, body),) = web.got
    assert path == "/hooks/T0PSECRETT0PSECRET12345678"
    assert "Drift: reports/drift" in body["text"]


def mailbox(port: int) -> Channel:
    return one(f"mailto://127.0.0.1:{port}?from=dfp@example.org&to=ops@example.org,lead@example.org")


def test_mail_arrives_with_title_and_text() -> None:
    with mail_server() as mail:
        assert clean(send(mailbox(mail.port), ALERT)).delivered
    assert [message["subject"] for message in mail.got] == ["Drift: reports/drift"] * len(mail.got)
    assert {to for _, tos in mail.envelopes for to in tos} == {"ops@example.org", "lead@example.org"}
    assert "0.41 against 0.3" in mail.got[0].get_body(("plain", "html")).get_content()


def test_a_mail_server_that_refuses_is_told() -> None:
    with mail_server(refuses="554 no room for you") as mail:
        answer = clean(send(mailbox(mail.port), ALERT))
    assert not answer.delivered
    assert answer.said


@pytest.mark.parametrize(
    ("status", "again"), [(500, True), (503, True), (429, True), (404, False), (401, False), (302, False)]
)
def test_what_a_webhook_refuses_is_said_and_only_what_may_heal_is_tried_again(status: int, again: bool) -> None:
    with web_server(status=status, answer=b"no T0PSECRET here") as web:
        answer = clean(send(one(f"http://{web.host}/hooks/T0PSECRET"), ALERT))
    assert answer == Answer(False, f"{status} no *** here", again)


def test_a_webhook_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "ANSWER_SECONDS", 0.3)
    with web_server(status=0) as web:
        answer = clean(send(one(f"http://{web.host}/T0PSECRET"), ALERT))
    assert answer == Answer(False, "no answer within 0.3 s", again=True)


@pytest.mark.parametrize(
    "address",
    [
        "http://{}/T0PSECRET",
        "slack+http://{}/T0PSECRET",
        "mailto://s3cret-user:s3cret-word@{}?to=a@example.org&from=b@example.org",
    ],
)
def test_a_channel_that_is_away_is_said_and_tried_again(address: str) -> None:
    answer = clean(send(one(address.format(f"127.0.0.1:{free_port()}")), ALERT))
    assert (answer.delivered, answer.again) == (False, True)
    assert answer.said


@pytest.mark.parametrize(
    "address", ["nothing://T0PSECRET/s3cret-key", "https://", "slack+https:///T0PSECRET", "slack://T0PSECRET"]
)
def test_an_address_that_cannot_be_used_is_said_and_not_tried_again(address: str) -> None:
    answer = clean(send(one(address), ALERT))
    assert (answer.delivered, answer.again) == (False, False)


def test_a_channel_shows_no_secret() -> None:
    secret = (
        "https://s3cret-user:s3cret-word@chat.example.org:8065/T0PSECRET slack+https://hooks.example.org/T0PSECRET, "
        "slack://T0PSECRET/s3cret-key/x discord://T0PSECRET/s3cret-key\nmailtos://s3cret-user:s3cret-word@smtp.org?to=a@b.org,c@b.org"
    )
    found = channels_of(secret)
    assert [channel.name for channel in found] == [
        "https://chat.example.org:8065/…",
        "slack+https://hooks.example.org/…",
        "slack://…",
        "discord://…",
        "mailtos://smtp.org/…",
    ]
    assert [part for part in SECRETS if part in f"{found}" + "".join(channel.id for channel in found)] == []
    assert found[-1].address.endswith("?to=a@b.org,c@b.org")


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_what_a_channel_did_not_take_waits_and_arrives_once_it_is_back() -> None:
    with web_server(status=503) as web, web_server() as other:
        both = channels_of(f"http://{web.host}/T0PSECRET http://{other.host}/x")
        left = deliver(put_into([], [ALERT], both), both)
        assert [(each.channel, each.tries) for each in left] == [(both[0].id, 1)]
        web.status = 200
        stored = json.loads(json.dumps([vars_of(each) for each in left]))
        assert deliver([Waiting(**each) for each in stored], both) == []
    assert (len(web.got), len(other.got)) == (2, 1)
    assert Alert.of(web.bodies[1]) == ALERT


def vars_of(each: Waiting) -> dict[str, object]:
    return {"alert": each.alert, "channel": each.channel, "tries": each.tries}


def test_a_channel_that_failed_is_left_alone_for_the_rest_of_a_call() -> None:
    tried: list[int] = []
    both = channels_of("http://one/ http://two/")

    def sending(channel: Channel, alert: Alert) -> Answer:
        tried.append(channel.number)
        return Answer(channel.number == 2, "", again=True)

    left = deliver(put_into([], [ALERT] * 5, both), both, sending=sending)
    assert (tried.count(1), tried.count(2), len(left)) == (1, 5, 5)


def test_an_alert_is_given_up_after_some_tries_or_at_once_if_refused_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    every = channels_of("http://one.example.org/T0PSECRET")
    left = put_into([], [ALERT], every)
    for _ in range(outbox.TRIES):
        left = deliver(left, every, sending=lambda channel, alert: Answer(False, "503", again=True))
    assert left == []
    assert f"http://one.example.org/…, and is given up after {outbox.TRIES} tries: 503" in caplog.text
    assert caplog.text.count("is tried again") == 1
    refused = put_into([], [ALERT], every)
    assert deliver(refused, every, sending=lambda channel, alert: Answer(False, "404")) == []
    assert "and is given up: 404" in caplog.text


def test_only_so_many_wait_and_what_is_in_no_channel_any_more_does_not() -> None:
    every = channels_of("http://one/")
    waiting = put_into([], [ALERT] * (outbox.AT_MOST + 5), every)
    assert len(waiting) == outbox.AT_MOST
    assert deliver(waiting, channels_of("http://two/"), sending=pytest.fail) == []


def test_a_call_in_a_hurry_leaves_the_rest_for_the_next() -> None:
    every = channels_of("http://one/")
    waiting = put_into([], [ALERT] * 3, every)
    assert deliver(waiting, every, hurry=lambda: True, sending=pytest.fail) == waiting


def test_every_alert_is_in_the_log_without_any_channel(caplog: pytest.LogCaptureFixture) -> None:
    assert put_into([], [ALERT], ()) == []
    assert "Drift: reports/drift: check drift of reports/drift failed: 0.41 against 0.3" in caplog.text
