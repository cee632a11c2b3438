"""Which schedules and sensors run without being turned on in the UI."""

import dagster as dg

from dfp_platform.settings import settings


def starts(name: str) -> bool:
    """Whether the settings let a schedule or sensor run from the start; the UI's switch wins over it."""
    chosen = {part.strip() for part in settings().autostart.split(",")}
    return bool(chosen & {name, "all"})


def schedule_status(name: str) -> dg.DefaultScheduleStatus:
    """Of a schedule, for its definition."""
    return dg.DefaultScheduleStatus.RUNNING if starts(name) else dg.DefaultScheduleStatus.STOPPED


def sensor_status(name: str) -> dg.DefaultSensorStatus:
    """Of a sensor, for its definition."""
    return dg.DefaultSensorStatus.RUNNING if starts(name) else dg.DefaultSensorStatus.STOPPED
