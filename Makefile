# The same commands for people, pre-commit and CI. `make run` and `make test` set up what they need.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow faults torture bench lint format docs ui lock schema clean

PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
DATA := $(or $(ML_WAREHOUSE_DATA),data)
SET := $(or $(ML_WAREHOUSE_SET),demo)
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/ready  ## virtual environment, locked dependencies, Prefect's database

.venv/ready: requirements.txt
	@echo "Setting up: a virtual environment and the locked dependencies …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements.txt
	@mkdir -p $(DATA)/prefect
	@echo "Making Prefect's database, and parsing the dbt project, for the flows and for the terminal …"
	@PREFECT_HOME=$(abspath $(DATA))/prefect $(BIN)/python -m prefect server database upgrade --yes >/dev/null & \
	  $(BIN)/python -c 'from flows.config.settings import DataFolder; from flows.warehouse.dbt import Dbt; Dbt.parse(DataFolder.of("$(SET)"))'; \
	  $(BIN)/dbt --quiet parse; wait $$!
	@touch $@

run: setup  ## the demo, from its sources to a release; every further run is a day later
	@$(BIN)/python -m flows demo

test: setup  ## the tests; what takes long has a target of its own
	@$(BIN)/python -m pytest -n 2

test-slow: setup  ## the tests that take long: at real size, from the first run on, under every source left out
	@$(BIN)/python -m pytest -n 2 -m slow

faults: setup  ## what can go wrong, done on purpose: a table of faults and what each came to
	@$(BIN)/python -m pytest -n 2 -m "" -k test_fault_ --faults

torture: setup  ## kill runs at every step, begin again, compare: KILLS=200 SEED=1; ROUND= STEP= BREAK= to look closer
	@PYTHONPATH=.:tests/python PYTHONWARNINGS=ignore:resource_tracker $(BIN)/python tests/torture \
	  --kills $(or $(KILLS),200) $(if $(SEED),--seed $(SEED)) $(if $(ROUND),--round $(ROUND)) \
	  $(if $(STEP),--step $(STEP)) $(if $(BREAK),--break $(BREAK))

bench: setup .venv/bench/ready  ## speed, memory and bytes as ratios, each beside its reference; some minutes
	@$(BIN)/python -m tests.benchmarks $(ONLY)

.venv/bench/ready: requirements-bench.txt
	@$(PYTHON) -m venv .venv/bench
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode --python .venv/bench/bin/python requirements-bench.txt
	@touch $@

lint: setup  ## what CI checks of style and types
	@$(BIN)/ruff check flows demo tests
	@$(BIN)/ruff format --check flows demo tests
	@$(BIN)/mypy
	@PYTHONWARNINGS=ignore:resource_tracker $(BIN)/sqlfluff lint --processes 2 models snapshots tests/dbt

format: setup  ## mend what a machine can mend
	@$(BIN)/ruff check --fix flows demo tests
	@$(BIN)/ruff format flows demo tests
	@$(BIN)/sqlfluff fix models snapshots tests/dbt

docs: setup  ## the docs site of the last release, or of your dev database if nothing is published
	@$(BIN)/dbt --quiet docs generate --target $(if $(wildcard $(DATA)/$(SET)/warehouse.duckdb),release,dev)
	@$(BIN)/python -c 'from pathlib import Path; from flows.warehouse.docs import inline_docs; inline_docs(Path("target"))'
	@echo "open target/static_index.html"

schema: setup  ## connections.schema.json, by which editors check connections.yml
	@$(BIN)/python -c 'import json; from flows.config.connections import connections_schema as schema; \
	  print(json.dumps(schema(), indent=2, ensure_ascii=False))' > connections.schema.json

ui: setup  ## Prefect's UI on 127.0.0.1:4200, and the schedules of prefect.yaml
	@$(BIN)/python -m flows ui

lock:  ## compile the requirements, with hashes
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command 'make lock' requirements.in -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command 'make lock' requirements-bench.in -o requirements-bench.txt

clean:  ## remove what was set up and built; data/ stays
	rm -rf .venv target logs
