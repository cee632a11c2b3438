"""The SQL engines that build the tables: which target of `dbt_project/profiles.yml` each is, and what that reads."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from dfp_platform.lake import Lake
from dfp_platform.settings import settings


@dataclass(frozen=True, slots=True)
class DbtTarget:
    """How dbt is told which engine to work on.

    Attributes:
        name: of the target in the profile.
        environment: what the target reads; it holds as long as the engine was asked for.
        program: what runs instead of dbt and takes its arguments; None: dbt.
    """

    name: str
    environment: Mapping[str, str]
    program: str | None = None


@contextmanager
def _datafusion(lake: Lake, ref: str) -> Iterator[DbtTarget]:
    yield DbtTarget("datafusion", {"DFP_LAKE": lake.uri, "DFP_REF": ref})


@contextmanager
def _spark(lake: Lake, ref: str) -> Iterator[DbtTarget]:
    from dfp_platform.resources import spark

    if path := settings().spark_application:
        from dfp_platform.resources.spark_application import PROGRAM, template

        template(path)
        yield DbtTarget(parse_target().name, {"DFP_SPARK": "{}", "DFP_REF": ref}, PROGRAM)  # the driver has its own
        return
    with spark.catalog_served(lake) as (uri, token):
        if settings().spark_thrift:
            tables = spark.thrift_configuration(uri, ref, token=token)
            host, port = spark.thrift_address()
            at = {"DFP_SPARK_THRIFT_HOST": host, "DFP_SPARK_THRIFT_PORT": str(port)}
            yield DbtTarget("spark_thrift", {"DFP_SPARK": json.dumps(tables), **at})
            return
        tables = spark.catalog_configuration(uri, ref, token=token)
        if settings().spark_remote:
            at = {"SPARK_REMOTE": settings().spark_remote or ""}
            yield DbtTarget("spark", {"DFP_SPARK": json.dumps(tables), **at})
        else:
            spark.make_event_log()
            whole = {**spark.session_configuration(), **tables}
            yield DbtTarget("spark", {"DFP_SPARK": json.dumps(whole), "JAVA_HOME": spark.java_home()})


ENGINES: Mapping[str, Callable[[Lake, str], AbstractContextManager[DbtTarget]]] = {
    "datafusion": _datafusion,
    "spark": _spark,
}
"""By `Settings.engine`: the engine ready to work on a ref of a lake, for as long as the block."""


def parse_target() -> DbtTarget:
    """The target of the configured engine as far as parsing needs it; nothing is started.

    Raises ConfigurationError: what the engine needs is not installed.
    """
    if settings().engine == "datafusion":
        return DbtTarget("datafusion", {"DFP_LAKE": settings().lake_uri})
    from dfp_platform.resources.spark import refuse_missing_packages

    if settings().spark_application or settings().spark_thrift:  # Spark is elsewhere, and no part of this environment
        refuse_missing_packages("dbt.adapters.spark", "pyhive")
        return DbtTarget("spark_thrift", {"DFP_SPARK": "{}"})
    refuse_missing_packages()
    return DbtTarget("spark", {"DFP_SPARK": "{}"})
