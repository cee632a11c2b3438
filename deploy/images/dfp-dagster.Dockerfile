# syntax=docker/dockerfile:1.10
# Dagster's webserver, daemon, code server, run workers and step pods, Feast's server, the exporter of metrics.
# Build it in the root of the checkout; what is common to all images, and how to pin a digest: README.md beside this file.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /opt/dfp
COPY constraints.txt ./
RUN python -m venv --without-pip /opt/venv && python -m pip install --no-cache-dir -c constraints.txt uv
# Torch's CPU build from PyTorch's own index; cu130 (or another of uv's names) for GPUs, empty: what the package index has.
ARG TORCH_BACKEND=cpu
COPY pyproject.toml ./
RUN --mount=type=secret,id=index,env=UV_DEFAULT_INDEX \
  uv pip install --python /opt/venv/bin/python -c constraints.txt ${TORCH_BACKEND:+--torch-backend=${TORCH_BACKEND}} \
  -r pyproject.toml --extra cluster --extra lakefs --extra openlineage --extra redis
RUN printf "/opt/dfp\n/opt/dfp/dbt_datafusion/src\n" > "$(/opt/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/dfp.pth"

FROM python:${PYTHON}
ARG VERSION=0.0.0 REVISION=unknown
LABEL org.opencontainers.image.title="dfp-dagster" \
  org.opencontainers.image.description="Assets, runs and their UI on a versioned lake" \
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
COPY --chmod=755 deploy/images/dfp deploy/images/dfp-spark-dbt /opt/venv/bin/
COPY deploy/images/healthy.py /opt/healthy.py
COPY constraints.txt dagster.yaml pyproject.toml workspace.yaml ./
COPY presets presets
COPY dbt_datafusion/src dbt_datafusion/src
COPY dbt_project dbt_project
COPY dfp_platform dfp_platform
RUN python -m compileall -q dbt_datafusion dfp_platform

USER 10001:10001
VOLUME /var/lib/dfp
EXPOSE 3000 4000 6566 8030
STOPSIGNAL SIGTERM
# Of the code server, which is what runs unless another command is given; that one brings its own check.
HEALTHCHECK --start-period=120s --interval=15s --timeout=15s CMD ["dagster", "api", "grpc-health-check", "-p", "4000"]
ENTRYPOINT ["tini", "--"]
CMD ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", "4000", "-m", "dfp_platform.definitions"]
