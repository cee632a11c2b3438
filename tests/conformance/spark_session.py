"""A Spark session whose catalogs are refs of a lake, behind our REST server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pyspark.sql import SparkSession

from dfp_platform.lake import Lake
from tests.serving_rest import serving

RUNTIME = "org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.10.1"

LEAVES_SOCKETS = ("ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""Warnings to be ignored: py4j leaves its sockets to the collector."""


@contextmanager
def spark_on(lake: Lake, refs: Sequence[str], settings: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """A session in which each of `refs` is a catalog of that name.

    Args:
        settings: of Spark, beyond those that every test wants.
    """
    with serving(lake) as uri:
        builder = (
            SparkSession.builder.master("local[2]")
            .config("spark.jars.packages", RUNTIME)
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        )
        for ref in refs:
            name = f"spark.sql.catalog.{ref}"
            builder = builder.config(name, "org.apache.iceberg.spark.SparkCatalog")
            told = {"type": "rest", "uri": uri, "warehouse": ref, "cache-enabled": "false"}
            for key, value in told.items():
                builder = builder.config(f"{name}.{key}", value)
        for key, value in (settings or {}).items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        try:
            yield session
        finally:
            session.stop()
