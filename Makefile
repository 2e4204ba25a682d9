# Everything sets itself up in .venv from requirements-dev.lock.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv fast test test-newer lint style type fix cover demo bench chaos fuzz dist audit lock \
	clean

PYTHON ?= python3
SEEDS ?= 200
ENGINE ?= sqlite
MINUTES ?= 5
NEWER ?= python3.13
# OSV's advisories for PyPI, as they are given out whole (all.zip), fetched by whoever has a network.
ADVISORIES ?= all.zip
# Test processes: most tests wait for something, so there are more than cores.
JOBS ?= 5
# The suite makes thousands of databases and drops them again, which on a disk costs the kernel a
# quarter of all processor time. They lie in memory where 4 GB are free there.
MEMORY ?= /dev/shm
# Which tests `make cover` runs.
OVER ?= tests
# Of fuzzing beside the tests.
FUZZ_MINUTES ?= 1
# `make lock LOCK_FLAGS=--upgrade` takes the newest versions; without it pins stay where they can.
LOCK_FLAGS ?=

# What Python compiles is kept: some shells forbid it, and each of the suite's hundreds of processes
# would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
DEPENDENCIES := .venv/.dependencies
PROJECT := .venv/.project
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

help:
	@echo "make fast    the tests of core, catalogue, wire and adapters, in half a minute"
	@echo "make fix     mend style where ruff can"
	@echo "make type    types (mypy), tests included"
	@echo "make lint    style, import rules and types"
	@echo "make test    style, types, import rules and tests"
	@echo "make cover   which lines and branches no test runs (OVER=$(OVER))"
	@echo "make test-newer   core, wire and web with another Python (NEWER=$(NEWER))"
	@echo "make demo    the whole pass on this machine"
	@echo "make bench   measure"
	@echo "make chaos   seeded simulation (SEEDS=$(SEEDS), ENGINE=sqlite or postgresql)"
	@echo "make fuzz    hostile inputs for every parser (MINUTES=$(MINUTES))"
	@echo "make dist    the wheel, and its bill of materials (CycloneDX)"
	@echo "make audit   known holes of what is locked (ADVISORIES=$(ADVISORIES))"
	@echo "make venv    only prepare .venv"
	@echo "make lock    pin the dependencies anew (LOCK_FLAGS=--upgrade)"
	@echo "make clean   remove .venv and caches"

venv: $(PROJECT)
	@:

# A lock that changed is installed over what is there; uv then takes away what left the lock.
$(DEPENDENCIES): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Python 3.11 or newer is needed; on Debian 12 install the package python3." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv module is missing; on Debian install the package python3-venv." >&2; exit 1; }
	@echo "Preparing .venv from requirements-dev.lock, which takes a minute or two"
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip sync --quiet --offline --python $(BIN)/python --require-hashes requirements-dev.lock
	@touch $@

$(PROJECT): $(DEPENDENCIES) pyproject.toml
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

lint: style type

style: $(PROJECT)
	@echo "Checking style and import rules"
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/lint-imports

# What a person waits for between two edits: no other process, no database, no slow test, fewer
# examples of each property. `make test` runs everything.
fast: $(PROJECT)
	@$(BIN)/python -m pytest -q --processes 2 -m "not slow" -p no:schemathesis --hypothesis-profile=fast \
		tests/core tests/catalogue tests/wire tests/adapters

type: $(PROJECT)
	@echo "Checking types"
	@$(BIN)/mypy --no-error-summary

fix: $(PROJECT)
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

# What other processes do (daemons, commands) is not counted.
cover: $(PROJECT)
	@$(BIN)/python -m pytest -q --processes $(JOBS) -m "not slow" --cov --cov-report=term \
		--cov-report=html $(OVER)
	@echo "Line by line: htmlcov/index.html"

# Types are looked at and hostile inputs made while the tests leave a core idle; both are told of at
# the end.
test: style
	@echo "Checking types and running every test, which takes about eleven minutes on two quiet cores"
	@free=$$(df --output=avail $(MEMORY) 2>/dev/null | tail -n 1 || true); \
	if [ "$${free:-0}" -gt 4000000 ] && [ -w $(MEMORY) ]; then export TMPDIR=$(MEMORY); fi; \
	export TMPDIR=$$(mktemp -d -t gateway-tests-XXXXXX); trap 'rm -rf "$$TMPDIR"' EXIT; \
	chmod 755 "$$TMPDIR"; tested=0; typed=0; fuzzed=0; \
	nice -n 5 $(BIN)/mypy --no-error-summary >"$$TMPDIR/types" 2>&1 & types=$$!; \
	nice -n 5 $(BIN)/python -m tests.fuzz --minutes $(FUZZ_MINUTES) --seed code >"$$TMPDIR/fuzz" 2>&1 & \
	fuzz=$$!; \
	$(BIN)/python -m pytest --processes $(JOBS) || tested=$$?; \
	wait $$types || typed=$$?; cat "$$TMPDIR/types"; \
	wait $$fuzz || fuzzed=$$?; cat "$$TMPDIR/fuzz"; \
	exit $$((tested || typed || fuzzed))

# In a virtual environment of its own: what needs no other process.
test-newer: requirements-dev.lock
	@echo "Running the tests of core, wire and web with $$($(NEWER) --version)"
	@[ -x .venv-newer/bin/pip ] || $(NEWER) -m venv .venv-newer
	@.venv-newer/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@.venv-newer/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@.venv-newer/bin/python -m pytest --processes $(JOBS) tests/core tests/wire tests/web

demo: $(PROJECT)
	@$(BIN)/gru-gateway demo

bench: $(PROJECT)
	@$(BIN)/python -m tests.bench

chaos: $(PROJECT)
	@$(BIN)/python -m tests.chaos --seeds $(SEEDS) --engine $(ENGINE)

fuzz: $(PROJECT)
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

dist: $(PROJECT)
	@rm -rf dist
	@$(BIN)/python -m hatchling build -t wheel -d dist
	@$(BIN)/python -m tests.supply sbom > "$$(ls dist/*.whl).cdx.json"
	@cd dist && sha256sum * > SHA256SUMS && cat SHA256SUMS

audit: $(PROJECT)
	@$(BIN)/python -m tests.supply audit "$(ADVISORIES)"

# The large lock comes first; the two small ones take their versions from it.
lock: $(PROJECT)
	@$(COMPILE) $(LOCK_FLAGS) --group dev --group bench -o requirements-dev.lock pyproject.toml
	@$(COMPILE) --upgrade -c requirements-dev.lock -o requirements.lock pyproject.toml
	@$(COMPILE) --upgrade -c requirements-dev.lock -o requirements-build.lock --group build
	@if grep -nE '://|^-' requirements*.lock; then echo "A lock names an address." >&2; exit 1; fi

clean:
	@rm -rf .venv .venv-newer .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis \
		.coverage htmlcov dist build
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
