# Two commands: `make run` starts the whole site here, `make test` checks everything. Both set up what they need.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
SHOP ?= folio
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'
	@echo "  Variables: PORT=8000 HOST=127.0.0.1 SHOP=folio|online-retail|empty DATA=path PYTHON=python3"

.PHONY: run
run: $(VENV)/.run ## Set up and start shop, worker, beat, Redis and the first training; Ctrl-C stops all
	@RECSITE_VAR="$${RECSITE_VAR:-var/$(SHOP)}" $(BIN)/python manage.py up --host $(HOST) --port $(PORT) --shop $(SHOP) $(if $(DATA),--data "$(DATA)")

.PHONY: test
test: $(VENV)/.dev ## Set up and run every check and test
	@tests/system_packages.sh
	@PATH="$(CURDIR)/$(BIN):$$PATH" tests/run.sh

.PHONY: peers
peers: .venv-peers/.done ## Set up the recommenders that `manage.py benchmark accuracy --peers` measures beside ours

.PHONY: clean
clean: ## Remove all state: databases, pictures, models, logs (var/)
	rm -rf var

$(BIN)/python:
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "recsite needs Python 3.11 or newer; name one: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements.txt requirements-web.txt
	@echo "Installing what the site runs on (a few minutes the first time) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input -r requirements.txt | grep -v 'already satisfied' || test $${PIPESTATUS[0]} -eq 0
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input -r requirements-dev.txt | grep -v 'already satisfied' || test $${PIPESTATUS[0]} -eq 0
	@touch $@

.venv-peers/.done: requirements-peers.txt
	@echo "Making an environment for the peers in .venv-peers ..."
	@$(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --disable-pip-version-check --no-input -r requirements-peers.txt | grep -v 'already satisfied' || test $${PIPESTATUS[0]} -eq 0
	@touch $@
