"""How doors are tried and what is said of them: never too long, never with a secret, and what to do beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from dfp_platform.errors import UnreachableError
from dfp_platform.probes import DOORS, Door, Finding, Result, tried, tried_at_once
from dfp_platform.probes.machine import LITTLE, NONE, compare, judged_room
from dfp_platform.probes.stores import judged_redis
from dfp_platform.publishing.instance_doors import judged_daemon, judged_mending
from dfp_platform.settings import Settings

AT = Settings(_env_file=None)


def door(probe: Callable[..., Finding], name: str = "d", **options: object) -> Door:
    return Door(name, "It is open.", probe, "mend it", **options)  # type: ignore[arg-type]


def raising(error: Exception) -> Callable[..., Finding]:
    def probe(at: Settings, seconds: float) -> Finding:
        raise error

    return probe


def test_an_open_door_says_what_it_found_and_how_long_that_took() -> None:
    found = tried(door(lambda at, seconds: Finding("open", {"version": "1", "rows": 2})), AT)
    assert (found.status, found.line) == ("ok", "open, version 1, rows 2")
    assert found.ms is not None


def test_a_door_that_is_not_used_is_not_tried() -> None:
    found = tried(door(raising(AssertionError("tried")), unused=lambda at: "nobody needs it"), AT)
    assert found == Result("d", "not used", "nobody needs it")


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (UnreachableError("no way", hint="call them"), "no way", "call them"),
        (UnreachableError("no way"), "no way", "mend it"),
        (OSError(13, "Permission denied"), "PermissionError: [Errno 13] Permission denied", "mend it"),
        (ValueError(), "ValueError: no reason given", "mend it"),
        (ModuleNotFoundError("No module named 'redis'", name="redis"), "No module named 'redis'", "install redis"),
    ],
)
def test_a_shut_door_says_why_and_what_to_do(error: Exception, said: str, hint: str) -> None:
    found = tried(door(raising(error)), AT)
    assert found.status == "failed"
    assert said in found.said
    assert hint in found.hint


def test_what_a_probe_needs_and_cannot_import_is_said() -> None:
    def load(at: Settings) -> None:
        raise ModuleNotFoundError("No module named 'feast'", name="feast")

    found = tried(door(lambda at, seconds: Finding("open"), load=load), AT)
    assert (found.status, found.ms) == ("failed", None)
    assert "feast" in found.said


def test_a_door_that_hangs_is_given_up_after_its_seconds() -> None:
    forever = threading.Event()

    def hang(at: Settings, seconds: float) -> Finding:
        forever.wait()
        return Finding("too late")

    found = tried(door(hang, seconds=0.05), AT)
    forever.set()
    assert (found.status, found.said, found.hint) == ("failed", "no answer within 0.05 s", "mend it")


def test_all_doors_are_tried_at_once_and_told_in_their_order() -> None:
    both = threading.Barrier(2, timeout=30)

    def meet(at: Settings, seconds: float) -> Finding:
        both.wait()  # neither passes before the other has come
        return Finding("met")

    told: list[Result] = []
    doors = [door(meet, "a", seconds=60), door(raising(OSError("shut")), "b"), door(meet, "c", seconds=60)]
    found = tried_at_once(doors, AT, told.append)
    assert [(each.door, each.status) for each in found] == [("a", "ok"), ("b", "failed"), ("c", "ok")]
    assert sorted(each.door for each in told) == ["a", "b", "c"]


def test_the_doors_have_names_of_their_own_and_say_what_to_do() -> None:
    assert len({each.name for each in DOORS}) == len(DOORS)
    assert all(each.tells.endswith(".") and each.remedy for each in DOORS)


# -- secrets ----------------------------------------------------------------------------------------------------


def test_no_secret_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__S3__SECRET_ACCESS_KEY", "minio-secret")
    at = Settings(
        _env_file=None,
        redis_url=SecretStr("redis://app:p%40ss-word@redis:6379/0"),
        catalog_token=SecretStr("catalog-token"),
        mlflow_server="postgresql://mlflow:pg-password@db/mlflow",
    )
    secrets = ("p%40ss-word", "p@ss-word", "catalog-token", "wJalrXUtnFEMI", "minio-secret", "pg-password")
    said = " ".join([*secrets[:-1], "postgresql://mlflow:pg-password@db/mlflow"])
    found = tried(door(raising(OSError(said))), at)
    assert not [secret for secret in secrets if secret in found.said]
    assert "postgresql://***@db/mlflow" in found.said
    shown = tried(door(lambda at, seconds: Finding("ok", {"url": said}, "warning", said)), at)
    assert not [secret for secret in secrets if secret in shown.line + shown.hint]


def test_short_words_are_not_taken_for_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "a")
    assert AT.without_secrets("a cat at http://host/a@b") == "a cat at http://host/a@b"


# -- what figures mean ------------------------------------------------------------------------------------------

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("free", "names", "status"),
    [(50 * GB, True, "ok"), (LITTLE - 1, True, "warning"), (NONE - 1, True, "failed"), (50 * GB, False, "failed")],
)
def test_room_on_a_disk(free: int, names: bool, status: str) -> None:
    found = judged_room({"state": (50 * GB, True), "lake": (free, names)})
    assert found.status == status
    assert found.facts["state"] == "50.0 GB free"
    assert (status == "ok") == (not found.hint)
    assert status == "ok" or "lake" in found.said


def test_packages_are_compared_with_their_pins(tmp_path: Path) -> None:
    from importlib.metadata import version

    pins = [f"typer=={version('typer')}", "pytest==0.0.1", "no-such-package-at-all==1"]
    assert compare(pins) == (2, [f"pytest {version('pytest')} (pinned 0.0.1)"])


@pytest.mark.parametrize(
    ("told", "status", "said"),
    [
        ({}, "ok", "Redis ping ok: redis:6379"),
        ({"redis_version": "7", "used_memory": 10}, "ok", "Redis ping ok: redis:6379"),
        ({"role": "slave"}, "warning", "replica"),
        ({"rdb_last_bgsave_status": "err"}, "warning", "cannot save"),
        ({"maxmemory": 100, "maxmemory_policy": "allkeys-lru"}, "warning", "evicts"),
        ({"maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, "ok", "Redis ping ok"),
        ({"maxmemory": 100, "used_memory": 95, "maxmemory_policy": "noeviction"}, "warning", "less than a tenth"),
    ],
)
def test_what_redis_says_of_itself(told: dict[str, object], status: str, said: str) -> None:
    found = judged_redis("redis:6379", told)
    assert found.status == status
    assert said in found.said
    assert (status == "warning") == bool(found.hint)


NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("beats", "status", "said"),
    [
        ({}, "not used", "no daemon was ever started"),
        ({"SENSOR": (NOW - 10, ""), "SCHEDULER": (NOW - 20, "")}, "ok", "Daemon ok"),
        ({"SENSOR": (NOW - 7_200, "")}, "warning", "no daemon since 2 hours ago"),
        ({"SENSOR": (NOW - 10, "tick failed")}, "warning", "SENSOR: tick failed"),
        ({"SENSOR": (NOW - 10, ""), "SCHEDULER": (NOW - 900, "")}, "warning", "silent: SCHEDULER"),
    ],
)
def test_heartbeats_of_daemons(beats: dict[str, tuple[float, str]], status: str, said: str) -> None:
    found = judged_daemon(beats, 2, now=NOW)
    assert found.status == status
    assert said in found.said


def test_what_was_mended_is_a_warning_that_says_what_is_left_to_do() -> None:
    assert judged_mending({}).status == "ok"
    found = judged_mending({"sealed": ("4c1d", "9f"), "swept": ("tx-1",)})
    assert (found.status, found.hint) == ("warning", "`dfp rerun 4c1d` carries it on")
    assert found.facts == {"sealed 2": "4c1d, 9f", "swept 1": "tx-1"}
    assert "next run tries again" in judged_mending({"waiting": ("a",)}).hint
