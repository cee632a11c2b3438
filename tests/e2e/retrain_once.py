"""A tick of the sensor `retrain` and the runs it asks for, in this process: `python -m tests.e2e.retrain_once`.

Prints what each tick says, and of each run its job and how it ended, one JSON object a line.
"""

from __future__ import annotations

import json

import dagster as dg

from dfp_platform.definitions import defs
from dfp_platform.publishing.launch import outcome_of
from dfp_platform.resources.dagster_internals import project_instance
from dfp_platform.resources.dagster_launching import launch_here
from dfp_platform.settings import PROJECT_ROOT, settings


def main() -> None:
    repository = defs.get_repository_def()
    sensor, cursor = repository.get_sensor_def("retrain"), None
    with project_instance(PROJECT_ROOT, settings().home / "dagster") as instance:
        for _ in range(2):
            with dg.build_sensor_context(
                instance, cursor=cursor, repository_def=repository, sensor_name="retrain"
            ) as context:
                tick = sensor.evaluate_tick(context)
            cursor = tick.cursor
            print(json.dumps({"skipped": tick.skip_message}))
            for request in tick.run_requests:
                ids: list[str] = []
                for _ in launch_here(
                    instance,
                    "dfp_platform.definitions",
                    job=str(request.job_name),
                    selection=request.asset_selection,
                    tags=request.tags,
                    on_start=ids.append,
                ):
                    pass
                done = outcome_of(instance, ids[0])
                print(json.dumps({"job": request.job_name, "success": done.success, "commit": done.published_commit}))


if __name__ == "__main__":
    main()
