# Everything happens in .venv; nothing is installed outside it. `make` alone lists the targets.
#
# What is tested is what is shipped: the wheel is built from the sdist and installed into .venv. The repository
# root comes after it on the path (a .pth file), for hil_rig and tests only.

PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python -P
PIP    := $(RUN) -m pip --disable-pip-version-check install --quiet
DEPS   := $(VENV)/.dependencies-installed
WHEEL  := $(VENV)/.wheel-installed

# Directories are listed too: a deleted file changes the time of its directory.
SOURCES := pyproject.toml README.md \
           $(shell find pilenode drivers safety config -name __pycache__ -prune -o -print)

# Debian keeps mosquitto in /usr/sbin, which is not on the path of an ordinary user.
export PATH := $(PATH):/usr/sbin:/sbin

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help venv lint types walls test demo bench score proof fuzz herd mutation lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' Makefile

venv: $(WHEEL) ## .venv with the locked dependencies and the built wheel

# Hashes and wheels only: nobody's setup.py runs, and nothing is installed that is not locked.
$(DEPS): requirements/runtime.txt requirements/dev.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --only-binary :all: -r requirements/runtime.txt -r requirements/dev.txt
	cd $(VENV)/lib/python3.*/site-packages && echo ../../../.. > repository-root.pth
	touch $@

# The build back end is in .venv already, locked: --no-isolation keeps the build off the network.
$(WHEEL): $(DEPS) $(SOURCES)
	rm -rf dist
	$(RUN) -m build --quiet --no-isolation --outdir dist .
	$(PIP) --no-index --no-deps --force-reinstall dist/*.whl
	touch $@

lint: $(DEPS) ## ruff: rules and formatting
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(DEPS) ## mypy, strict
	$(RUN) -m mypy

walls: $(DEPS) ## import-linter: who may import whom
	$(VENV)/bin/lint-imports

test: lint types walls $(WHEEL) ## everything: the three above, then all tests against the installed wheel
	tests/run.sh

demo: $(WHEEL) ## a four-port cabinet on the bench: about 75 s, ends by itself
	$(RUN) -m hil_rig.demo

bench: $(WHEEL) ## the figures of docs/measurements.md on real processes (65 min)
	$(RUN) -m hil_rig.bench

score: $(WHEEL) ## early, late and false cuts of the full-charge detector on the charge curves
	$(RUN) -m hil_rig.score

proof: $(WHEEL) ## long: simulated hazards, random histories, 72 h without a nuisance trip, restarts (40 min)
	$(RUN) -m hil_rig.bench_simulated
	$(RUN) -m hil_rig.histories
	$(RUN) -m hil_rig.nuisance
	$(RUN) -m hil_rig.score_restarts

fuzz: $(WHEEL) ## long: a million changed inputs at every door; findings in build/fuzz (25 min)
	nice -n 15 $(RUN) -m hil_rig.fuzz --inputs 1000000

herd: $(WHEEL) ## long: 10,000 simulated cabinets and a broker that dies (8 min)
	$(RUN) -m hil_rig.herd --picture docs/pictures/herd.svg

mutation: $(WHEEL) ## every small change of safety/ must fail a test: long, report in build/mutation.md
	nice -n 15 $(RUN) -m hil_rig.mutation --report build/mutation.md

# UPGRADE=--upgrade takes the newest versions; without it a pin changes only where the .in file demands it.
lock: ## renew requirements/*.txt from requirements/*.in
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv==0.13.9
	cd requirements && for name in runtime dev; do \
	  ../build/lock/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --only-binary :all: \
	    --no-header $(UPGRADE) $$name.in --output-file $$name.txt && \
	  sed -i '1i # Made by `make lock` from '$$name'.in; `make lock UPGRADE=--upgrade` renews every pin. Do not edit.' \
	    $$name.txt || exit 1; done

clean: ## remove what the targets above have made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
