# `make` alone lists what there is. Every target sets up what it needs, once.
.DEFAULT_GOAL := help
.PHONY: help run test check format bench faults parts warm lock clean
.SILENT:
SHELL := bash
# What is compiled once, the many processes that the tests start need not compile again.
export PYTHONDONTWRITEBYTECODE :=
# Test files or options, e.g. `make test TESTS="tests/unit -k gate"`.
TESTS ?=
# Two test processes a core: most tests wait for something real most of the time.
WORKERS ?= $(shell echo $$(($$(nproc) * 2)))

help: ## list the targets
	sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

run: ## start the daemon
	packaging/venv.sh run
	exec .venv/bin/reconciler serve

# Parts wait for the network and the disk; what is checked and compiled meanwhile costs no time.
test: ## every check, then every test (in parallel)
	$(MAKE) --no-print-directory --jobs parts check warm
	.venv/bin/pytest -q --numprocesses $(WORKERS) --dist loadgroup $(TESTS)

check: ## format, lint, types, imports
	packaging/venv.sh dev
	.venv/bin/ruff format --quiet --diff .
	.venv/bin/ruff check --quiet .
	.venv/bin/mypy --no-error-summary
	report=$$(.venv/bin/lint-imports --no-logo) || { echo "$$report"; exit 1; }

format: ## format the code, and mend what the linter can
	packaging/venv.sh dev
	.venv/bin/ruff check --quiet --fix . || true
	.venv/bin/ruff format --quiet .

faults: parts ## the tests that kill, hang, fill, partition and lie, the slow ones too
	packaging/venv.sh dev
	.venv/bin/pytest -q -m "fault or slow" $(TESTS)

bench: parts ## the benchmarks, one after another
	packaging/venv.sh dev
	.venv/bin/pytest -q -s -m bench $(or $(TESTS),tests/benchmarks)

parts: ## install the real components the tests use (root on Debian)
	tests/parts/install.sh || test -z "$$RECONCILER_TEST_REQUIRE_ALL"

# Each test process reads every test: compiled before, that takes half the time.
warm:
	packaging/venv.sh dev
	found=$$(.venv/bin/pytest -q --collect-only $(TESTS)) || { echo "$$found"; exit 1; }

lock: ## write the locked requirements anew (UPGRADE=1 for newer versions)
	packaging/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove what make made here
	rm -rf .venv .cache artefacts .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
