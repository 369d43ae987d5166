# People, pre-commit and CI use the same commands. `make run` and `make test` set up what they need.
.DEFAULT_GOAL := help
.PHONY: help setup run train deep dev test test-slow test-proofs test-services faults torture bench lint format docs ui lock readme pictures schema clean

PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
DATA := $(or $(ML_WAREHOUSE_DATA),data)
SET := $(or $(ML_WAREHOUSE_SET),demo)
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 15

setup: .venv/ready  ## set up the virtual environment, locked dependencies and Prefect's database

.venv/ready: requirements.txt
	@echo "Setting up: a virtual environment and the locked dependencies …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements.txt
	@mkdir -p $(DATA)/prefect
	@echo "Making Prefect's database, and parsing the dbt project, for the flows and for the terminal …"
	@PREFECT_HOME=$(abspath $(DATA))/prefect $(BIN)/python -m prefect server database upgrade --yes >/dev/null & \
	  $(BIN)/python -c 'from flows.config.settings import template_folder; from flows.warehouse.dbt import Dbt; Dbt.parse(template_folder())'; \
	  $(BIN)/dbt --quiet parse; wait $$!
	@echo "Building the warehouse without sources, from which each set begins, and running the unit tests …"
	@$(BIN)/python -c 'from flows.warehouse.template import make_template; from flows.site.lineage import trace_template; trace_template(make_template())'
	@touch $@

run: setup  ## run the demo from its sources to a release; each further run is one day later
	@$(BIN)/python -m flows demo

train: setup  ## train the models that exposures declare on the last release, and score it by the champions
	@$(BIN)/python -m flows train
	@$(BIN)/python -m flows score

deep: .venv/deep  ## add Keras and TensorFlow to the environment, for models that read pixels

.venv/deep: requirements-deep.txt .venv/ready
	@echo "Adding Keras and TensorFlow to the environment …"
	@$(BIN)/uv pip install --quiet --require-hashes --compile-bytecode -r requirements-deep.txt
	@touch $@

dev: setup  ## begin your dev database again as a copy of the release, with all views
	@rm -f $(DATA)/$(SET)/dev.duckdb $(DATA)/$(SET)/dev.duckdb.wal
	@$(BIN)/dbt --quiet run --select config.materialized:view --vars "$$($(BIN)/python -m flows vars)"

test: setup  ## run the tests, except the long ones
	@$(BIN)/python -m pytest -n 2

test-slow: setup  ## run the long tests: first runs, kills, the commands of the pages, each source left out
	@$(BIN)/python -m pytest -n 2 -m "slow and not proof"

# INCREMENTAL_ROUNDS=67 compares more rounds of incremental builds with full ones.
test-proofs: setup .venv/kubernetes  ## run more rounds by chance, and larger data, of what the other tests show
	@$(BIN)/python -m pytest -n 2 -m proof

.venv/kubernetes: requirements-kubernetes.txt .venv/ready
	@$(BIN)/uv pip install --quiet --require-hashes -r requirements-kubernetes.txt
	@touch $@

test-services: setup  ## run the tests against real services; those that are missing are installed
	@$(BIN)/python -m pytest -n 2 -m services

faults: setup  ## run the tests of known faults and print a table of their outcomes
	@$(BIN)/python -m pytest -n 2 -m "not services" -k test_fault_ --faults

# ROUND= repeats one round, STEP= kills at one step only, BREAK= breaks a promise on purpose, EMBEDDED=1 needs no servers.
torture: setup  ## kill runs and commands at every step, on real servers, start them again, compare: KILLS=200 SEED=1
	@PYTHONPATH=.:tests/python PYTHONWARNINGS=ignore:resource_tracker $(BIN)/python tests/torture \
	  --kills $(or $(KILLS),200) $(if $(SEED),--seed $(SEED)) $(if $(ROUND),--round $(ROUND)) \
	  $(if $(STEP),--step $(STEP)) $(if $(BREAK),--break $(BREAK)) $(if $(EMBEDDED),--embedded)

bench: setup .venv/bench/ready  ## measure speed, memory and bytes as ratios to references (minutes)
	@$(BIN)/python -m tests.benchmarks $(ONLY)

.venv/bench/ready: requirements-bench.txt
	@$(PYTHON) -m venv .venv/bench
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode --python .venv/bench/bin/python requirements-bench.txt
	@touch $@

lint: setup  ## check style and types
	@$(BIN)/ruff check flows demo tests
	@$(BIN)/ruff format --check flows demo tests
	@$(BIN)/mypy
	@PYTHONWARNINGS=ignore:resource_tracker $(BIN)/sqlfluff lint --processes 2 models snapshots tests/dbt
	@PYTHONWARNINGS=ignore:resource_tracker $(BIN)/sqlfluff lint --processes 2 --templater raw demo
	@$(BIN)/python -m tests.lint_macros

format: setup  ## fix the style where a tool can
	@$(BIN)/ruff check --fix flows demo tests
	@$(BIN)/ruff format flows demo tests
	@$(BIN)/sqlfluff fix models snapshots tests/dbt
	@$(BIN)/sqlfluff fix --templater raw demo

docs: setup  ## write the docs site of the last release, and say where it is
	@$(BIN)/python -m flows docs

schema: setup  ## write connections.schema.json, which editors use to check connections.yml
	@$(BIN)/python -c 'import json; from flows.config.connections import connections_schema as schema; \
	  print(json.dumps(schema(), indent=2, ensure_ascii=False))' > connections.schema.json

ui: setup .venv/mlflow/ready  ## serve Prefect's UI on 127.0.0.1:4200 and MLflow's on :5000, and run the schedules of prefect.yaml
	@$(BIN)/python -m flows ui

.venv/mlflow/ready: requirements-mlflow.txt
	@echo "Setting up MLflow's UI, in an environment of its own …"
	@$(PYTHON) -m venv .venv/mlflow
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode --python .venv/mlflow/bin/python requirements-mlflow.txt
	@touch $@

readme: setup  ## write the table of marts in README.md from the models
	@$(BIN)/python -m tests.readme

pictures: setup  ## draw the pictures of README.md: a run, and with CHROMIUM= the docs site of the demo
	@$(BIN)/python -m tests.pictures run
	@$(if $(CHROMIUM),$(BIN)/python -m tests.pictures site $(DATA)/demo/docs $(CHROMIUM))

lock:  ## pin all requirements, with hashes
	@for list in requirements requirements-deep requirements-mlflow requirements-kubernetes requirements-bench requirements-client-1.2 requirements-client-1.5; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command 'make lock' $$list.in -o $$list.txt || exit 1; done

clean:  ## remove the environment and build output; data/ stays
	rm -rf .venv target logs
