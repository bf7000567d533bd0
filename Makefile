# Everything a developer runs. Nothing but Python 3.11 or later, with pip, is needed beforehand.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.torpor-setup
SOURCES := src tests examples bench tools

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format bench lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv with the locked dependencies and torpor itself

# pip, and not uv, installs: it honours every index, mirror and certificate that this machine's pip is configured with.
# Debian without python3-venv has no ensurepip; there the machine's pip puts a pip into the bare environment.
$(STAMP): pyproject.toml requirements/runtime.txt requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "torpor needs Python 3.11 or later: install it, or name it with make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install -q pip; }
	@echo "installing the locked dependencies into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup ## deploy examples/regression, call it cold and warm, watch it sleep and wake
	@$(BIN)/python tools/demo.py

test: lint ## lint, types, and every test but the long ones (the built wheel is tried too)
	@$(BIN)/python -m pytest -m "not full"

test-all: test ## make test, then the long fault and load tests
	@$(BIN)/python -m pytest -m full

lint: setup ## ruff, formatting and mypy --strict
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/mypy tools/*.py
	@$(BIN)/mypy bench/*.py

format: setup ## let ruff write the formatting and the fixes it is sure of
	@$(BIN)/ruff check --fix --quiet $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)

bench: setup ## every target beside other platforms (ONLY=warm,cold PEERS=starlette QUICK=1; KEEP=1 writes docs/benchmarks.md)
	@$(BIN)/python bench/run.py $(if $(ONLY),--only "$(ONLY)") $(if $(PEERS),--peers "$(PEERS)") $(if $(QUICK),--quick) $(if $(KEEP),--keep)
	@$(if $(ONLY),,$(BIN)/python bench/replay.py)

# Universal: one lock serves every Python from 3.11 on and every processor, with markers where they differ.
LOCK := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
lock: setup ## write requirements/*.txt from pyproject.toml, hashed, naming no host (UPGRADE=--upgrade for newer ones)
	@$(LOCK) $(UPGRADE) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) $(UPGRADE) -c requirements/runtime.txt --group dev pyproject.toml -o requirements/dev.txt
	@$(LOCK) $(UPGRADE) --group sam -o src/torpor/cli/sam/translator.txt

clean: ## remove .venv, caches and built files
	@rm -rf $(VENV) dist build-out .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
