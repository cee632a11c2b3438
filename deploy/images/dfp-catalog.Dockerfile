# syntax=docker/dockerfile:1.10
# The lake's tables for engines: an Iceberg REST catalog. DFP_CATALOG_TOKEN has to be set.
# Build it in the root of the checkout; what is common to all images, and how to pin a digest: README.md beside this file.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /opt/dfp
COPY constraints.txt ./
RUN python -m venv --without-pip /opt/venv && python -m pip install --no-cache-dir -c constraints.txt uv
COPY deploy/images/dfp-catalog.txt ./
RUN --mount=type=secret,id=index,env=UV_DEFAULT_INDEX \
  uv pip install --python /opt/venv/bin/python -c constraints.txt -r dfp-catalog.txt
RUN echo "/opt/dfp" > "$(/opt/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/dfp.pth"

FROM python:${PYTHON}
ARG VERSION=0.0.0 REVISION=unknown
LABEL org.opencontainers.image.title="dfp-catalog" \
  org.opencontainers.image.description="Iceberg REST catalog of a versioned lake" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/* \
  && groupadd --gid 10001 dfp && useradd --uid 10001 --gid dfp --create-home --home-dir /var/lib/dfp dfp
ENV PATH=/opt/venv/bin:$PATH HOME=/var/lib/dfp DFP_HOME=/var/lib/dfp XDG_CACHE_HOME=/tmp/cache \
  PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/dfp
COPY --from=dependencies /opt/venv /opt/venv
COPY --chmod=755 deploy/images/dfp /opt/venv/bin/dfp
COPY deploy/images/healthy.py /opt/healthy.py
COPY dfp_platform dfp_platform
RUN python -m compileall -q dfp_platform

USER 10001:10001
VOLUME /var/lib/dfp
EXPOSE 8181
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s --interval=15s --timeout=5s CMD ["python", "/opt/healthy.py", "8181", "/healthz"]
ENTRYPOINT ["tini", "--"]
CMD ["dfp", "catalog", "serve", "--host", "0.0.0.0", "--port", "8181"]
