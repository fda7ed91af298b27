# The commands of the README, CONTRIBUTING and CI: one place for each.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test check lint types bench install install-dev clean

demo: install ## A first run, without a key: simulated participants answer 24 items
	$(BIN)/partynli sample --mix demo --trials 5 --run demo
	$(BIN)/partynli status demo

test: $(VENV)/.test ## The core tests, without network, on every core
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(VENV)/.dev lint types ## Everything that CI checks, the slow tests included
	$(BIN)/python -m pytest -n auto --dist worksteal
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.bench ## Measure; the figures belong into benchmarks/README.md
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/limits.py

install: $(VENV)/.core
install-dev: $(VENV)/.dev

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
