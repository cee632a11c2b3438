# syntax=docker/dockerfile:1.10
# MLflow's server, its records in Postgres and its artifacts on S3: MLFLOW_BACKEND_STORE_URI and MLFLOW_ARTIFACTS_DESTINATION
# have to be set, and MLFLOW_SERVER_ALLOWED_HOSTS to the names by which it is asked. It asks for no login of its own.
# Build it in the root of the checkout; what is common to all images, and how to pin a digest: README.md beside this file.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /opt/dfp
COPY constraints.txt ./
RUN python -m venv --without-pip /opt/venv && python -m pip install --no-cache-dir -c constraints.txt uv
COPY deploy/images/dfp-mlflow.txt ./
RUN --mount=type=secret,id=index,env=UV_DEFAULT_INDEX \
  uv pip install --python /opt/venv/bin/python -c constraints.txt -r dfp-mlflow.txt

FROM python:${PYTHON}
ARG VERSION=0.0.0 REVISION=unknown
LABEL org.opencontainers.image.title="dfp-mlflow" \
  org.opencontainers.image.description="MLflow tracking server for Postgres and S3" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/* \
  && groupadd --gid 10001 dfp && useradd --uid 10001 --gid dfp --create-home --home-dir /var/lib/dfp dfp
ENV PATH=/opt/venv/bin:$PATH HOME=/var/lib/dfp DFP_HOME=/var/lib/dfp XDG_CACHE_HOME=/tmp/cache \
  PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
  GIT_PYTHON_REFRESH=quiet MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /opt/dfp
COPY --from=dependencies /opt/venv /opt/venv
COPY deploy/images/healthy.py /opt/healthy.py

USER 10001:10001
VOLUME /var/lib/dfp
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=120s --interval=15s --timeout=5s CMD ["python", "/opt/healthy.py", "5000", "/health"]
ENTRYPOINT ["tini", "--"]
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--serve-artifacts"]
