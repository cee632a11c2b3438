"""The process that ships logged predictions: it lives as long as whoever started it, and a little longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dfp_platform.lake import Lake, open_lake
from dfp_platform.serving import shipping
from dfp_platform.serving.prediction_files import read_predictions
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.prediction_spool import segments_in
from dfp_platform.serving.predictions import BRANCH
from dfp_platform.serving.shipping import Shipper
from tests.local_servers import until
from tests.predictions import answerer, answers


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def logged(lake: Lake) -> list[str]:
    return read_predictions(lake)["prediction_id"].to_pylist() if BRANCH in lake.branches() else []


def test_what_one_process_logs_another_brings_into_the_lake_and_both_count_it(lake: Lake, spool: Path) -> None:
    log, shipper = PredictionLog(None, spool=spool, seconds=0.05), Shipper(lake.uri, spool)
    given = log.add(answers(answerer(), 0.5, 0.6))
    until(lambda: log.counts.committed == 2)
    assert log.counts.pending == 0
    given += log.add(answers(answerer(), 0.7))
    log.close()
    shipper.close()
    assert logged(lake) == given, "what was there at the end came too"
    assert not psutil.pid_exists(shipper.process_id)


def test_it_is_started_again_if_it_dies(lake: Lake, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "LOOK_SECONDS", 0.05)
    log, shipper = PredictionLog(None, spool=spool, seconds=0.05), Shipper(lake.uri, spool)
    first = shipper.process_id
    os.kill(first, signal.SIGKILL)
    until(lambda: shipper.process_id != first)
    given = log.add(answers(answerer(), 0.5))
    until(lambda: logged(lake) == given)
    log.close()
    shipper.close()


ANSWERING = """
import sys, time
from pathlib import Path
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.shipping import Shipper
from tests.predictions import answerer, answers
spool = Path(sys.argv[2])
log, shipper = PredictionLog(None, spool=spool, seconds=3600.0), Shipper(sys.argv[1], spool)
print(shipper.process_id, *log.add(answers(answerer(), 0.5)), flush=True)
time.sleep(600)
"""


def test_after_kill_9_it_brings_what_was_answered_into_the_lake_and_ends(lake: Lake, spool: Path) -> None:
    command = [sys.executable, "-c", ANSWERING, lake.uri, str(spool)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        process_id, *given = child.stdout.readline().split()
        child.kill()
    until(lambda: not psutil.pid_exists(int(process_id)) or psutil.Process(int(process_id)).status() == "zombie")
    assert logged(lake) == given
    assert not segments_in(spool)
