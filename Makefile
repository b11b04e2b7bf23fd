# The commands of this project. `make setup` comes first by itself and does nothing when nothing changed.
# It needs make and one Python from 3.11 on; name another with `make setup PYTHON=python3.12`.

SHELL := /bin/sh
PACKAGES := protocol storage replication coordinator logd
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
SERVICES_VENV := .venv-services
SERVICES_STAMP := $(SERVICES_VENV)/.set-up
PYTEST := $(BIN)/pytest -n auto --dist worksteal

.PHONY: help wheel setup services run demo-log test test-full check lint types unit bench docs clean

help:
	@echo "make run        the order services on a fresh broker, with shoppers and a live grid"
	@echo "make demo-log   start a broker on real data and show how to connect"
	@echo "make test       all tests of everyday size, real clients included"
	@echo "make test-full  the same at acceptance size"
	@echo "make check      format, lint, types, imports and unit tests, within a minute"
	@echo "make bench      measure logd beside its peers; ARGS=--quick in three minutes; see bench/"
	@echo "make wheel      build the wheel into dist/; LOGD_MYPYC=1 compiles what works per record"
	@echo "make docs       write the generated documentation"
	@echo "make clean      remove what was made"

setup: $(STAMP)
	@:

$(STAMP): pyproject.toml tools/find_python.sh
	@python=$$(tools/find_python.sh "$(PYTHON)") || exit 1; \
	if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
		echo "making $(VENV) with $$python"; rm -rf $(VENV); "$$python" -m venv $(VENV) || exit 1; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group test --group lint
	@touch $@

services: $(SERVICES_STAMP)
	@:

$(SERVICES_STAMP): services/requirements.txt tools/find_python.sh
	@python=$$(tools/find_python.sh "$(PYTHON)") || exit 1; \
	if ! $(SERVICES_VENV)/bin/python -c 'import pip' 2>/dev/null; then \
		echo "making $(SERVICES_VENV) with $$python"; rm -rf $(SERVICES_VENV); "$$python" -m venv $(SERVICES_VENV) || exit 1; \
	fi
	@$(SERVICES_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement services/requirements.txt
	@touch $@

run: setup services
	@$(SERVICES_VENV)/bin/python -m services.orders.run --broker '$(BIN)/logd serve' $(ARGS)

demo-log: setup
	@$(BIN)/python -m bench.demo.first_run $(ARGS)

test: setup services
	@$(BIN)/python -m tests.support.prepare
	$(PYTEST) -m "not full" $(ARGS)

test-full: setup services
	@$(BIN)/python -m tests.support.prepare
	$(PYTEST) $(ARGS)

check: lint types unit

lint: setup
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports

types: setup services
	$(BIN)/mypy --strict $(PACKAGES) bench tools hatch_build.py
	$(BIN)/mypy --strict --python-executable $(SERVICES_VENV)/bin/python services

unit: setup
	$(PYTEST) -q -m "not slow and not full" tests/unit tests/tidy

bench: setup services
	$(BIN)/python -m bench $(ARGS)

wheel: setup
	@rm -f dist/logd-*.whl
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . >dist.log 2>&1 || { cat dist.log; rm -f dist.log; exit 1; }
	@rm -f dist.log; ls dist/logd-*.whl

docs: setup
	$(BIN)/python -m logd.config_help
	$(BIN)/python -m tools.file_map
	$(BIN)/python -m tests.support.client_table

clean:
	rm -rf $(VENV) $(SERVICES_VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache logd-data
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
