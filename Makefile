# Everything runs from a machine with Python 3.11 or newer and make: the first target that needs it makes .venv.
SHELL := /bin/sh
PYTHON ?= python3
STAGE ?= dev
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# Commits up to this one may have longer subjects.
SUBJECTS_SINCE := 2800c9c
# Two workers wait for the local cloud and the broker most of the time, while the third computes.
SIDE_BY_SIDE := -n 3 --dist loadscope --no-loadscope-reorder
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test test-all fuzz check format bench model docs layers synth deploy audit clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Make .venv with everything that the lock file names

$(VENV)/.ready: pyproject.toml uv.lock layers/pyproject.toml operate/pyproject.toml local/pyproject.toml learning/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Desireline needs Python 3.11 or newer; '$(PYTHON)' is older. Set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/uv || { echo "Making $(VENV) (about 1.3 GB once everything is in it)"; \
		$(PYTHON) -m venv $(VENV) || { echo "This Python cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 2; }; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@$(BIN)/uv sync --frozen --inexact --python $(BIN)/python
	@touch $@

demo: setup ## Replay a company's trials through the whole local cloud, and show what came of it
	@desireline demo

up: setup ## Start the local cloud and leave it running
	@desireline up

down: setup ## Stop the local cloud
	@desireline down

test: setup ## Run the tests: unit, functional, simulation, infrastructure, integration, end to end
	@python -m pytest -m "not slow" $(SIDE_BY_SIDE) --durations=20

test-all: setup ## Run all tests: the slow ones, thousands of simulation seeds, other examples each time
	@python -m pytest -m "" $(SIDE_BY_SIDE) --durations=20 --hypothesis-profile=search

fuzz: setup ## Fuzz every verifier and mapping, guided by coverage (SECONDS=60, ONLY=sender)
	@uv sync --frozen --inexact --python $(BIN)/python --group fuzz --quiet
	@python -m tests.fuzz --seconds $(if $(SECONDS),$(SECONDS),60) $(if $(ONLY),--sender $(ONLY))

check: setup ## Lint, format, types, layering, tracking plan, SQL, lock file, commit subjects
	@ruff check .
	@ruff format --check .
	@mypy
	@PYTHONPATH=functions:. lint-imports
	@python -m desireline_operate.cli.plan check --quiet
	@sqlfluff lint --disable-progress-bar warehouse
	@uv lock --check --offline --quiet || uv lock --check --quiet
	@if git cat-file -e $(SUBJECTS_SINCE) 2>/dev/null; then git log --format='%h %s' $(SUBJECTS_SINCE)..HEAD | sh .ci/commit-subjects; fi

format: setup ## Format the code
	@ruff check --fix . ; ruff format .

bench: setup ## Measure, write build/bench.json, render docs/performance.md (ONLY=receive for one group)
	@python -m bench $(if $(ONLY),--only $(ONLY))

model: setup ## Retrain the trial model from the simulator and package it
	@python -m desireline_learning.train

docs: setup ## Render the generated documents
	@python -m docs.render

layers: setup ## Build the Lambda layers for arm64 into build/layers
	@python -m infra.layers --platform arm64

synth: setup ## Synthesise the CDK application into cdk.out: no credentials, no network, no Docker
	@python -m infra.app --unbuilt-layers --context stage=$(STAGE)
	@echo "The templates are in cdk.out"

deploy: check layers ## Deploy STAGE=dev or prod: the checks, then cdk deploy
	@$(if $(filter prod,$(STAGE)),python -m desireline_operate.cli.plan check --quiet --released)
	@npm ci --silent --prefix infra
	@infra/node_modules/.bin/cdk deploy --all --context stage=$(STAGE)

audit: setup ## Look the locked dependencies up in the vulnerability database
	@mkdir -p build
	@uv export --frozen --no-emit-workspace --quiet > build/requirements.audit.txt && pip-audit --disable-pip --require-hashes -r build/requirements.audit.txt

clean: ## Remove what the build made (not .venv)
	@rm -rf build cdk.out .pytest_cache .mypy_cache .ruff_cache .hypothesis
