"""What Prometheus sees of a real Spark driver and executor through the JMX exporter. `make engines`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local_servers import free_port
from tests.metric_pages import names_on, samples, spark_names

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/images/spark-jmx.yaml"
AGENT = next((ROOT / ".cache/jmx").glob("jmx_prometheus_javaagent-*.jar"))

JOB = """
import json, sys, urllib.request
import pyspark
from pyspark.sql import SparkSession
options = json.loads(sys.argv[1])
builder = SparkSession.builder.master("local-cluster[1,1,1024]").appName("tried")
for name, value in options["conf"].items():
    builder = builder.config(name, value)
session = builder.getOrCreate()
rows = session.range(50_000).selectExpr("id % 97 as k", "id").groupBy("k").sum("id").collect()
pages = [urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode() for port in options["ports"]]
session.stop()
print(json.dumps({"rows": len(rows), "pages": pages}))
"""


@pytest.mark.timeout(180)
def test_a_driver_and_an_executor_tell_of_cpu_memory_shuffle_and_tasks(tmp_path: Path) -> None:
    import pyspark

    driver, executor = free_port(), free_port()
    conf = {
        "spark.driver.extraJavaOptions": f"-javaagent:{AGENT}={driver}:{RULES}",
        "spark.executor.extraJavaOptions": f"-javaagent:{AGENT}={executor}:{RULES}",
        "spark.metrics.conf.*.sink.jmx.class": "org.apache.spark.metrics.sink.JmxSink",
        "spark.metrics.namespace": "${spark.app.name}",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.local.dir": str(tmp_path),
    }
    told = json.dumps({"conf": conf, "ports": [driver, executor]})
    environment = {**os.environ, "SPARK_HOME": str(Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable}
    ran = subprocess.run(
        [sys.executable, "-c", JOB, told], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=170
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    found = json.loads(ran.stdout.strip().splitlines()[-1])
    assert found["rows"] == 97
    seen: dict[str, set[str]] = {}
    for page in found["pages"]:
        for name, labels in names_on(page).items():
            seen.setdefault(name, set()).update(labels)
    kept = spark_names()
    assert {name: seen.get(name) for name in kept} == kept
    figures = samples(found["pages"][1])
    executors = (("application", "tried"), ("executor", "0"))
    assert figures["spark_executor_shuffle_written_bytes_total", executors] > 0
    assert figures["spark_executor_succeeded_tasks_total", executors] >= 2
    assert 0 < figures["spark_executor_cpu_seconds_total", executors] < 100, "seconds, not nanoseconds"
