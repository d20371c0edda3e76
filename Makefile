# `make demo` and `make test` are all a newcomer needs; both set up .venv from requirements.lock first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODEL ?= digits
DEMO_ARGS ?=

.PHONY: demo test test-all check bench setup lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml tools/setup.sh
	@PYTHON=$(PYTHON) sh tools/setup.sh $(VENV)
	@touch $@

demo: $(STAMP)
	@$(BIN)/turnout demo --model $(MODEL) $(DEMO_ARGS)

test: $(STAMP)
	@$(BIN)/python -m pytest -m "not slow"

test-all: $(STAMP)
	@$(BIN)/python -m pytest

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP)
	@$(BIN)/python -m benchmarks.flip

lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --group dev --group examples pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .turnout .pytest_cache .mypy_cache .ruff_cache
