"""The toy line as Dagster's own programs load it, with jobs and the reconciling sensor of the real one."""

import dagster as dg

from dfp_platform.publishing.job import publish_job
from dfp_platform.publishing.smoke_test import smoke_test
from dfp_platform.sensors.reconciling import reconcile_runs
from tests import toy_line

defs = dg.Definitions.merge(toy_line.defs(), dg.Definitions(jobs=[publish_job, smoke_test], sensors=[reconcile_runs]))
