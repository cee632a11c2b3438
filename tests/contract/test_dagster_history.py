"""What `resources/dagster_history.py` reads of the pinned Dagster's daemon, sensors and schedules."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from dfp_platform.resources.dagster_history import heartbeats, started_by_time
from dfp_platform.resources.dagster_internals import project_instance
from dfp_platform.settings import PROJECT_ROOT


def test_heartbeats_are_told_by_daemon_with_the_first_line_of_their_error() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert heartbeats(instance) == {}
        error = SerializableErrorInfo("Tick failed\nat line 3", [], "Error")
        instance.add_daemon_heartbeat(DaemonHeartbeat(100.0, "SENSOR", "s1", [error]))
        instance.add_daemon_heartbeat(DaemonHeartbeat(110.0, "SCHEDULER", "s2", []))
        assert heartbeats(instance) == {"SENSOR": (100.0, "Tick failed"), "SCHEDULER": (110.0, "")}


def test_sensors_and_schedules_that_are_turned_on_are_counted(tmp_path: Path) -> None:
    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file="defs.py"))
    with dg.DagsterInstance.ephemeral() as instance:
        assert started_by_time(instance) == 0
    with project_instance(PROJECT_ROOT, tmp_path) as instance:
        assert started_by_time(instance) == 0
        for number, status in enumerate((InstigatorStatus.RUNNING, InstigatorStatus.STOPPED)):
            origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "repository"), f"sensor{number}")
            instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, status))
        assert started_by_time(instance) == 1
