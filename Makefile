# The commands of the README, CONTRIBUTING and CI: one place for each.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.DELETE_ON_ERROR: # half an environment would be taken for a whole one

.PHONY: demo test check lint types audit docs reference bench bench-peers soak fuzz install install-dev clean

demo: install ## A first run, without a key: simulated participants answer 24 items
	$(BIN)/partynli sample --mix demo --trials 5 --run demo
	$(BIN)/partynli status demo

test: $(VENV)/.test ## The core tests, without network, on every core
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(VENV)/.dev lint types docs audit ## Everything that CI checks, the slow tests included
	$(BIN)/python -m pytest -n auto --dist worksteal
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

audit: $(VENV)/.dev ## Known vulnerabilities and licences of what is installed; says what could not be looked up
	$(BIN)/python .ci/audit

docs: $(VENV)/.dev ## The documentation as a site, in site/; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

reference: $(VENV)/.dev ## Write the generated part of docs/reference anew, after a command or a file format changed
	$(BIN)/python docs/generate.py

fuzz: $(VENV)/.test ## The fuzz tests with a hundred times as many examples, other ones each time; about an hour
	PARTYNLI_FUZZ=long $(BIN)/python -m pytest tests/fuzz --hypothesis-show-statistics

bench: $(VENV)/.bench ## Measure; the figures belong into benchmarks/README.md
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/limits.py

bench-peers: $(VENV)/.bench ## Beside other tools, each in an environment of its own below .peers/; 25 minutes, Linux
	$(BIN)/python benchmarks/peers/run.py
	$(BIN)/python benchmarks/peers/table.py
	$(BIN)/python benchmarks/peers/plot.py

soak: $(VENV)/.core ## Does it hold? 200,000 trials under faults, killed 50 times, every answer counted
	$(BIN)/python tests/faults/soak.py

install: $(VENV)/.core
install-dev: $(VENV)/.dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is " + sys.version.split()[0] + \
		", and partynli needs 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.13")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(BIN)/python
	@echo "installing partynli and what it needs into $(VENV): a minute or two"
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
	rm -rf $(VENV) build dist site *.egg-info
