"""Runs of one machine take turns at publishing, as a courtesy that nobody has to rely on."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from dfp_platform.lake.durable import locked_file
from dfp_platform.publishing.turns import turn_to_publish


def is_free(folder: Path, target: str) -> bool:
    with locked_file(folder / f"{target}.lock", wait=False) as had:
        return had


def test_one_at_a_time_publishes_to_a_target(tmp_path: Path) -> None:
    inside, most = 0, 0

    def publish() -> None:
        nonlocal inside, most
        with turn_to_publish(tmp_path, "main"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1

    threads = [threading.Thread(target=publish) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_other_targets_need_not_wait(tmp_path: Path) -> None:
    with turn_to_publish(tmp_path, "main"):
        assert is_free(tmp_path, "work")
        assert not is_free(tmp_path, "main")


def test_who_waits_too_long_goes_ahead(tmp_path: Path) -> None:
    with turn_to_publish(tmp_path, "main"):
        began = time.monotonic()
        with turn_to_publish(tmp_path, "main", patience=0.1):
            assert time.monotonic() - began >= 0.1


def test_a_failed_publication_gives_its_turn_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="failed"), turn_to_publish(tmp_path, "main"):
        raise ValueError("failed")
    assert is_free(tmp_path, "main")
