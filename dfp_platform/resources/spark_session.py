"""Spark sessions on the lake's tables, made by dagster-pyspark: for the steps of a run, and for `dfp`.

Importing this costs nothing and needs no Spark; asking for a session does.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from dfp_platform.errors import ConfigurationError
from dfp_platform.lake import Lake
from dfp_platform.resources import spark
from dfp_platform.resources.environment import environment
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession  # type: ignore[import-not-found] # in the extra `spark`


class SparkResource(dg.ConfigurableResource):
    """Spark where the settings say it is: in this process, on a cluster, or behind a Spark Connect server."""

    lake: dg.ResourceDependency[LakeResource]

    @contextmanager
    def session(self, ref: str = "") -> Iterator["SparkSession"]:
        """A session whose default catalog is the lake, at the run's branch unless another ref is named.

        It writes what the run may write: its own branch and the ephemeral branches of its transactions. Session and
        catalog end with the block. Raises as `spark_session` does.
        """
        with spark_session(self.lake.store, ref or self.lake.ref) as session:
            yield session


@contextmanager
def spark_session(lake: Lake, ref: str) -> Iterator["SparkSession"]:
    """A session whose default catalog is a lake at one ref; it ends with the block, and so does the catalog's server.

    Raises:
        ConfigurationError: Spark is not installed, has no Java or cannot reach the catalog; or this process has a
            session already, which would keep its own catalog.
    """
    spark.refuse_missing_packages()
    from dagster_pyspark import LazyPySparkResource  # type: ignore[import-not-found] # in the extra `spark`
    from pyspark import SparkContext  # type: ignore[import-not-found] # as above

    if SparkContext._active_spark_context is not None:
        raise ConfigurationError(
            "this process has a Spark session already, and a session sees one ref",
            hint="end that one first, or give the step a process of its own: DFP_STEP_PROCESS=forkserver",
            setting="step_process",
        )
    with spark.catalog_served(lake) as (uri, token), environment(_started_with()):
        session = LazyPySparkResource(spark_config=_told(uri, ref, token)).spark_session
        try:
            yield session
        finally:
            session.stop()


def _told(uri: str, ref: str, token: str | None) -> dict[str, str]:
    """The configuration of a session: whole if it is started here, else what a Connect server does not know."""
    tables = spark.catalog_configuration(uri, ref, token=token)
    if settings().spark_remote:
        return {"spark.remote": settings().spark_remote or "", **tables}
    spark.make_event_log()
    return {**spark.session_configuration(), **tables}


def _started_with() -> Mapping[str, str]:
    """What Spark reads from the environment: which Java, and which Python its executors start."""
    if settings().spark_remote:
        return {"SPARK_CONNECT_MODE_ENABLED": "1"}  # set by pyspark, and left behind for the next session
    python = os.environ.get("PYSPARK_PYTHON", sys.executable)
    return {"JAVA_HOME": spark.java_home(), "PYSPARK_PYTHON": python}
