"""What a container of dfp-spark starts: `spark.py ROLE [ARGUMENT ...]`.

`driver` and `executor` are the words by which Spark on Kubernetes, and so the Spark Operator, starts its pods; it tells
an executor the rest in variables. `thrift`, `connect` and `history` are servers; the first two take what spark-submit
takes. Anything else is a command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

SERVERS = {
    "connect": "org.apache.spark.sql.connect.service.SparkConnectServer",
    "thrift": "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
}
EXECUTOR = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
HISTORY = "org.apache.spark.deploy.history.HistoryServer"
OPTION = "SPARK_JAVA_OPT_"

TOLD = {
    "--driver-url": "SPARK_DRIVER_URL",
    "--executor-id": "SPARK_EXECUTOR_ID",
    "--cores": "SPARK_EXECUTOR_CORES",
    "--app-id": "SPARK_APPLICATION_ID",
    "--hostname": "SPARK_EXECUTOR_POD_IP",
    "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID",
    "--podName": "SPARK_EXECUTOR_POD_NAME",
}
"""Arguments of an executor, and the variables in which Spark on Kubernetes tells them."""


def command(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command that a role stands for. Raises KeyError: a variable that this role needs is not set."""
    role, *arguments = words
    home = environment["SPARK_HOME"]
    if role == "driver":
        address = environment["SPARK_DRIVER_BIND_ADDRESS"]
        told = {"spark.driver.bindAddress": address, "spark.executorEnv.SPARK_DRIVER_POD_IP": address}
        confs = [part for name, value in told.items() for part in ("--conf", f"{name}={value}")]
        return [f"{home}/bin/spark-submit", *confs, "--deploy-mode", "client", *arguments]
    if role == "executor":
        options = sorted(
            (name for name in environment if name.startswith(OPTION)), key=lambda name: int(name[len(OPTION) :])
        )
        memory = environment["SPARK_EXECUTOR_MEMORY"]
        paths = [f"{home}/conf", f"{home}/jars/*", os.curdir, environment.get("SPARK_EXTRA_CLASSPATH", "")]
        return [
            "java",
            *(environment[name] for name in options),
            f"-Xms{memory}",
            f"-Xmx{memory}",
            *("-cp", os.pathsep.join(path for path in paths if path)),
            EXECUTOR,
            *(part for name, variable in TOLD.items() for part in (name, environment[variable])),
        ]
    if role in SERVERS:
        return [f"{home}/bin/spark-submit", "--class", SERVERS[role], *arguments, "spark-internal"]
    if role == "history":
        return [f"{home}/bin/spark-class", HISTORY, *arguments]
    return [role, *arguments]


if __name__ == "__main__":
    try:
        chosen = command(sys.argv[1:], os.environ)
    except KeyError as error:
        sys.exit(f"{sys.argv[1]} needs the variable {error.args[0]}, which Spark on Kubernetes sets")
    os.execvp(chosen[0], chosen)
