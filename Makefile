.DEFAULT_GOAL := help
SHELL := /bin/bash -o pipefail
PYTHON ?= python3
BIN := .venv/bin
# More than the cores of a small machine: many tests wait for a process or for a time to pass.
PYTEST := $(BIN)/pytest --numprocesses=4 --max-worker-restart=0
INSTALLED := .venv/installed
CALLS ?= 200000
SEED ?= 1
KILLS ?= 50
TRIES ?= 10000
SECONDS ?= 30

.PHONY: help install demo demo-fleet test test-quick quick-1 quick-2 quick-3 check lint types imports package release smoke test-pythons bench bench-proxy bench-races bench-reports bench-ledger bench-verdict soak soak-strangers fuzz operations lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## put trigger-shim and its locked dependencies into .venv

# Debian packs the venv module's pip apart from Python; root can get it, anybody else is told what to ask for.
$(INSTALLED): pyproject.toml deploy/requirements.txt tests/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; name it with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq python3-venv; } \
	  || { echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## show the main job on four calls, against a stand-in successor
	@$(BIN)/trigger-shim demo

demo-fleet: install ## show two proxies that share a PostgreSQL: a retry, a freeze, a kill, and a report from elsewhere
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 \
	  || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; } \
	  || { echo "PostgreSQL is missing: apt-get install postgresql" >&2; exit 1; }
	@$(BIN)/python -m tests.fleet

# Without its compiled files, the proxy would be compiled anew for each of the hundreds of processes.
test test-quick: export PYTHONDONTWRITEBYTECODE :=

test: install ## run the tests
	$(PYTEST)

test-quick: install ## run the tests that need no socket and no other program, in half a minute
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target quick-1 quick-2 quick-3

# Thousands of tests that take a millisecond cost less where no other process has to hear of each; and a thread that watches
# a test from outside would be one for each. The three take equally long.
quick-1: FOLDERS := tests/[ab]*/ tests/ca*/
quick-2: FOLDERS := tests/g*/ tests/con*/ tests/[d-fh-n]*/
quick-3: FOLDERS := tests/c[b-np-z]*/ tests/co[!n]*/ tests/[o-z]*/ tests/test_*.py
quick-1 quick-2 quick-3:
	@$(BIN)/pytest -p no:cacheprovider --override-ini=faulthandler_timeout=0 --quick $(FOLDERS)

check: lint types imports test ## lint, types, import direction, tests

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

package: install ## build the wheel and the source package into dist
	rm -rf dist
	.ci/package dist

release: install ## check that this commit can be released, and build it with a list of what it is made of; tags and pushes nothing
	.ci/release

smoke: install ## install the wheel on each Python that there is, and run its commands
	.ci/pythons smoke

test-pythons: install ## run the tests on each Python that there is
	.ci/pythons test

bench: bench-proxy bench-reports ## both of the benchmarks

# FLAGS="--rounds 1 --seconds 1 --connections 64" is a quick look.
bench-proxy: install ## how fast the proxy is, beside its peers
	$(BIN)/python -m tests.bench.proxy $(FLAGS)

bench-races: install ## what a caller gets where the service acts at the moment of a call, beside nginx and HAProxy
	$(BIN)/python -m tests.bench.races $(FLAGS)

bench-reports: install ## how fast the reports are, beside jq and GoAccess
	$(BIN)/python -m tests.bench.reports

bench-ledger: install ## how fast a report is on a ledger with two years of 50 million calls, in SQLite and PostgreSQL
	$(BIN)/python -m tests.bench.ledger

bench-verdict: install ## how often the verdict is wrong, and how long it waits, in a simulation of two years
	$(BIN)/python -m tests.bench.verdict $(FLAGS)

fuzz: install ## half a minute of made-up input for each parser in turn, and 2,000 generated calls; SECONDS and SEED set others
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) --seed $(SEED)
	CASES=200 $(PYTEST) tests/contract/test_conformance.py

soak: install ## 200,000 calls with faults mixed in, 10,000 lost tries, 50 times kill -9, a ledger in trouble, and strangers; CALLS, TRIES, SEED and KILLS set others
	$(BIN)/python -m tests.soak --calls $(CALLS) --seed $(SEED)
	$(BIN)/python -m tests.soak.tries --tries $(TRIES) --kills $(KILLS) --seed $(SEED)
	KILLS=$(KILLS) $(BIN)/pytest tests/system/test_kill.py tests/system/test_ledger_troubles.py
	$(BIN)/python -m tests.soak.strangers

soak-strangers: install ## only its last part: what callers without a token can take, beside nginx
	$(BIN)/python -m tests.soak.strangers

lock: install ## renew the locked versions from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --upgrade --extra postgresql pyproject.toml -o deploy/requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --upgrade --group dev --extra postgresql --extra fix --constraint deploy/requirements.txt pyproject.toml -o tests/requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --upgrade --group build --constraint tests/requirements.txt -o deploy/container/build-requirements.txt

operations: install ## restarts, upgrades, reloads and renewed certificates under load, for a minute: no call is lost, and none refused
	$(BIN)/python -m tests.operations

clean: ## remove what the other targets made
	rm -rf .venv dist logs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
