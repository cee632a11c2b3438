"""One query to the configured Spark, in a process that can be ended: `python -m dfp_platform.probes.spark_query`."""

from __future__ import annotations

import sys

from dfp_platform.resources import spark
from dfp_platform.settings import settings


def main() -> int:
    """Print Spark's version once it has answered; whatever goes wrong is raised."""
    if settings().spark_thrift:
        from pyhive import hive  # type: ignore[import-not-found] # in the extra `spark`

        host, port = spark.thrift_address()
        with hive.connect(host=host, port=port) as connection:
            cursor = connection.cursor()
            cursor.execute("select version()")
            answer: tuple[str, ...] = cursor.fetchone() or ("unknown",)
            sys.stdout.write(f"{answer[0]}\n")
        return 0
    from dfp_platform.lake import open_lake
    from dfp_platform.resources.spark_session import spark_session

    with spark_session(open_lake(settings().lake_uri, create=True), settings().branch) as session:
        session.sql("show namespaces").collect()  # of the lake: Iceberg and the catalog have to be there for it
        sys.stdout.write(f"{session.version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
