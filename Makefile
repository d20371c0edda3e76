# `make demo` and `make test` are all a newcomer needs; both set up .venv from requirements.lock first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODEL ?= digits
PLATFORM ?= ec2
WORKERS ?= 2
DEMO_ARGS ?=
# Every program that is started imports the same modules: without their bytecode tests take a third longer.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all check bench setup lock schema package kubernetes clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml tools/setup.sh
	@PYTHON=$(PYTHON) sh tools/setup.sh $(VENV)
	@touch $@

demo: $(STAMP)
	@$(BIN)/turnout demo --model $(MODEL) --platform $(PLATFORM) $(DEMO_ARGS)

# Most tests run beside each other; then those of one cloud and those on the control plane, and one by one those that load a
# whole service; with the slow ones all of these one by one. What failed of LOADED is tried once more in a new process
# (docs/adr/0041): a machine that stood still is no finding.
BESIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
WAITING := tests/kubernetes tests/cloud
LOADED := $(WAITING) tests/e2e
OTHERS := $(LOADED:%=--ignore=%)
AGAIN := --last-failed --last-failed-no-failures none

test: $(STAMP)
	@$(BIN)/python -m pytest -m "not slow" $(BESIDE) $(OTHERS); beside=$$?; \
	$(BIN)/python -m pytest -m "not slow" $(BESIDE) $(WAITING); waiting=$$?; \
	{ { $(BIN)/python -m pytest -m "not slow" tests/e2e && [ $$waiting = 0 ]; } || \
	  $(BIN)/python -m pytest -m "not slow" $(AGAIN) $(LOADED); } && exit $$beside

test-all: $(STAMP)
	@$(BIN)/python -m pytest $(BESIDE) $(OTHERS); beside=$$?; \
	{ $(BIN)/python -m pytest $(LOADED) || $(BIN)/python -m pytest $(AGAIN) $(LOADED); } && exit $$beside

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP)
	@$(BIN)/python -m benchmarks.flip

lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --group dev --group examples pyproject.toml -o requirements.lock

schema: $(STAMP)
	@$(BIN)/python -m tools.component_schema

package: $(STAMP)
	@cd components && ../$(BIN)/hatchling build -t wheel -d ../dist

# The control plane of the tests on Kubernetes and of the local cluster, into the user's cache: minutes, once a version.
kubernetes: $(STAMP)
	@$(BIN)/python -m tools.kubernetes

clean:
	rm -rf $(VENV) .turnout .pytest_cache .mypy_cache .ruff_cache
