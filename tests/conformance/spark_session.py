"""A Spark session whose catalogs are refs of a lake, behind our REST server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pyspark.sql import SparkSession

from dfp_platform.lake import Lake
from dfp_platform.resources.spark import catalog_configuration, session_configuration
from tests.serving_rest import serving

LEAVES_SOCKETS = ("ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""Warnings to be ignored: py4j leaves its sockets to the collector."""


@contextmanager
def spark_on(lake: Lake, refs: Sequence[str], settings: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """A session in which each of `refs` is a catalog of that name.

    Args:
        settings: of Spark, beyond those that every test wants.
    """
    with serving(lake) as uri:
        told = {**session_configuration(), "spark.sql.shuffle.partitions": "2"}
        for ref in reversed(refs):  # the first one's is the default
            told |= catalog_configuration(uri, ref, name=ref)
        builder = SparkSession.builder
        for key, value in {**told, **(settings or {})}.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        try:
            yield session
        finally:
            session.stop()
