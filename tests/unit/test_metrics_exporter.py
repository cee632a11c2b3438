"""The page of metrics is whole whatever one of its parts does."""

from __future__ import annotations

import threading

import pytest
from starlette.testclient import TestClient

from dfp_platform.errors import UnreachableError
from dfp_platform.metrics.exporter import Exporter, Part, create_exporter
from dfp_platform.metrics.families import counter, gauge
from tests.dfp_calls import calling
from tests.metric_pages import figure


def told():
    return [gauge("dfp_well", "Well.", 1)]


def broken():
    raise UnreachableError("the lake is away")


def page(*parts: Part, **options: float) -> str:
    return Exporter(parts, **{"cache_seconds": 0.0, "part_seconds": 60.0, **options}).page().decode()


def test_a_part_that_fails_is_down_and_the_others_are_there():
    shown = page(Part("good", told), Part("bad", broken))
    assert figure(shown, "dfp_exporter_part_up", part="good") == 1
    assert figure(shown, "dfp_exporter_part_up", part="bad") == 0
    assert figure(shown, "dfp_well") == 1
    assert figure(shown, "dfp_exporter_part_timestamp_seconds", part="good") > 1_700_000_000
    assert figure(shown, "dfp_exporter_part_timestamp_seconds", part="bad") is None


def test_a_part_that_hangs_keeps_no_page_waiting_and_its_answer_comes_on_a_later_one():
    go = threading.Event()
    asked = []

    def slow():
        asked.append(1)
        go.wait(60)
        return told()

    part = Part("slow", slow)
    for _ in range(2):
        shown = page(part, part_seconds=0.01)
        assert (figure(shown, "dfp_exporter_part_up", part="slow"), figure(shown, "dfp_well")) == (0, None)
    assert len(asked) == 1, "one question at a time"
    go.set()
    shown = page(part)
    assert (figure(shown, "dfp_exporter_part_up", part="slow"), figure(shown, "dfp_well")) == (1, 1)


def test_the_last_word_of_a_part_that_fails_stays_a_while_and_is_called_old():
    answers = [told(), None]

    def fails_later():
        if (answer := answers.pop(0)) is None:
            raise OSError("gone")
        return answer

    part = Part("p", fails_later)
    page(part)
    shown = page(part)
    assert (figure(shown, "dfp_exporter_part_up", part="p"), figure(shown, "dfp_well")) == (0, 1)
    answers.append(None)
    assert figure(page(part, kept_seconds=0.0), "dfp_well") is None


def test_what_was_told_a_moment_ago_is_not_asked_again():
    asked = []
    part = Part("p", lambda: asked.append(1) or told())
    for _ in range(3):
        page(part, cache_seconds=60.0)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("token", "host", "shown", "status"),
    [
        ("", "127.0.0.1", "", 200),
        ("", "10.0.0.9", "", 403),
        ("secret", "10.0.0.9", "Bearer secret", 200),
        ("secret", "127.0.0.1", "", 401),
        ("secret", "10.0.0.9", "Bearer other", 401),
    ],
)
def test_figures_are_for_this_machine_or_for_the_token(token, host, shown, status):
    client = TestClient(create_exporter({"p": told}, token=token), client=(host, 4_000))
    answer = client.get("/metrics", headers={"authorization": shown} if shown else {})
    assert answer.status_code == status
    assert ("dfp_well 1.0" in answer.text) == (status == 200)
    assert client.get("/healthz").text == "ok\n"


def test_a_counter_has_the_ending_that_prometheus_asks_for():
    shown = page(Part("p", lambda: [counter("dfp_things", "Things.", [(("a",), 2)], ["kind"])]))
    assert figure(shown, "dfp_things_total", kind="a") == 2


def test_the_exporter_is_not_opened_to_other_machines_without_a_token(monkeypatch, capfdbinary):
    code, _, said = calling(monkeypatch, capfdbinary)("metrics", "serve", "--host", "0.0.0.0")
    assert code == 1
    assert "DFP_METRICS_TOKEN" in said
