# One command each; `make` alone lists them.  Everything happens inside .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
TOGETHER := --numprocesses auto --dist loadscope --no-loadscope-reorder

help:   ## list the commands
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## */\t/'

run: .venv/ready   ## the experiment `quick`, on real prices that need no network; results below it
	$(BIN)/rnntrade run quick

test: .venv/ready   ## the guarantees, in minutes; no network
	$(BIN)/pytest $(TOGETHER)

soak: .venv/ready   ## what takes minutes each: real servers, outages, kills by the dozen, whole controls
	$(BIN)/pytest $(TOGETHER) -m soak

check: .venv/ready   ## style, types, architecture
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

setup: .venv/ready   ## the environment alone, exactly as locked

ui: .venv/ready   ## the MLflow and Prefect pages
	$(BIN)/rnntrade ui

bench: .venv/ready   ## the ratios that the docs quote
	for each in benchmarks/*.py; do PYTHONPATH=. $(BIN)/python $$each || exit 1; done

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: help run test soak check setup ui bench
