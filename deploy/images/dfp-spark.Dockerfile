# syntax=docker/dockerfile:1.10
# Spark's driver, executors, Thrift, Connect and History Server, with Iceberg, S3 and this project; spark.py has the roles.
# Build it in the root of the checkout; what is common to all images, and how to pin a digest: README.md beside this file.
ARG PYTHON=3.11.14-slim-bookworm
ARG MAVEN=3.9.9-eclipse-temurin-17

# Jars are the same on every processor. Iceberg's bundle has the AWS SDK that hadoop-aws asks for, but for one part.
FROM --platform=${BUILDPLATFORM} maven:${MAVEN} AS jars
WORKDIR /jars
COPY deploy/images/spark.sha256 ./
RUN for jar in \
    io.prometheus.jmx:jmx_prometheus_javaagent:1.0.1 \
    org.apache.hadoop:hadoop-aws:3.4.1 \
    org.apache.iceberg:iceberg-aws-bundle:1.10.1 \
    org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.10.1 \
    software.amazon.awssdk:s3-transfer-manager:2.33.0; \
  do mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact=$jar -DoutputDirectory=. || exit 1; done \
  && sha256sum --check --strict spark.sha256 \
  && mkdir /jmx && mv jmx_prometheus_javaagent-*.jar /jmx/jmx_prometheus_javaagent.jar

FROM python:${PYTHON} AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /opt/dfp
COPY constraints.txt ./
RUN python -m venv --without-pip /opt/venv && python -m pip install --no-cache-dir -c constraints.txt uv
COPY deploy/images/dfp-spark.txt ./
RUN --mount=type=secret,id=index,env=UV_DEFAULT_INDEX \
  uv pip install --python /opt/venv/bin/python -c constraints.txt -b constraints.txt -r dfp-spark.txt
# The package pyspark is a whole Spark. SPARK_HOME names it for Python too, so it moves and is there once.
RUN site="$(/opt/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')" \
  && printf "/opt/dfp\n/opt/dfp/dbt_datafusion/src\n" > "$site/dfp.pth" \
  && mkdir -p /opt/spark/conf && mv "$site/pyspark/bin" "$site/pyspark/sbin" "$site/pyspark/jars" /opt/spark/

FROM python:${PYTHON}
ARG VERSION=0.0.0 REVISION=unknown
LABEL org.opencontainers.image.title="dfp-spark" \
  org.opencontainers.image.description="Spark with Iceberg and S3 on the branches of a versioned lake" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless tini && rm -rf /var/lib/apt/lists/* \
  && groupadd --gid 10001 dfp && useradd --uid 10001 --gid dfp --create-home --home-dir /var/lib/dfp dfp
ENV PATH=/opt/venv/bin:/opt/spark/bin:$PATH HOME=/var/lib/dfp DFP_HOME=/var/lib/dfp XDG_CACHE_HOME=/tmp/cache \
  PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
  SPARK_HOME=/opt/spark SPARK_NO_DAEMONIZE=1 PYSPARK_PYTHON=/opt/venv/bin/python
WORKDIR /opt/dfp
COPY --from=dependencies /opt/spark /opt/spark
COPY --from=jars /jars/*.jar /opt/spark/jars/
COPY --from=jars /jmx /opt/spark/jmx
COPY --from=dependencies /opt/venv /opt/venv
COPY --chmod=755 deploy/images/dfp /opt/venv/bin/dfp
COPY deploy/images/healthy.py deploy/images/spark.py /opt/
COPY deploy/images/spark-jmx.yaml /opt/spark/jmx/spark.yaml
COPY deploy/images/spark-defaults.conf /opt/spark/conf/
COPY presets presets
COPY dbt_datafusion/src dbt_datafusion/src
COPY dbt_project dbt_project
COPY dfp_platform dfp_platform
RUN python -m compileall -q dbt_datafusion dfp_platform

USER 10001:10001
VOLUME /var/lib/dfp
EXPOSE 4040 10000 15002 18080
STOPSIGNAL SIGTERM
# Of the Thrift server, which is what runs unless another role is given; that one brings its own check.
HEALTHCHECK --start-period=120s --interval=15s --timeout=5s CMD ["python", "/opt/healthy.py", "10000"]
ENTRYPOINT ["tini", "--", "python", "/opt/spark.py"]
CMD ["thrift"]
