# `make demo` and `make test` are all a newcomer needs; both set up .venv from requirements.lock first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODEL ?= digits
PLATFORM ?= ec2
WORKERS ?= 3
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

# Most tests run beside each other; then, a worker each, those of services under load, of one cloud and on a control plane, who
# have the processor in this order (tests/lanes.py); with the slow ones, which measure more, all of these one by one. What failed
# of them is tried once more in a new process (docs/adr/0050): a machine that stood still is no finding.
BESIDE := --dist loadfile --no-loadscope-reorder
LANES := tests/e2e tests/cloud tests/kubernetes
OTHERS := -n $(WORKERS) $(BESIDE) $(LANES:%=--ignore=%)
AGAIN := --last-failed --last-failed-no-failures none $(LANES)

test: $(STAMP)
	@$(BIN)/python -m pytest -m "not slow" $(OTHERS); others=$$?; \
	{ $(BIN)/python -m pytest -m "not slow" -n $(words $(LANES)) $(BESIDE) $(LANES) || \
	  $(BIN)/python -m pytest -m "not slow" $(AGAIN); } && exit $$others

test-all: $(STAMP)
	@$(BIN)/python -m pytest $(OTHERS); others=$$?; \
	{ $(BIN)/python -m pytest $(LANES) || $(BIN)/python -m pytest $(AGAIN); } && exit $$others

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
