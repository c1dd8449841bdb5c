# `make demo` and `make test` need Python 3.11+ and make, nothing else. What they need more is set
# up in .venv, once; a repeat finds it there. A proxy, mirror or certificate is taken from pip's
# own settings.
#
#   make test PYTHON=python3.13              another interpreter, by name or by path
#   make test PYTHON=python3.13 VENV=.venv13 ... in an environment beside the usual one
#   make test ARGS="tests/framework -x"      pytest's own arguments
#   make simulate SEED=8 HOURS=6             one simulated run; ARGS="--log FILE" writes what happened
#   make simulate SEEDS=200 HOURS=1.2 EACH=3 many, with three series of each venue instead of four

PYTHON ?=
VENV ?= .venv
# two more than most machines of ours have processors: a third of the time tests wait for other processes
JOBS ?= 4
ARGS ?=
SEED ?= 1
SEEDS ?= 1
HOURS ?= 2
EACH ?= 4

BIN := $(VENV)/bin

# tests start hundreds of processes: without byte code each of them would compile all that it imports
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv demo test simulate planted mutants generic-mutants nightly lint format bench bench-hosts bench-hot bench-stores docs pages vendors wheel lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target what; do printf '%-15s %s\n' "$$target" "$$what"; done

venv: ## the environment that all the others run in
	@python=$$(sh scripts/find-python $(if $(PYTHON),"$(PYTHON)")) && "$$python" scripts/make_venv.py "$(VENV)"

demo: venv ## a minute of live candles from simulated venues, checked against their truth
	@$(BIN)/wickwire demo $(ARGS)

test: venv ## the tests
	$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

simulate: venv ## hours or days of six venues in trouble, from a seed: SEED=8 HOURS=6, or many: SEEDS=200
	@$(BIN)/python -m tests.simulation.run --seed $(SEED) --seeds $(SEEDS) --hours $(HOURS) --each $(EACH) --jobs $(JOBS) $(ARGS)

planted: venv ## plant bugs into a copy of the framework, and see whether simulated runs find them
	$(BIN)/python -m tests.simulation.planted $(ARGS)

mutants: venv ## put seeded bugs into copies of the adapters, and see whether the conformance kit finds them
	@$(BIN)/python -m tests.mutants.run $(ARGS)

generic-mutants: venv ## change the adapters' code at random, and see whether the kit or their tests find it
	@$(BIN)/python -m tests.mutants.generic $(ARGS)

nightly: venv ## the tests that take long: soaks and wide searches
	HYPOTHESIS_PROFILE=explore $(BIN)/pytest -n $(JOBS) -m nightly $(ARGS)

lint: venv ## style, types, and the directions of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv ## put the code into the house's form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: venv ## what an event costs, against the bare transport, in one run
	$(BIN)/python -m tests.benchmarks.bench $(ARGS)

bench-hosts: venv ## what a host with many symbols costs, by the facade of fullon and by a Collector
	$(BIN)/python -m tests.benchmarks.hosts $(ARGS)

bench-hot: venv ## what a read costs from memory, from Redis and from SQLite, in one run
	$(BIN)/python -m tests.benchmarks.layers

bench-stores: venv ## what a stored candle costs, against the drivers' own bulk paths, in one run
	$(BIN)/python -m tests.benchmarks.stores $(ARGS)

docs: venv ## the manual, in docs/_build/html; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -d docs/_build/doctrees docs docs/_build/html

pages: venv ## write the parts of the manual that are made from the code
	$(BIN)/python -m scripts.hooks_page
	$(BIN)/python -m scripts.migration_pages
	$(BIN)/python -m scripts.face_page

vendors: venv ## the venues' own SDKs against our simulated venues
	$(BIN)/python tests/vendors/run.py $(ARGS)

wheel: venv ## the wheel, installed and tested outside the checkout
	$(BIN)/python tests/wheel/check.py $(ARGS)

lock: ## pin requirements/*.in again, with hashes
	@python=$$(sh scripts/find-python $(if $(PYTHON),"$(PYTHON)")) && "$$python" scripts/lock.py

clean: ## remove what was made, the environments and the demo's candles too
	rm -f wickwire-demo.db wickwire-demo.db-wal wickwire-demo.db-shm
	rm -rf .venv .venv-* build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find framework adapters plugins scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
